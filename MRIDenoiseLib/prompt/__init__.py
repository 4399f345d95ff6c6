"""From headers to an Acquisition, and from an Acquisition to the text a model is given. Free of torch."""

from MRIDenoiseLib.prompt.acquisition import override, read_acquisition
from MRIDenoiseLib.prompt.text import describe

__all__ = ["describe", "override", "read_acquisition"]
