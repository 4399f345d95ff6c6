"""What a result can never do: the mean of what was taken away over any small disc is bounded by the noise of the measured image.

Every method passes this at its end. The mean of pure noise over n pixels stays within a few times sigma / sqrt(n). Where more was
taken away, or less than nothing, the measured image shows through as far as it must. A structure and what surrounds it may each change
by the bound, so a structure whose contrast is above twice the bound can neither vanish nor appear, whatever the networks do. The bounds
come from the noisy image alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import special
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.inference.analysis import Analysis

RADII = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Pixels; discs of every one of these radii are bounded."""
ROUNDS = 4
"""How often what was taken away is lessened before whatever is still out of bounds shows the measured image itself."""
ROOM = 1e-3
"""Relative to a bound; within this, rounding is no violation."""
ROUNDING = 1e-6
"""Relative to the most that was taken away anywhere, likewise."""
SOFT = 2
"""Pixels around a violating disc over which the measured image fades in."""
ABOVE_FLOOR = 5.0
"""Times the noise: where tissue is brighter, the table of contrasts holds. Below, magnitude images hide structures themselves."""
EDGE = 2
"""Pixels over which brightness is averaged to see how far noise lifts it."""
CHANGED = 0.01
"""Where less than this part of what was taken away was given back, nothing was changed."""
HIDDEN, SEEN = 1.75, 2.5
"""Multiples of the noise. Below the first, brightness may be noise alone (its mean is 1.25) and may all be taken away; above the
second, only what noise adds to the mean of a magnitude may."""
LIFT_STEP, LIFT_END = 0.02, 10.0
"""Of the table of how far noise lifts a magnitude, in multiples of the noise."""


