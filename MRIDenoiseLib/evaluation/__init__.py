"""What a result is worth: pictures for a person, PSNR, and the filters a Slicer user has to compare with."""
