"""MRI Denoise: text-guided conditional diffusion that makes fast, noisy MR volumes clean enough to read.

This package imports neither Slicer nor Qt, and importing it pulls in no torch: the networks load only when
something asks for :mod:`MRIDenoiseLib.inference`. Research use only, not for diagnosis.
"""

__version__ = "0.1.0"

RESEARCH_USE_ONLY = "Research use only. NOT FOR DIAGNOSTIC USE."
"""The mark that every result carries when it leaves the program."""
