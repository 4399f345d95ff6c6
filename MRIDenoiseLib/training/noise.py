"""Noise synthesis: what an accelerated acquisition of a clean magnitude image would have looked like.

Level 0 is Rician noise. Level 1 lets its strength vary over the image and its grain follow a k-space window. Level 2
goes the scanner's way: complex object, coils with correlated noise, undersampling and SENSE, averaging, partial
Fourier, windows, magnitude, vendor filter, rounding. Images are float32 (Z, H, W), slices first, in units in which the
99.5th percentile of the clean volume's positive voxels is 1.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from . import sense
from .acquisition_model import AcquisitionModel
from .coils import CoilArray, random_array, ring_array, with_noise_correlation
from .kspace import fft2, ifft2, partial_fourier, relative_frequency, window2d
from .post_filter import post_filter, quantise, warp

__all__ = [
    "BENCHMARK_ROWS",
    "AcquisitionModel",
    "Scene",
    "acquire",
    "acquire_pair",
    "acquire_volume",
    "benchmark_model",
    "benchmark_row",
    "level1",
    "rician",
    "seeded_generator",
]

BENCHMARK_ROWS = ("R", "M0.05", "M0.10", "L2-1.5", "L2-2", "L2-3")
"""The rows of every comparison, see :func:`benchmark_row`."""

RICIAN_BENCHMARK_SIGMA = 13 / 255
ACS_RIDGE = 1e-3


def rician(image: Tensor, sigma: float | Tensor, generator: torch.Generator) -> Tensor:
    """Level 0: sqrt((x + n1)^2 + n2^2) with n1, n2 ~ N(0, sigma^2) independent in every voxel.

    Args:
        image: clean magnitude, any shape.
        sigma: standard deviation, a number or a map that broadcasts to the image.
        generator: source of the noise.
    """
    return (image + sigma * _normal(image.shape, generator, image.device)).hypot(sigma * _normal(image.shape, generator, image.device))


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
        g_map: what multiplies sigma, broadcastable to the image; None for one everywhere.
        nex: averages.
        coils: channels of the root of the sum of squares (1 gives Rician statistics).
        window: H x W k-space weight in ``torch.fft`` order that the noise alone goes through; None for white noise.
    """
    scale = sigma / math.sqrt(nex) * (1.0 if g_map is None else g_map)
    power = torch.zeros_like(image)
    for channel in range(coils):
        noise = _complex_normal(image.shape, generator, image.device) * scale
        if window is not None:
            noise = ifft2(fft2(noise) * window)
        signal = noise + image if channel == 0 else noise
        power += torch.view_as_real(signal).square().sum(-1)
    return power.sqrt()


