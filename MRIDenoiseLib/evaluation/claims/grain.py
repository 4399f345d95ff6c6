"""How much of what a sampler adds depends on its seed and not on the image: grain that is not anatomy.

The middle slice of volumes of patients that no training saw is made noisy and sharpened with several seeds. What differs between
seeds is not anatomy. ``mridenoise compare`` shows what sharpening costs and how sharp it makes edges, and ``mridenoise measure
lesions --method sharpened`` shows what it leaves of small lesions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Annotated, Any, NamedTuple

import numpy as np
from rich.table import Table

from MRIDenoiseLib.evaluation.claims.claim import (
    Claim,
    Data,
    Headline,
    Noises,
    NoisyVolume,
    Numbers,
    Option,
    Subjects,
    chosen,
    tracked,
    volumes_of,
)
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.methods import SHARPENED
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS

WHAT = (
    "what sharpening changes in the foreground of a middle slice; share: part of its mean square that follows the seed and not "
    "the image; deviation: of that part, in standard deviations of the true noise in bright tissue"
)


class Grain(NamedTuple):
    """The part of a change that depends on the seed.

    Args:
        share: of the mean square of what the sampler changed, 0 (every seed gives the same) to 1 (nothing but grain).
        deviation: its standard deviation, in the units of the images.
        changed: root mean square of all that the sampler changed, in the same units.
    """

    share: float
    deviation: float
    changed: float


def grain(samples: Sequence[np.ndarray], start: np.ndarray, where: np.ndarray) -> Grain:
    """Compare a sampler's answers to several seeds.

    Each answer is start + anatomy + grain, of which the last alone differs between seeds; its variance at a pixel is the
    sample variance over seeds there (a one-way analysis of variance with random effects).

    Args:
        samples: the answers, arrays of one shape, at least two.
        start: the image that the sampler started from, the same shape.
        where: bool, the same shape; the pixels that count.

    Raises:
        ValueError: fewer than two samples, or no pixel counts.
    """
    if len(samples) < 2 or not where.any():
        raise ValueError("grain needs two samples or more, and pixels that count")
    changes = np.stack([np.asarray(sample, dtype=np.float64)[where] - start[where] for sample in samples])
    between = float(changes.var(axis=0, ddof=1).mean())
    whole = float((changes**2).mean())
    return Grain(between / whole if whole else 0.0, between**0.5, whole**0.5)


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    sharpness: Annotated[float, Option("above 0, to 1", least=0.01, most=1)] = 1.0,
    seeds: Annotated[int, Option("how many", least=2)] = 4,
    rows: Noises = "L2-2",
    subjects: Subjects = "",
) -> Numbers:
    """Sharpen the middle slice of every volume and noise with several seeds."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    denoiser = Denoiser(model)
    found: list[dict[str, Any]] = []
    for source, noise in tracked(cases, progress, "volumes and noises"):
        row = NoisyVolume.read(data, source, noise)
        middle = len(row.clean) // 2

        def sharpen(to: float, seed: int, row: NoisyVolume = row, z: int = middle) -> np.ndarray:
            settings = Settings(method=SHARPENED.name, sharpness=to, seed=seed, slices=(z, z + 1))
            image = denoiser(row.volume, settings).volume
            return image.stack[z]

        answers = [sharpen(sharpness, seed) for seed in range(seeds)]
        of_it = grain(answers, sharpen(0, 0), row.clean[middle] > FOREGROUND_THRESHOLD)
        found.append(
            {
                "volume": source.name,
                "noise": noise,
                "share": round(of_it.share, 3),
                "deviation": round(of_it.deviation / row.noise_level, 3),
                "changed": round(of_it.changed / row.noise_level, 3),
            }
        )
    means = {name: round(float(np.mean([row[name] for row in found])), 3) for name in ("share", "deviation", "changed")}
    return {"what": WHAT, "sharpness": sharpness, "seeds": seeds, "rows": found, "means": means}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per volume and noise, and their means."""
    title = f"What sharpness {numbers['sharpness']:g} changes, {numbers['seeds']} seeds; in standard deviations of the noise"
    table = Table("volume", "noise", "changed", "of it, following the seed", "share of the mean square", title=title)
    for row in [*numbers["rows"], {"volume": "mean", "noise": "", **numbers["means"]}]:
        table.add_row(row["volume"], row["noise"], f"{row['changed']:.2f}", f"{row['deviation']:.2f}", f"{row['share']:.2f}")
    yield table


def headline(numbers: Numbers) -> Headline:
    """The part of the sharpening's change that depends on the seed."""
    share, deviation = numbers["means"]["share"], numbers["means"]["deviation"]
    says = f"At sharpness {numbers['sharpness']:g}, {100 * share:.0f} % of what is changed (mean square) follows the seed."
    figures = {"images": len(numbers["rows"]), "share that follows the seed": share, "its deviation, of that of the noise": deviation}
    return Headline(says, figures)


CLAIM = Claim("grain", measure, show, headline)
