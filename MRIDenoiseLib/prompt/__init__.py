"""From headers to an Acquisition, and from an Acquisition to the text a model is given. Free of torch."""

from MRIDenoiseLib.prompt.acquisition import override, read_acquisition
from MRIDenoiseLib.prompt.vocabulary import acquisition_warnings, describe

__all__ = ["acquisition_warnings", "describe", "override", "read_acquisition"]
