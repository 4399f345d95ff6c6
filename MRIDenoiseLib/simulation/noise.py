"""Noise synthesis: what an accelerated acquisition of a clean magnitude image would have looked like.

Level 0 is Rician noise. In level 1 its strength varies over the image, and a k-space window shapes its spectrum. Level 2
follows the scanner: complex object, coils with correlated noise, undersampling and SENSE or GRAPPA, averaging, partial
Fourier, windows, magnitude, vendor filter, rounding. Images are float32 (Z, H, W), slices first, in units in which the
99.5th percentile of the clean volume's positive voxels is 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.kspace import complex_normal, fft2, ifft2, normal, seeded_generator
from MRIDenoiseLib.simulation.post_filter import post_filter, quantise, warp
from MRIDenoiseLib.simulation.receiver import magnitude_image
from MRIDenoiseLib.simulation.scene import Scene


def rician(image: Tensor, sigma: float | Tensor, generator: torch.Generator) -> Tensor:
    """Level 0: sqrt((x + n1)^2 + n2^2) with n1, n2 ~ N(0, sigma^2) independent in every voxel.

    Args:
        image: clean magnitude, any shape.
        sigma: standard deviation, a number or a map that broadcasts to the image.
        generator: source of the noise.
    """
    return (image + sigma * normal(image.shape, generator, image.device)).hypot(sigma * normal(image.shape, generator, image.device))


def level1(
    image: Tensor,
    sigma: float,
    generator: torch.Generator,
    *,
    g_map: Tensor | None = None,
    nex: float = 1.0,
    coils: int = 1,
    window: Tensor | None = None,
) -> Tensor:
    """Level 1: noise of strength sigma * g(r) / sqrt(nex), with the grain of ``window``, non-central chi for ``coils`` > 1.

    Args:
        image: (Z, H, W) clean magnitude.
        sigma: noise per real and imaginary part of one average.
        generator: source of the noise.
        g_map: the factor of sigma, broadcastable to the image; None for one everywhere.
        nex: averages.
        coils: channels of the root of the sum of squares (1 gives Rician statistics).
        window: H x W k-space weight in ``torch.fft`` order that is applied to the noise alone; None for white noise.
    """
    scale = sigma / math.sqrt(nex) * (1.0 if g_map is None else g_map)
    power = torch.zeros_like(image)
    for channel in range(coils):
        noise = complex_normal(image.shape, generator, image.device) * scale
        if window is not None:
            noise = ifft2(fft2(noise) * window)
        signal = noise + image if channel == 0 else noise
        power += torch.view_as_real(signal).square().sum(-1)
    return power.sqrt()


def acquire(
    image: Tensor, model: AcquisitionModel, generator: torch.Generator, *, scene: Scene | None = None, z: Tensor | None = None
) -> Tensor:
    """Level 2: the magnitude image a scanner with ``model`` would store of the clean ``image``.

    Args:
        image: (Z, H, W) float32 clean magnitude, P99.5 = 1. May be a crop: the coils then surround the crop.
        model: the acquisition.
        generator: source of the noise (and of the scene when none is given, before any noise is drawn).
        scene: coils and phases; None draws them.
        z: (Z,) slice positions in [-1, 1]; None treats the slices as one thin slab at the centre, sharing their coils.

    Returns:
        (Z, H, W) float32, >= 0, on the image's device.
    """
    scene = scene or Scene.draw(model, generator)
    position = _position(image, z)
    return _acquired(_complex_object(image, model, scene, position), model, scene, position, generator)


def acquire_pair(
    image: Tensor,
    fast: AcquisitionModel,
    full: AcquisitionModel,
    scene_generator: torch.Generator,
    noise_generator: torch.Generator,
    *,
    z: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(noisy, clean): the same scene acquired twice, with noise that is independent between the two.

    ``full`` is usually ``fast.partner(acceleration)``. Without noise of its own it draws nothing.

    Raises:
        ValueError: when the two do not look at the same object with the same coils.
    """
    for name in ("coils", "phase_axis", "object_phase", "unwarp"):
        if getattr(fast, name) != getattr(full, name):
            what = name.replace("_", " ")
            raise ValueError(f"both acquisitions of a pair need the same {what}, got {getattr(fast, name)} and {getattr(full, name)}")
    scene = Scene.draw(fast, scene_generator)
    position = _position(image, z)
    seen = _complex_object(image, fast, scene, position)
    return _acquired(seen, fast, scene, position, noise_generator), _acquired(seen, full, scene, position, noise_generator)


def acquire_volume(
    image: Tensor,
    model: AcquisitionModel,
    seed: int,
    *,
    scene: Scene | None = None,
    slices: Iterable[int] | None = None,
) -> Tensor:
    """A whole volume slice by slice: coils vary along it, and a slice's noise does not depend on which others are requested.

    Args:
        image: (Z, H, W) the whole clean volume, P99.5 = 1.
        model: the acquisition.
        seed: decides scene and noise.
        scene: overrides the scene that the seed would draw.
        slices: which slices to acquire, all by default.

    Returns:
        (number of slices requested, H, W) float32.
    """
    scene = scene or Scene.draw(model, seeded_generator(seed, "scene", 0))
    positions = torch.linspace(-0.5, 0.5, len(image)) if len(image) > 1 else torch.zeros(1)
    chosen = range(len(image)) if slices is None else slices
    return torch.cat(
        [acquire(image[k : k + 1], model, seeded_generator(seed, "noise", k), scene=scene, z=positions[k : k + 1]) for k in chosen]
    )


def _position(image: Tensor, z: Tensor | None) -> Tensor:
    return torch.zeros(1, device=image.device) if z is None else z.to(image.device)


def _complex_object(image: Tensor, model: AcquisitionModel, scene: Scene, position: Tensor) -> Tensor:
    """(Z, H, W) complex64, turned so that rows are phase encoded."""
    return scene.complex_object(image if model.phase_axis == 0 else image.transpose(-1, -2), model, position)


def _acquired(seen: Tensor, model: AcquisitionModel, scene: Scene, position: Tensor, generator: torch.Generator) -> Tensor:
    """The stored image of a complex object, turned back."""
    magnitude = magnitude_image(seen, model, scene, position, generator)
    if model.unwarp > 0:
        magnitude = warp(magnitude, scene.wave, model.unwarp, -1)
    magnitude = post_filter(magnitude, model)
    if model.rounding_bits is not None:
        magnitude = quantise(magnitude, model.rounding_bits)
    return magnitude if model.phase_axis == 0 else magnitude.transpose(-1, -2).contiguous()
