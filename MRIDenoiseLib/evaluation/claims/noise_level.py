"""Is the noise level right? White and coarse noise of known strength is added to clean volumes, and the model measures it.

White (Rician) noise, noise of interpolated images and of SENSE, from 0.005 to 0.15 of P99.5, on volumes of patients that no
training saw. The model's value has to be within 15 % of the truth. The volumes have noise of their own. So they are first brought
to a coarser grid, where it is small, and the rest of it counts as noise. A row whose own noise is above a third of the added noise
means little: it is shown in brackets and does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from MRIDenoiseLib import io
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Numbers, Option, Subjects, chosen, tracked, volumes_of
from MRIDenoiseLib.evaluation.claims.native_noise import middle_slices
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.kspace import fft2, ifft2, seeded_generator, window2d
from MRIDenoiseLib.simulation.noise import acquire_volume, level1, rician
from MRIDenoiseLib.simulation.presets import benchmark_model
from MRIDenoiseLib.simulation.scene import Scene

WHAT = (
    "noise level given to the networks over the true noise, for noise of known kind and strength (part of P99.5) on volumes "
    "brought to a coarser grid; true: root mean square of the added noise in tissue and of what the volume had; counts: the latter is "
    "at most a third of it"
)

STRENGTHS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15)
"""Relative to P99.5, the range in which the noise has to be estimated correctly."""
LARGEST_DEVIATION = 0.15
OWN_SHARE = 1 / 3
"""Relative to the added noise; a row with more noise of its own does not count."""


@dataclass(frozen=True)
class Estimate:
    """One row.

    Args:
        kind: one of :data:`KINDS`.
        true: root mean square of the whole noise in tissue: added noise and the volume's own.
        estimated: the model's estimate, in the same unit.
        counts: whether the volume's own noise is at most a third of the added noise.
    """

    kind: str
    true: float
    estimated: float
    counts: bool

    @property
    def ratio(self) -> float:
        """Estimated over true; 1 is right."""
        return self.estimated / self.true

    @property
    def holds(self) -> bool:
        """Whether it is within 15 %."""
        return abs(self.ratio - 1) <= LARGEST_DEVIATION


def coarser(slices: np.ndarray, factor: float) -> np.ndarray:
    """The same anatomy on a grid coarser by ``factor`` within slices: the inner part of k-space.

    White noise of a pixel decreases by the factor.

    Args:
        slices: magnitude (slices, rows, columns).
        factor: 1 or more.

    Returns:
        float32 with an even number of rows and columns.
    """
    sizes = [2 * min(size // 2, round(size / factor / 2)) for size in slices.shape[1:]]
    kspace = np.fft.fftshift(np.fft.fft2(slices, norm="forward"), axes=(1, 2))
    inner = tuple(slice(size // 2 - new // 2, size // 2 - new // 2 + new) for size, new in zip(slices.shape[1:], sizes, strict=True))
    image = np.fft.ifft2(np.fft.ifftshift(kspace[(slice(None), *inner)], axes=(1, 2)), norm="forward")
    return np.abs(image).astype(np.float32)


def _white(clean: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
    return clean, rician(clean, sigma, seeded_generator(seed, "white", 0))


def _interpolated(factor: float) -> Callable[[Tensor, float, int], tuple[Tensor, Tensor]]:
    def add(clean: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
        window = window2d(clean.shape[1], clean.shape[2], zero_fill=factor)
        reference = ifft2(fft2(clean.to(torch.complex64)) * window).abs()
        # The noise after the window shall have the requested strength.
        scale = sigma / math.sqrt(float(window.square().mean()))
        return reference, level1(reference, scale, seeded_generator(seed, f"interpolated {factor:g}", 0), window=window)

    return add


def _sense(clean: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
    model = replace(benchmark_model("L2-2"), sigma=sigma / math.sqrt(2), rounding_bits=None)
    scene = Scene.standard(model)
    reference, noisy = (acquire_volume(clean, acquisition, seed, scene=scene) for acquisition in (model.partner(), model))
    return reference, noisy


KINDS: dict[str, Callable[[Tensor, float, int], tuple[Tensor, Tensor]]] = {
    "white": _white,
    "interpolated 1.5": _interpolated(1.5),
    "interpolated 2": _interpolated(2.0),
    "SENSE 2": _sense,
}
"""(Clean (slices, rows, columns), strength, seed) -> the image without the noise and with it. In interpolated images the anatomy
ends where the noise ends in k-space; in ``SENSE 2`` the strength varies over the image and is about the requested one."""


def estimate_of(
    clean: np.ndarray, kind: str, sigma: float, estimator: Callable[[np.ndarray], float], *, own_noise: float = 0.0, seed: int = 0
) -> Estimate:
    """Add noise and estimate it.

    Args:
        clean: float32 (slices, rows, columns), P99.5 = 1.
        kind: one of :data:`KINDS`.
        sigma: strength of the noise, relative to P99.5.
        estimator: noisy slices -> the standard deviation of their noise.
        own_noise: of the clean slices, relative to P99.5.
        seed: of the noise.
    """
    reference, noisy = (image.numpy() for image in KINDS[kind](torch.from_numpy(clean), sigma, seed))
    tissue = reference > FOREGROUND_THRESHOLD
    added = float(np.sqrt(np.square(noisy - reference, dtype=np.float64)[tissue].mean()))
    return Estimate(kind, math.hypot(added, own_noise), estimator(noisy), own_noise <= OWN_SHARE * added)


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    subjects: Subjects = "",
    kinds: Annotated[str, Option("of noise, with commas between")] = ",".join(KINDS),
    grid: Annotated[float, Option("how many times coarser the pixels are made", least=1)] = 2.0,
    limit: Annotated[int, Option("middle slices of each volume", least=1)] = 5,
    seed: Annotated[int, Option("of the noise")] = 0,
) -> Numbers:
    """Let the model measure the noise of every kind and strength on every volume."""
    wanted = chosen(kinds, KINDS, "kind of noise")
    volumes = volumes_of(data, subjects)

    def estimator(noisy: np.ndarray) -> float:
        return analyse(noisy, model.network("noise_estimator")).noise_level

    rows: list[dict[str, Any]] = []
    for row in tracked(volumes, progress, "volumes"):
        slices = io.read(data / row.file).stack
        first, last = middle_slices(len(slices), limit)
        clean = coarser(slices[first:last].clip(min=0), grid)
        clean /= np.float32(clean_scale(clean))
        for kind, sigma in product(wanted, STRENGTHS):
            estimated = estimate_of(clean, kind, sigma, estimator, own_noise=(row.own_noise or 0.0) / grid, seed=seed)
            rows.append({"volume": row.name, "strength": sigma, **asdict(estimated), "ratio": round(estimated.ratio, 4)})
    return {"what": WHAT, "rows": rows}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Estimated over true noise by strength, and on how many rows it is right."""
    found = {
        (row["volume"], row["kind"], row["strength"]): Estimate(**{field.name: row[field.name] for field in fields(Estimate)})
        for row in numbers["rows"]
    }
    table = Table(
        "volume", "noise", *(f"{sigma:g}" for sigma in STRENGTHS), title="Noise level given / true noise, by strength (part of P99.5)"
    )
    for name, kind in dict.fromkeys((name, kind) for name, kind, _ in found):
        rows = [found[name, kind, sigma] for sigma in STRENGTHS]
        table.add_row(name, kind, *(f"{estimated.ratio:.2f}" if estimated.counts else f"({estimated.ratio:.2f})" for estimated in rows))
    yield table
    counted = [estimated for estimated in found.values() if estimated.counts]
    right = sum(estimated.holds for estimated in counted)
    answer = "holds" if right == len(counted) else "does not hold"
    yield f"Wanted: within {100 * LARGEST_DEVIATION:.0f} %. It {answer}: so on {right} of {len(counted)} rows that count."


def headline(numbers: Numbers) -> Headline:
    """On how many rows that count the estimate is right."""
    ratios = [row["ratio"] for row in numbers["rows"] if row["counts"]]
    right = sum(abs(ratio - 1) <= LARGEST_DEVIATION for ratio in ratios)
    says = f"The noise level is within {100 * LARGEST_DEVIATION:.0f} % of the truth on {right} of {len(ratios)} rows that count."
    return Headline(says, {"rows that count": len(ratios), "right": right, "rows in all": len(numbers["rows"])})


CLAIM = Claim("noise-level", measure, show, headline)
