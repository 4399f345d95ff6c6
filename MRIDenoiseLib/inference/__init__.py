"""A noisy volume in, a denoised one out: ``Denoiser(bundle)(volume, settings)``."""

from MRIDenoiseLib.inference.batch import Method, SliceBatch, method_of, watched
from MRIDenoiseLib.inference.denoiser import Denoiser, Result
from MRIDenoiseLib.inference.models import ModelSet
from MRIDenoiseLib.inference.settings import METHODS, Settings

__all__ = ["METHODS", "Denoiser", "Method", "ModelSet", "Result", "Settings", "SliceBatch", "method_of", "watched"]