@dataclass(frozen=True)
class Scene:
    """Everything about an acquisition that does not change from one repetition to the next: coils, object phase, warp.

    Args:
        array: the receive coils.
        phase: 3 x 3 x 3 float32, cosine-series coefficients (z, y, x) of the object's phase, largest swing 1.
        contrast_phase: radians of phase per unit of image intensity (fat, blood and tissue differ in phase).
        wave: see :func:`MRIDenoiseLib.training.post_filter.warp`.
    """

    array: CoilArray
    phase: Tensor
    contrast_phase: float
    wave: Tensor

    @classmethod
    def draw(cls, model: AcquisitionModel, generator: torch.Generator) -> Scene:
        """A random scene for ``model``; two models that differ in averages or sampling only may share it."""
        array = random_array(model.coils, model.noise_correlation, generator)
        phase = torch.randn(3, 3, 3, generator=generator, device=generator.device).cpu()
        contrast, *wave = torch.rand(7, generator=generator, device=generator.device).cpu().tolist()
        waves = torch.tensor(wave).view(2, 3) * torch.tensor([2 * math.pi, 1.0, 1.0])
        return cls(array, phase / phase.abs().sum(), (contrast - 0.5) * math.pi / 2, waves)

    @classmethod
    def standard(cls, model: AcquisitionModel) -> Scene:
        """The fixed scene of the benchmark: equal loops evenly around, a gentle object phase, nothing random."""
        array = with_noise_correlation(ring_array(model.coils), model.noise_correlation)
        phase = torch.zeros(3, 3, 3)
        phase[0, 1, 0], phase[0, 0, 1], phase[1, 1, 1] = 0.4, 0.4, 0.2
        return cls(array, phase, 0.0, torch.zeros(2, 3))

    def object_phase(self, image: Tensor, z: Tensor, swing: float) -> Tensor:
        """Z x H x W: phase of the object in radians at slice positions ``z``."""
        height, width = image.shape[-2:]
        bases = [
            torch.cos(math.pi * torch.arange(3, device=image.device) * (p.view(-1, 1) + 1) / 2)
            for p in (
                z.to(image.device),
                torch.linspace(-1, 1, height, device=image.device),
                torch.linspace(-1, 1, width, device=image.device),
            )
        ]
        smooth = torch.einsum("zc,yb,xa,cba->zyx", *bases, self.phase.to(image.device))
        return swing / 2 * smooth + self.contrast_phase * image

    def sensitivities(self, model: AcquisitionModel, height: int, width: int, z: Tensor) -> Tensor:
        """Z x C x H x W prewhitened sensitivities; rows are phase encoded."""
        return self.array.whitened(self.array.sensitivities(height, width, z, model.receive_bias))

    def noise_std(self, model: AcquisitionModel, height: int, width: int, z: Tensor) -> Tensor:
        """Z x H x W: analytic noise per real and imaginary part of the SENSE image before the windows, all averages in."""
        padded = _divisible(height, model.reduction)
        s = self.sensitivities(model, padded, width, z)
        return (sense.noise_std(s, model.reduction) * (model.sigma / math.sqrt(model.nex)))[:, :height]


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
    if model.phase_axis == 1:
        turned = acquire(image.transpose(-1, -2), replace(model, phase_axis=0), generator, scene=scene, z=z)
        return turned.transpose(-1, -2).contiguous()
    position = torch.zeros(1, device=image.device) if z is None else z.to(image.device)
    distorted = warp(image, scene.wave, model.unwarp, 1) if model.unwarp > 0 else image
    phase = scene.object_phase(distorted, position, model.object_phase)
    magnitude = _magnitude(torch.polar(distorted, phase), model, scene, position, generator)
    if model.unwarp > 0:
        magnitude = warp(magnitude, scene.wave, model.unwarp, -1)
    magnitude = post_filter(magnitude, model)
    return magnitude if model.rounding_bits is None else quantise(magnitude, model.rounding_bits)


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

    ``full`` is usually ``fast.partner(acceleration)``; both must have the same coils.
    """
    if fast.coils != full.coils:
        raise ValueError(f"both acquisitions of a pair need the same coils, got {fast.coils} and {full.coils}")
    scene = Scene.draw(fast, scene_generator)
    noisy = acquire(image, fast, noise_generator, scene=scene, z=z)
    return noisy, acquire(image, full, noise_generator, scene=scene, z=z)


def acquire_volume(
    image: Tensor,
    model: AcquisitionModel,
    seed: int,
    *,
    scene: Scene | None = None,
    slices: Iterable[int] | None = None,
) -> Tensor:
    """A whole volume slice by slice: coils vary along it, and a slice's noise does not depend on which others are asked for.

    Args:
        image: (Z, H, W) the whole clean volume, P99.5 = 1.
        model: the acquisition.
        seed: decides scene and noise.
        scene: overrides the scene that the seed would draw.
        slices: which slices to acquire, all by default.

    Returns:
        (number of slices asked for, H, W) float32.
    """
    scene = scene or Scene.draw(model, seeded_generator(seed, "scene", 0))
    positions = torch.linspace(-0.5, 0.5, len(image)) if len(image) > 1 else torch.zeros(1)
    chosen = range(len(image)) if slices is None else slices
    return torch.cat(
        [acquire(image[k : k + 1], model, seeded_generator(seed, "noise", k), scene=scene, z=positions[k : k + 1]) for k in chosen]
    )


def benchmark_model(name: str) -> AcquisitionModel:
    """The level-2 model behind a row of :data:`BENCHMARK_ROWS` (all but ``R``).

    All rows: eight equal coils evenly around the image, noise correlation 0.15, known sensitivities, separable
    raised-cosine window from 0.75 Nyquist to 0 at Nyquist, SENSE, magnitude, no vendor filter. ``M0.05`` and ``M0.10``:
    complex noise of 0.05 and 0.10 in each coil, full sampling. ``L2-R``: reduction R along rows with complex noise of
    0.04, so 0.04 sqrt(R) times the g-factor in the image, stored with 12 bits. Complex noise of sigma means CN(0, sigma^2),
    E|n|^2 = sigma^2: sigma / sqrt(2) in each of the real and imaginary parts.
    """
    kind, _, number = name.partition("-") if name.startswith("L2-") else (name[:1], "", name[1:])
    if name not in BENCHMARK_ROWS or name == "R":
        raise ValueError(f"no benchmark model {name!r}; there are {', '.join(BENCHMARK_ROWS[1:])}")
    model = AcquisitionModel(coils=8, noise_correlation=0.15, apodisation="raised_cosine", apodisation_parameter=0.75, object_phase=math.pi)
    if kind == "M":
        return replace(model, sigma=float(number) / math.sqrt(2))
    return replace(model, sigma=0.04 / math.sqrt(2), reduction=float(number), rounding_bits=12)


def benchmark_row(name: str, image: Tensor, seed: int = 11, *, slices: Iterable[int] | None = None) -> Tensor:
    """A row of the comparisons: the noisy version of a volume that every method gets, the same for all of them.

    Args:
        name: one of :data:`BENCHMARK_ROWS`; ``R`` is Rician noise of 13/255.
        image: (Z, H, W) the whole clean volume divided by the P99.5 of its positive voxels; Z is the acquired slice axis.
        seed: of the noise.
        slices: which slices to make; their noise is the same whichever others are made.
    """
    if name == "R":
        chosen = range(len(image)) if slices is None else slices
        return torch.stack([rician(image[k], RICIAN_BENCHMARK_SIGMA, seeded_generator(seed, name, k)) for k in chosen])
    model = benchmark_model(name)
    return acquire_volume(image, model, seed, scene=Scene.standard(model), slices=slices)


def _magnitude(image: Tensor, model: AcquisitionModel, scene: Scene, z: Tensor, generator: torch.Generator) -> Tensor:
    """From the complex object (Z, H, W) to the magnitude image, rows phase encoded."""
    height = image.shape[-2]
    padded = F.pad(image, (0, 0, 0, _divisible(height, model.reduction) - height))
    s = scene.sensitivities(model, padded.shape[-2], padded.shape[-1], z)
    window = window2d(
        padded.shape[-2],
        padded.shape[-1],
        kind=model.apodisation,
        parameter=model.apodisation_parameter,
        corner_cut=model.corner_cut,
        zero_fill=model.zero_fill,
        device=image.device,
    )
    repeats = max(1, round(model.nex)) if model.magnitude_averaging and math.isfinite(model.nex) else 1
    # zero filling keeps a pixel's noise strength although its energy lies in fewer samples of k-space
    sigma = model.sigma * math.sqrt(repeats / model.nex) * model.zero_fill
    total: Tensor | float = 0.0
    for _ in range(repeats):
        total = total + _one_average(padded, model, scene, s, window, sigma, generator)
    assert isinstance(total, Tensor)
    return (total / repeats)[..., :height, :]


def _one_average(
    image: Tensor, model: AcquisitionModel, scene: Scene, s: Tensor, window: Tensor, sigma: float, generator: torch.Generator
) -> Tensor:
    if model.combine == "rss":
        colouring = scene.array.colouring.to(image.device)
        noise = _complex_normal((len(image), model.coils, *image.shape[1:]), generator, image.device) * sigma
        whitened = image.unsqueeze(1) * s + noise
        filtered = _windowed(_mixed(colouring, whitened), window, model)
        return sense.strength(filtered) / sense.strength(_mixed(colouring, s))
    if model.calibration == "acs":
        combined = _calibrated_from_acs(image, model, s, sigma, generator)
    else:
        white = _complex_normal(image.shape, generator, image.device) * sigma
        combined = image + sense.image_noise(s, model.reduction, white)
    return _windowed(combined, window, model).abs()


def _mixed(matrix: Tensor, coil_images: Tensor) -> Tensor:
    """A C x C matrix applied to the coils of (Z, C, H, W)."""
    return (matrix @ coil_images.flatten(2)).view(coil_images.shape)


def _windowed(image: Tensor, window: Tensor, model: AcquisitionModel) -> Tensor:
    if model.partial_fourier == "none" and model.apodisation == "none" and not model.corner_cut and model.zero_fill == 1:
        return image
    return partial_fourier(fft2(image) * window, model.partial_fourier_fraction, model.partial_fourier, model.zero_fill)


def _calibrated_from_acs(image: Tensor, model: AcquisitionModel, s: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """SENSE coil by coil with sensitivities estimated from the central lines of a noisy reference scan."""
    shape = (len(image), model.coils, *image.shape[1:])
    coil_images = image.unsqueeze(1) * s
    reference = fft2(coil_images + _complex_normal(shape, generator, image.device) * sigma)
    for axis in (-2, -1):
        line = relative_frequency(image.shape[axis], image.device) * image.shape[axis] / min(model.acs_lines, image.shape[axis])
        taper = (0.5 + 0.5 * torch.cos(math.pi * line.clamp(-1, 1))).view(-1, *(1,) * (-axis - 1))
        reference = reference * taper
    low = ifft2(reference)
    estimate = low * (sense.strength(s) / sense.strength(low).clamp_min(1e-12)).unsqueeze(1)
    measured = coil_images + _complex_normal(shape, generator, image.device) * sigma
    return sense.unfold(sense.fold(measured, model.reduction), estimate, model.reduction, ACS_RIDGE)


def _divisible(height: int, reduction: float) -> int:
    """The number of lines to encode: the field of view grows by a line or two so that lines fold in whole groups."""
    period, _ = sense.sampling_pattern(reduction)
    return -(-height // period) * period


def _normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def _complex_normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Unit variance in each of the real and imaginary parts."""
    return torch.view_as_complex(_normal((*shape, 2), generator, device))


def seeded_generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """A CPU generator of its own for each purpose and slice, so that a slice's noise depends on nothing else."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed} {purpose} {index}".encode()))
