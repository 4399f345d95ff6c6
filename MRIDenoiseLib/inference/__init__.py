"""A noisy volume in, a denoised one out: ``Denoiser(bundle)(volume, settings)``."""

from MRIDenoiseLib.inference.batch import Method, SliceBatch, watched
from MRIDenoiseLib.inference.binder import bound, method_of
from MRIDenoiseLib.inference.denoiser import Denoiser, Result
from MRIDenoiseLib.inference.models import ModelSet
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.methods import METHODS

__all__ = ["METHODS", "Denoiser", "Method", "ModelSet", "Result", "Settings", "SliceBatch", "bound", "method_of", "watched"]
