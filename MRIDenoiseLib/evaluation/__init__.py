"""How good a result is: pictures to look at, figures of merit, and the filters of Slicer to compare with."""
