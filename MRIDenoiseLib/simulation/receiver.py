"""From the complex object to the magnitude image: coils, undersampling, reconstruction, windows, averages."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from MRIDenoiseLib.simulation import grappa, sense
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.kspace import complex_normal, fft2, ifft2, partial_fourier, relative_frequency, window2d
from MRIDenoiseLib.simulation.scene import Scene

ACS_RIDGE = 1e-3
"""Tikhonov weight of SENSE with estimated sensitivities, relative to the mean diagonal of its normal matrix."""
CALIBRATION_COLUMNS = 48
"""GRAPPA learns from this many central readout points: the outer ones hold little but noise."""


def magnitude_image(image: Tensor, model: AcquisitionModel, scene: Scene, z: Tensor, generator: torch.Generator) -> Tensor:
    """The magnitude image of a complex object, as reconstructed but before any filter of the vendor.

    Args:
        image: (Z, H, W) complex64; rows are phase encoded, whatever ``model.phase_axis`` says.
        model: the acquisition. Without noise nothing is drawn.
        scene: the coils.
        z: (Z,) slice positions, or (1,) for slices that share their coils.
        generator: source of the noise.

    Returns:
        (Z, H, W) float32.
    """
    height = image.shape[-2]
    padded = F.pad(image, (0, 0, 0, sense.divisible(height, model.reduction) - height))
    window = window2d(
        padded.shape[-2],
        padded.shape[-1],
        kind=model.apodisation,
        parameter=model.apodisation_parameter,
        corner_cut=model.corner_cut,
        zero_fill=model.fills,
        device=image.device,
    )
    if model.reconstruction == "sense" and model.combine == "adaptive":
        average = _known_sense(padded, model, scene, z, window, generator)
    else:
        average = _coil_by_coil(padded, model, scene, z, window, generator)
    return average[..., :height, :]


def _known_sense(image: Tensor, model: AcquisitionModel, scene: Scene, z: Tensor, window: Tensor, generator: torch.Generator) -> Tensor:
    """SENSE with known sensitivities returns the object itself plus noise of known covariance: no coil needs to be simulated."""
    count, sigma = _magnitudes(model)
    if sigma == 0:
        return _windowed(image, window, model).abs()
    s = scene.sensitivities(model, image.shape[-2], image.shape[-1], z)
    total = torch.zeros_like(image.real)
    for _ in range(count):
        white = complex_normal(image.shape, generator, image.device) * sigma
        total += _windowed(image + sense.image_noise(s, model.reduction, white), window, model).abs()
    return total / count


def _coil_by_coil(image: Tensor, model: AcquisitionModel, scene: Scene, z: Tensor, window: Tensor, generator: torch.Generator) -> Tensor:
    """Simulates every coil, for reconstructions whose noise has no closed form.

    Scanners combine by the root of the sum of squares without prewhitening, so there the coils' noise stays correlated.
    """
    height, width = image.shape[-2:]
    rss, pattern = model.combine == "rss", sense.sampling_pattern(model.reduction)
    s = scene.array.sensitivities(height, width, z, model.receive_bias) if rss else scene.sensitivities(model, height, width, z)
    colouring = scene.array.colouring.to(image.device) if rss else None
    clean = fft2(image.unsqueeze(1) * s)

    combining, folded, weights = s, 1.0, None
    if model.reconstruction != "sense":
        # one reference scan for all averages
        lines = clean[:, :, _central(model.acs_lines, height, image.device)]
        reference = lines + _coil_noise(lines.shape, model.sigma * _kept_strength(model), colouring, generator, image.device)
        if model.reconstruction == "grappa":
            weights = grappa.calibrate(reference[..., _central(CALIBRATION_COLUMNS, width, image.device)], *pattern)
        else:
            combining, folded = _estimated_sensitivities(reference, s), model.reduction

    count, sigma = _magnitudes(model)
    total = torch.zeros_like(image.real)
    for _ in range(count):
        kspace = clean + _coil_noise(clean.shape, sigma, colouring, generator, image.device)
        if weights is not None:
            kspace = grappa.fill(kspace, weights, *pattern)
        if rss:
            total += sense.strength(_filtered(kspace, window, model)) / sense.strength(s)
        else:
            combined = sense.unfold(sense.fold(ifft2(kspace), folded), combining, folded, ACS_RIDGE)
            total += _windowed(combined, window, model).abs()
    return total / count


def _magnitudes(model: AcquisitionModel) -> tuple[int, float]:
    """How many magnitude images are averaged, and the coils' noise in each of them."""
    count = max(1, round(model.nex)) if model.magnitude_averaging and math.isfinite(model.nex) else 1
    return count, model.sigma * math.sqrt(count / model.nex) * _kept_strength(model)


def _kept_strength(model: AcquisitionModel) -> float:
    """How much stronger a sample's noise is, so that a pixel's noise is as strong as without zero filling."""
    return math.sqrt(math.prod(model.fills))


def _coil_noise(
    shape: tuple[int, ...], sigma: float, colouring: Tensor | None, generator: torch.Generator, device: torch.device
) -> Tensor | float:
    """Noise of (Z, C, rows, columns) with the covariance between coils that ``colouring`` gives, white without it."""
    if sigma == 0:
        return 0.0
    white = complex_normal(shape, generator, device) * sigma
    return white if colouring is None else (colouring @ white.flatten(2)).view(shape)


def _estimated_sensitivities(lines: Tensor, s: Tensor) -> Tensor:
    """(Z, C, H, W): the low-resolution coil images of a reference scan, scaled to the strength of the true sensitivities."""
    height, width = s.shape[-2:]
    count = lines.shape[-2]
    kspace = lines.new_zeros(*lines.shape[:2], height, width)
    kspace[:, :, _central(count, height, s.device)] = lines
    for axis, size in ((-2, height), (-1, width)):
        line = relative_frequency(size, s.device) * size / count
        kspace = kspace * (0.5 + 0.5 * torch.cos(math.pi * line.clamp(-1, 1))).view(-1, *(1,) * (-axis - 1))
    low = ifft2(kspace)
    return low * (sense.strength(s) / sense.strength(low).clamp_min(1e-12)).unsqueeze(1)


def _central(count: int, size: int, device: torch.device) -> Tensor:
    """Where the ``count`` lowest of ``size`` frequencies are in ``torch.fft`` order, starting from the most negative one."""
    count = min(count, size)
    return torch.arange(-(count // 2), count - count // 2, device=device) % size


def _windowed(image: Tensor, window: Tensor, model: AcquisitionModel) -> Tensor:
    if model.partial_fourier == "none" and model.apodisation == "none" and not model.corner_cut and model.fills == (1, 1):
        return image
    return _filtered(fft2(image), window, model)


def _filtered(kspace: Tensor, window: Tensor, model: AcquisitionModel) -> Tensor:
    return partial_fourier(kspace * window, model.partial_fourier_fraction, model.partial_fourier, model.zero_fill)
