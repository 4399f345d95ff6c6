"""Figures of an image against its reference, one idea a file; every range, unit and convention is said, none is guessed."""

from MRIDenoiseLib.evaluation.metrics.across_slices import flicker_of_anatomy, reformatted_ssim, slice_flicker
from MRIDenoiseLib.evaluation.metrics.bias import Bias, bias
from MRIDenoiseLib.evaluation.metrics.edge_width import Edges
from MRIDenoiseLib.evaluation.metrics.noise_texture import autocorrelation, neighbour_correlation, noise_power_spectrum
from MRIDenoiseLib.evaluation.metrics.pairs import FOREGROUND_THRESHOLD
from MRIDenoiseLib.evaluation.metrics.perceptual import lpips_vgg
from MRIDenoiseLib.evaluation.metrics.signal_to_noise import mean_slice_psnr, noise_corrected_psnr, psnr
from MRIDenoiseLib.evaluation.metrics.structural_similarity import FASTMRI, WANG, Convention, ssim

__all__ = [
    "FASTMRI",
    "FOREGROUND_THRESHOLD",
    "WANG",
    "Bias",
    "Convention",
    "Edges",
    "autocorrelation",
    "bias",
    "flicker_of_anatomy",
    "lpips_vgg",
    "mean_slice_psnr",
    "neighbour_correlation",
    "noise_corrected_psnr",
    "noise_power_spectrum",
    "psnr",
    "reformatted_ssim",
    "slice_flicker",
    "ssim",
]