@dataclass(frozen=True)
class Guarantee:
    """What is guaranteed for one volume.

    Args:
        kappa: how many standard deviations of a disc's mean are allowed.
        diameters: of the discs, in mm.
        contrasts: by how much the mean over any disc of that diameter in tissue may differ from the measured image's, as a part of the
            brightness of bright tissue. A contrast of more than twice that can neither vanish nor appear.
        given_back: the part of the tissue's pixels in which the guarantee changed the result, 0 to 1.
    """

    kappa: float
    diameters: tuple[float, ...]
    contrasts: tuple[float, ...]
    given_back: float

    def sentence(self) -> str:
        """The table as a sentence, for three sizes; empty where there was no tissue to guarantee anything for."""
        found = [(size, contrast) for size, contrast in zip(self.diameters, self.contrasts, strict=True) if math.isfinite(contrast)]
        if not found:
            return ""
        shown = [found[0], found[len(found) // 2], found[-1]]
        listed = ", ".join(f"{contrast:.1%} at {size:.1f} mm" for size, contrast in dict(shown).items())
        return (
            "Guaranteed for this volume: over any disc in tissue the mean differs from the measured image's by at most this part of the "
            f"brightness of bright tissue: {listed} across. A structure with more than twice that contrast can neither vanish nor appear."
        )

    def as_json(self) -> dict[str, object]:
        """For the report."""
        table = [
            {"diameter_mm": round(size, 2), "contrast": round(contrast, 5) if math.isfinite(contrast) else None}
            for size, contrast in zip(self.diameters, self.contrasts, strict=True)
        ]
        return {"kappa": self.kappa, "table": table, "given_back": round(self.given_back, 5), "sentence": self.sentence()}


def hold(
    noisy: np.ndarray,
    cleaned: np.ndarray,
    analysis: Analysis,
    kappa: float,
    *,
    spacing: tuple[float, float],
    slices: tuple[int, int],
    device: torch.device,
    check: Callable[[int], None] = lambda done: None,
) -> Guarantee:
    """Hold the slices of a result to the measured image; ``cleaned`` is changed in place.

    For every disc D inside the image, with r = noisy - cleaned and the bound b(D) = kappa c sigma(D) / sqrt(n):
    -b(D) <= mean of r over D <= b(D) + the mean over D of how far noise lifts a magnitude as bright as each place. Here c is the
    coarseness of the grain; the lift is that of Rice's distribution (higher where the air shows that several coils were summed).

    Args:
        noisy: float32 (slices, rows, columns), in the volume's units.
        cleaned: the same after denoising.
        analysis: of ``noisy``; gives the noise at every pixel.
        kappa: see :class:`Guarantee`.
        spacing: mm between rows and between columns.
        slices: half-open range that was denoised.
        device: where to compute.
        check: called with the number of finished slices; it may raise to cancel.
    """
    shape = noisy.shape[1:]
    discs = _discs(shape)
    contrasts = torch.zeros(len(RADII), device=device)
    changed = tissue = 0
    for number, index in enumerate(range(*slices)):
        measured, taken = (torch.from_numpy(part).to(device) for part in (noisy[index], noisy[index] - cleaned[index]))
        bounds = _Bounds.of(
            measured, torch.from_numpy(analysis.noise_of(index, shape, at_least_level=True)).to(device), analysis, kappa, discs
        )
        contrasts[: len(discs)] = torch.maximum(contrasts[: len(discs)], bounds.contrasts)
        part = _part_kept(taken, bounds, discs)
        bright = measured > ABOVE_FLOOR * bounds.noise * analysis.floor
        tissue += int(bright.sum())
        if part is not None:
            changed += int((bright & (part < 1 - CHANGED)).sum())
            cleaned[index] = np.where((part < 1).cpu().numpy(), (measured - taken * part).cpu().numpy(), cleaned[index])
        check(number + 1)
    found = [float(value) / analysis.scale for value in contrasts]
    return Guarantee(
        kappa=kappa,
        diameters=tuple(2 * radius * math.sqrt(spacing[0] * spacing[1]) for radius in RADII),
        contrasts=tuple(value if value > 0 else math.nan for value in found),
        given_back=changed / max(tissue, 1),
    )


@dataclass(frozen=True, eq=False)
class _Disc:
    """A disc with soft edges as a filter of a slice: multiply its transform, and what comes back is the mean over the disc at each pixel.

    Args:
        transform: of the filter, for a real image of this shape.
        reach: pixels from the centre beyond which the disc does not reach.
        pixels: how many independent pixels its mean is as good as.
    """

    transform: Tensor
    reach: int
    pixels: float

    def mean(self, transform: Tensor, shape: torch.Size) -> Tensor:
        """The mean at every centre whose disc lies inside the image, (rows - 2 reach) x (columns - 2 reach)."""
        whole = torch.fft.irfft2(transform * self.transform.to(transform.device), s=tuple(shape))
        return whole[self.reach : shape[0] - self.reach, self.reach : shape[1] - self.reach]

    def inner(self, image: Tensor) -> Tensor:
        """The part of an image over those centres."""
        return image[self.reach : image.shape[0] - self.reach, self.reach : image.shape[1] - self.reach]


@lru_cache(maxsize=4)
def _discs(shape: tuple[int, ...]) -> tuple[_Disc, ...]:
    discs = []
    for radius in RADII:
        weights = disc_weights(radius)
        reach = len(weights) // 2
        if min(shape) <= 2 * reach:
            continue
        filter_ = np.zeros(shape, np.float32)
        filter_[: len(weights), : len(weights)] = weights
        filter_ = np.roll(filter_, (-reach, -reach), axis=(0, 1))
        # Even about its centre, so that its transform is real.
        discs.append(_Disc(torch.fft.rfft2(torch.from_numpy(filter_)).real.contiguous(), reach, 1 / float(np.square(weights).sum())))
    return tuple(discs)


def disc_weights(radius: float) -> np.ndarray:
    """A disc of this radius in pixels whose edge is one pixel wide; its weights add up to 1, float32 (odd, odd)."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    weights = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)
    return np.asarray(weights / weights.sum(), np.float32)


@dataclass(frozen=True, eq=False)
class _Bounds:
    """The bounds of one slice.

    Args:
        noise: the standard deviation of the noise at every pixel.
        low, high: of every disc's mean of what was taken away, one tensor a radius.
        contrasts: the largest change of a disc's mean that they allow in tissue, one a radius.
    """

    noise: Tensor
    low: list[Tensor]
    high: list[Tensor]
    contrasts: Tensor

    @classmethod
    def of(cls, measured: Tensor, noise: Tensor, analysis: Analysis, kappa: float, discs: Sequence[_Disc]) -> _Bounds:
        """From the measured slice and its noise, (rows, columns)."""
        lifted = torch.fft.rfft2(_lift_of(measured, (noise * analysis.floor).clamp_min(analysis.air_noise)))
        low, high, contrasts = [], [], []
        for disc in discs:
            here = disc.inner(noise)
            allowed = kappa * analysis.coarseness * here / math.sqrt(disc.pixels)
            low.append(-allowed)
            lift = disc.mean(lifted, measured.shape).clamp_min(0)
            high.append(allowed + lift)
            # Rice's distribution lifts a signal of A by sigma^2 / (2 A).
            tissue = lift < here * analysis.floor / (2 * ABOVE_FLOOR)
            contrasts.append(torch.where(tissue, high[-1], torch.zeros_like(lift)).max())
        return cls(noise, low, high, torch.stack(contrasts) if contrasts else torch.zeros(0, device=measured.device))

    def kept(self, means: Iterator[Tensor], most: float) -> list[Tensor]:
        """The part, 0 to 1, of what was taken away that may stay away at every disc.

        Args:
            means: of what was taken away, one a radius.
            most: the most that was taken away anywhere.
        """
        parts = []
        for mean, low, high in zip(means, self.low, self.high, strict=True):
            bound = torch.where(mean < 0, low, high)
            wrong = mean.abs() > bound.abs() * (1 + ROOM) + ROUNDING * most
            parts.append(torch.where(wrong, bound / mean, torch.ones_like(mean)).clamp(0, 1))
        return parts


def _part_kept(taken: Tensor, bounds: _Bounds, discs: Sequence[_Disc]) -> Tensor | None:
    """The part of what was taken away that stays away at every pixel, so that every disc is within its bounds; None where all of it may."""
    whole: Tensor | None = None
    most = float(taken.abs().max())
    rounds = 0
    while True:
        now = taken if whole is None else taken * whole
        transform = torch.fft.rfft2(now)
        parts = bounds.kept((disc.mean(transform, taken.shape) for disc in discs), most)
        violated = [bool((part < 1).any()) for part in parts]
        if not any(violated):
            return whole
        whole = torch.ones_like(taken) if whole is None else whole
        for part, disc, wrong in zip(parts, discs, violated, strict=True):
            if wrong:
                # In the end, whatever still violates shows the measured image itself; then every disc is within its bounds.
                whole = whole * _spread(part if rounds < ROUNDS else (part >= 1).to(part.dtype), disc)
        rounds += 1


def _spread(part: Tensor, disc: _Disc) -> Tensor:
    """What holds at a disc's centre as what holds at all its pixels, fading out around it; a pixel of several discs gets the least."""
    reach = disc.reach + SOFT
    padded = functional.pad(1 - part, (disc.reach,) * 4)[None, None]
    most = functional.max_pool2d(padded, 2 * reach + 1, 1, reach)
    faded = functional.avg_pool2d(functional.pad(most, (SOFT,) * 4, mode="replicate"), 2 * SOFT + 1, 1)
    return 1 - faded[0, 0]


def _lift_of(measured: Tensor, noise: Tensor) -> Tensor:
    """How far noise has lifted every place of a slice; both (rows, columns)."""
    if min(measured.shape) <= 2 * EDGE:
        return _lifted(measured, noise)
    smooth = functional.avg_pool2d(measured[None, None], 2 * EDGE - 1, 1, EDGE - 1, count_include_pad=False)
    # A mean beside an edge is too bright for the dark side: there, what is found a little farther from the edge holds.
    return functional.max_pool2d(_lifted(smooth, noise), 2 * EDGE - 1, 1, EDGE - 1)[0, 0]


def _lifted(brightness: Tensor, noise: Tensor) -> Tensor:
    """How far noise has lifted the mean magnitude of a place (Rice's distribution): all of it where there is no signal."""
    table = _lift_table().to(brightness.device)
    ratio = brightness / noise.clamp_min(torch.finfo(noise.dtype).tiny)
    place = (ratio / LIFT_STEP).clamp(0, len(table) - 1.001)
    before = place.floor()
    lower = table[before.long()]
    between = lower + (place - before) * (table[before.long() + 1] - lower)
    # Beyond the table: sigma^2 / (2 A).
    return torch.where(ratio < LIFT_END, between, 0.5 / ratio.clamp_min(LIFT_END)) * noise


@lru_cache(maxsize=1)
def _lift_table() -> Tensor:
    """Mean magnitude in steps -> mean magnitude minus signal, all relative to the noise of the complex parts."""
    signal = np.linspace(0, LIFT_END + 1, 2000)
    half = signal**2 / 4
    mean = math.sqrt(math.pi / 2) * ((1 + 2 * half) * special.ive(0, half) + 2 * half * special.ive(1, half))
    places = np.arange(0, LIFT_END + 2 * LIFT_STEP, LIFT_STEP)
    lifted = places - np.interp(places, mean, signal)
    fading = np.interp(places, [HIDDEN, SEEN], [HIDDEN, np.interp(SEEN, places, lifted)])
    return torch.from_numpy(np.select([places < HIDDEN, places < SEEN], [places, fading], lifted).astype(np.float32))
