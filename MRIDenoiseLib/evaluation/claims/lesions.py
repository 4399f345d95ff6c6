"""What denoising leaves of small lesions.

Lesions of 3 to 8 pixels and 2 to 5 standard deviations of the noise around them are put into volumes of patients that no
training saw, before the noise of each benchmark row is added. :mod:`MRIDenoiseLib.evaluation.claims.lesion_contrast` defines
"kept". The model is compared with the noisy image itself, the Gaussian blur of smallest error on that very slice, the blur that
leaves as much noise in flat tissue as the model does, and the model given a wrong organ and a wrong contrast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS, equally_clean_blur
from MRIDenoiseLib.evaluation.claims.claim import (
    EVERY_NOISE,
    Claim,
    Data,
    Headline,
    Method,
    Noises,
    Numbers,
    Option,
    Subjects,
    chosen,
    tracked,
    volumes_of,
)
from MRIDenoiseLib.evaluation.claims.lesion_contrast import (
    WANTED_FIFTH_PERCENTILE,
    WANTED_MEDIAN,
    Kept,
    Lesion,
    Summary,
    insert,
    kept,
    local_noise,
    place_lesions,
)
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.prompt import override
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_row
from MRIDenoiseLib.volume import Volume

NOISY, BLURRED, EQUALLY_BLURRED = "noisy", "best blur", "equal blur"
DENOISED, MISINFORMED = "denoised", "wrong metadata"

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
"""(Volume, number of the needed slice) -> the volume with at least that slice denoised."""


WHAT = (
    "part of the contrast of inserted lesions (3 to 8 pixels, 2 to 5 sigma) that is left, with the same noise with and without "
    "the lesion; missing: less than half of it, lost: less than a quarter; best blur: of smallest error on the slice, "
    "equal blur: with as much noise left in flat tissue as the model"
)


@dataclass(frozen=True)
class LesionOutcome:
    """The result for one lesion.

    Args:
        volume: name of the volume.
        noise: name of the benchmark row.
        lesion: what was inserted.
        kept: name of what was done to the noisy image -> what the lesion keeps.
    """

    volume: str
    noise: str
    lesion: Lesion
    kept: dict[str, Kept]


def lesion_trial(
    source: Volume, noise: str, denoisers: Mapping[str, Denoise], *, count: int, seed: int = 0, equal_to: str | None = None
) -> tuple[LesionOutcome, ...]:
    """Put lesions into one slice of a clean volume, add the noise, and measure what each way of denoising leaves of them.

    Args:
        source: the clean volume.
        noise: one of :data:`MRIDenoiseLib.simulation.presets.BENCHMARK_ROWS`.
        denoisers: name in the outcome -> denoiser; each runs twice, on the volume with the lesions and without them.
        count: how many lesions to insert; fewer are inserted where the volume has no slice with room for all.
        seed: of the lesions; the noise is the benchmark's.
        equal_to: the denoiser whose remaining noise ``equal blur`` shall have.

    Returns:
        One outcome per lesion, with the denoisers, ``noisy``, ``best blur`` and, where requested, ``equal blur``. The best
        blur is the one with the smallest error on that very slice; the equal one leaves as much noise in flat tissue of
        that slice as the denoiser does, see :func:`MRIDenoiseLib.evaluation.blur.equally_clean_blur`.

    Raises:
        InputError: the volume has no flat tissue to put a lesion into.
    """
    clean = np.ascontiguousarray(source.stack / np.float32(clean_scale(source.voxels))).clip(min=0)
    noisy = benchmark_row(noise, torch.from_numpy(clean)).numpy()
    lesions = lesions_in(source, clean, noisy, count, np.random.default_rng([seed, *f"{source.name} {noise}".encode()]))
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
    """The volume with a wrong organ and a wrong contrast, as from a wrong header."""
    found = volume.acquisition
    return volume.with_acquisition(
        override(
            found,
            organ="head" if found.organ.value != "head" else "knee",
            contrast="T1w" if found.contrast.value != "T1w" else "T2w",
        )
    )


def summaries(outcomes: Sequence[LesionOutcome], name: str, *, blind: bool = False) -> Iterator[tuple[str, Summary]]:
    """Statistics of what ``name`` keeps, for every group of :data:`GROUPS` that holds a lesion.

    Args:
        outcomes: of any volumes and noises.
        name: of a denoiser, or ``noisy``, ``best blur`` or ``equal blur``.
        blind: whether to measure in the one image with the lesion rather than in the pair.
    """
    for group, belongs in GROUPS.items():
        values = [outcome.kept[name].blind if blind else outcome.kept[name].paired for outcome in outcomes if belongs(outcome)]
        if values:
            yield group, Summary.of(values)


def lesions_in(source: Volume, clean: np.ndarray, noisy: np.ndarray, count: int, generator: np.random.Generator) -> tuple[Lesion, ...]:
    """Lesions in a slice of the volume's middle half: the first one drawn with room for all, otherwise the one with room for most."""
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


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    sharpness: Annotated[float | None, Option("of the method sharpened; its own by default")] = None,
    strength: Annotated[float | None, Option("part of the noise found that is removed; the model's own by default")] = None,
    rows: Noises = EVERY_NOISE,
    subjects: Subjects = "",
    count: Annotated[int, Option("lesions in all, at least", least=1)] = 200,
    seed: Annotated[int, Option("of the lesions")] = 0,
) -> Numbers:
    """Put lesions into every volume, add every noise, and measure what is left of them.

    Raises:
        InputError: no volume has room for a lesion.
    """
    cases = list(product([row.file for row in volumes_of(data, subjects)], chosen(rows, BENCHMARK_ROWS, "noise")))
    denoiser = Denoiser(model)

    def denoise(volume: Volume, z: int) -> Volume:
        return denoiser(volume, Settings(method=method, sharpness=sharpness, strength=strength, slices=(z, z + 1))).volume

    def misinformed(volume: Volume, z: int) -> Volume:
        return denoise(misdescribed(volume), z)

    outcomes: list[LesionOutcome] = []
    left_out: list[str] = []
    for done, (file, noise) in enumerate(tracked(cases, progress, "volumes and noises")):
        # Later slices get the lesions that an earlier one had no room for.
        wanted = math.ceil((count - len(outcomes)) / (len(cases) - done))
        if wanted > 0:
            ways = {DENOISED: denoise, MISINFORMED: misinformed}
            volume = io.read(data / file)
            try:
                outcomes += lesion_trial(volume, noise, ways, count=wanted, seed=seed, equal_to=DENOISED)
            except InputError as error:
                left_out.append(f"{file} {noise} left out: {error}")
    if not outcomes:
        raise InputError("no volume has room for a lesion")
    numbers = {"what": WHAT, "method": method or model.default_method, "seed": seed}
    groups = {name: {group: summary._asdict() for group, summary in summaries(outcomes, name)} for name in outcomes[0].kept}
    lesions = [
        {"volume": outcome.volume, "noise": outcome.noise, **asdict(outcome.lesion)}
        | {"kept": {name: value._asdict() for name, value in outcome.kept.items()}}
        for outcome in outcomes
    ]
    return {**numbers, "summary": groups, "lesions": lesions, "left_out": left_out}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """What is left, by groups of lesions, measured in pairs of images and in the one image; and whether that is enough."""
    yield from numbers.get("left_out", ())
    outcomes = [_outcome(row) for row in numbers["lesions"]]
    for blind in (False, True):
        what = "in the one image (blind)" if blind else "with the same noise with and without it"
        names = (NOISY, BLURRED, EQUALLY_BLURRED, DENOISED, MISINFORMED)
        table = Table("lesions", "number", *names, title=f"Contrast kept, {what}: median % / 5th percentile % / number missing / lost")
        columns = [dict(summaries(outcomes, name, blind=blind)) for name in names]
        for group, first in columns[0].items():
            cells = [f"{100 * s.median:.0f} / {100 * s.fifth_percentile:.0f} / {s.missing} / {s.lost}" for s in (c[group] for c in columns)]
            table.add_row(group, str(first.number), *cells)
        yield table
        if not blind:
            ours, equal = (columns[names.index(name)]["all"] for name in (DENOISED, EQUALLY_BLURRED))
            verdict = "holds" if ours.holds and ours.median > equal.median else "does not hold"
            least = f"{100 * WANTED_MEDIAN:.0f} % and a 5th percentile of at least {100 * WANTED_FIFTH_PERCENTILE:.0f} %"
            yield f"Wanted: a median of at least {least}, none lost, and more than the blur of equal remaining noise keeps. It {verdict}."


def _outcome(row: Mapping[str, Any]) -> LesionOutcome:
    lesion = Lesion(**{field.name: row[field.name] for field in fields(Lesion)})
    return LesionOutcome(row["volume"], row["noise"], lesion, {name: Kept(**value) for name, value in row["kept"].items()})


def headline(numbers: Numbers) -> Headline:
    """What half of the lesions keep, also under the blur that leaves as much noise, and how many are lost."""
    ours, equal = (numbers["summary"][name]["all"] for name in (DENOISED, EQUALLY_BLURRED))
    says = (
        f"Half of {ours['number']} small lesions keep {100 * ours['median']:.0f} % of their contrast "
        f"(equal blur {100 * equal['median']:.0f} %), {ours['lost']} are lost."
    )
    figures = {
        "lesions": ours["number"],
        "contrast that half keep": round(ours["median"], 3),
        "contrast that nineteen of twenty keep": round(ours["fifth_percentile"], 3),
        "contrast that half keep under a blur of equal noise": round(equal["median"], 3),
        "keep less than half": ours["missing"],
        "keep less than a quarter (lost)": ours["lost"],
    }
    return Headline(says, figures)


CLAIM = Claim("lesions", measure, show, headline)
