"""Figures of merit of an image against its reference, one idea per file; ranges, units and conventions are stated, not guessed."""

from MRIDenoiseLib.evaluation.figures.bias import Bias, bias
from MRIDenoiseLib.evaluation.figures.edge_width import Edges
from MRIDenoiseLib.evaluation.figures.perceptual import lpips_vgg
from MRIDenoiseLib.evaluation.figures.psnr import FOREGROUND_THRESHOLD, mean_slice_psnr, noise_corrected_psnr, psnr
from MRIDenoiseLib.evaluation.figures.residual import autocorrelation, neighbour_correlation, noise_power_spectrum
from MRIDenoiseLib.evaluation.figures.ssim import FASTMRI, WANG, Convention, flicker_of_anatomy, reformatted_ssim, slice_flicker, ssim

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
