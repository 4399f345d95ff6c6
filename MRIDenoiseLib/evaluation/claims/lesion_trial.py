"""One volume and noise with lesions and without: what noise, blurs, denoiser and a misinformed denoiser leave of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS, equally_clean_blur
from MRIDenoiseLib.evaluation.claims.lesion_contrast import Kept, Lesion, Summary, insert, kept, local_noise, place_lesions
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.scale import clean_scale
from MRIDenoiseLib.prompt import override
from MRIDenoiseLib.simulation.presets import benchmark_row
from MRIDenoiseLib.volume import Volume

NOISY, BLURRED, EQUALLY_BLURRED = "noisy", "best blur", "equal blur"

GROUPS: dict[str, Callable[[LesionOutcome], bool]] = {
    "all": lambda outcome: True,
    "contrast 2-3 sigma": lambda outcome: abs(outcome.lesion.sigmas) < 3,
    "contrast 3-4 sigma": lambda outcome: 3 <= abs(outcome.lesion.sigmas) < 4,
    "contrast 4-5 sigma": lambda outcome: abs(outcome.lesion.sigmas) >= 4,
    "diameter 3-4 px": lambda outcome: outcome.lesion.diameter < 4,
    "diameter 4-6 px": lambda outcome: 4 <= outcome.lesion.diameter < 6,
    "diameter 6-8 px": lambda outcome: outcome.lesion.diameter >= 6,
    "bright": lambda outcome: outcome.lesion.sigmas > 0,
    "dark": lambda outcome: outcome.lesion.sigmas < 0,
}
"""How lesions are grouped in the tables."""

Denoise = Callable[[Volume, int], Volume]
"""Volume and the number of the slice that is needed -> the volume with at least that slice denoised."""


@dataclass(frozen=True)
class LesionOutcome:
    """What became of one lesion.

    Args:
        volume: name of the volume.
        noise: name of the benchmark row.
        lesion: what was inserted.
        kept: by the name of what was done to the noisy image.
    """

    volume: str
    noise: str
    lesion: Lesion
    kept: dict[str, Kept]


def lesion_trial(
    source: Volume, noise: str, denoisers: Mapping[str, Denoise], *, count: int, seed: int = 0, equal_to: str | None = None
) -> tuple[LesionOutcome, ...]:
    """Put lesions into one slice of a clean volume, add the noise, and see what each way of denoising leaves of them.

    Args:
        source: the clean volume.
        noise: one of :data:`MRIDenoiseLib.simulation.presets.BENCHMARK_ROWS`.
        denoisers: by the name they get in the outcome; each is run twice, on the volume with the lesions and without them.
        count: how many lesions are wanted; fewer are inserted where the volume has no slice with room for all.
        seed: of the lesions; the noise is the benchmark's.
        equal_to: the denoiser that ``equal blur`` shall be as free of noise as.

    Returns:
        One outcome a lesion, with ``noisy`` and ``best blur`` beside the denoisers, and ``equal blur`` where asked for. The
        best blur is the one with the smallest error on that very slice; the equal one leaves as much noise in flat tissue
        of that slice as the denoiser does, see :func:`MRIDenoiseLib.evaluation.blur.equally_clean_blur`.

    Raises:
        InputError: the volume has no flat tissue to put a lesion into.
    """
    clean = np.ascontiguousarray(source.stack / np.float32(clean_scale(source.voxels))).clip(min=0)
    noisy = benchmark_row(noise, torch.from_numpy(clean)).numpy()
    lesions = _lesions(source, clean, noisy, count, np.random.default_rng([seed, *f"{source.name} {noise}".encode()]))
    z = lesions[0].centre[0]
    with_lesions = insert(clean, lesions)
    changed = np.flatnonzero((with_lesions != clean).any(axis=(1, 2))).tolist()
    noisy_with = noisy.copy()
    # The noise of a slice does not depend on which others are made.
    noisy_with[changed] = benchmark_row(noise, torch.from_numpy(with_lesions), slices=changed).numpy()

    foreground = clean[z] > FOREGROUND_THRESHOLD
    blur = min(BLURS, key=lambda blur: float(np.square(blur.of_slice(noisy, z) - clean[z])[foreground].mean()))
    results = {NOISY: (noisy_with[z], noisy[z]), BLURRED: (blur.of_slice(noisy_with, z), blur.of_slice(noisy, z))}
    for name, denoise in denoisers.items():
        pair = (denoise(source.with_stack(image), z) for image in (noisy_with, noisy))
        with_them, without = (volume.stack[z] for volume in pair)
        results[name] = with_them, without
    if equal_to is not None:
        equal = equally_clean_blur(noisy[z][None], results[equal_to][1][None], clean[z][None], foreground[None])
        results[EQUALLY_BLURRED] = equal.of_slice(noisy_with, z), equal.of_slice(noisy, z)
    truth = with_lesions[z], clean[z]
    return tuple(
        LesionOutcome(source.name, noise, lesion, {name: kept(lesion, clean=truth, result=images) for name, images in results.items()})
        for lesion in lesions
    )


def misdescribed(volume: Volume) -> Volume:
    """The volume with a wrong organ and a wrong contrast, as from a header that lies."""
    found = volume.acquisition
    return volume.with_acquisition(
        override(
            found,
            organ="head" if found.organ.value != "head" else "knee",
            contrast="T1w" if found.contrast.value != "T1w" else "T2w",
        )
    )


def summaries(outcomes: Sequence[LesionOutcome], name: str, *, blind: bool = False) -> Iterator[tuple[str, Summary]]:
    """What ``name`` keeps, for every group of :data:`GROUPS` that holds a lesion.

    Args:
        outcomes: of any volumes and noises.
        name: of a denoiser, or ``noisy``, ``best blur`` or ``equal blur``.
        blind: whether to judge by the one image with the lesion rather than by the pair.
    """
    for group, belongs in GROUPS.items():
        values = [outcome.kept[name].blind if blind else outcome.kept[name].paired for outcome in outcomes if belongs(outcome)]
        if values:
            yield group, Summary.of(values)


def _lesions(source: Volume, clean: np.ndarray, noisy: np.ndarray, count: int, generator: np.random.Generator) -> tuple[Lesion, ...]:
    """Lesions in a slice of the volume's middle half, the first drawn that has room for all of them, else the roomiest."""
    across = source.slice_axis
    spacing = source.spacing[across], math.prod(np.delete(source.spacing, across)) ** 0.5
    quarter = len(clean) // 4
    best: tuple[Lesion, ...] = ()
    for z in generator.permutation(np.arange(quarter, len(clean) - quarter)).tolist():
        level = local_noise(noisy[z], clean[z])
        placed = place_lesions(clean, z, level, clean[z] > FOREGROUND_THRESHOLD, spacing, count, generator)
        best = max(best, placed, key=len)
        if len(best) == count:
            break
    if not best:
        raise InputError(f"{source.name} has no flat tissue to put a lesion into")
    return best
