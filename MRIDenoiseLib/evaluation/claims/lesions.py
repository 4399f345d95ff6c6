"""What denoising leaves of small lesions.

Lesions of 3 to 8 pixels and 2 to 5 standard deviations of the noise around them are put into volumes of patients that no
training saw, before the noise of each benchmark row is added; :mod:`MRIDenoiseLib.evaluation.claims.lesion_contrast` says what
"kept" means. Shown beside the model: the noisy image itself, the Gaussian blur of smallest error on that very slice, the blur that
leaves as much noise in flat tissue as the model does, and the model told a wrong organ and a wrong contrast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from itertools import product
from typing import Annotated, Any

from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
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
from MRIDenoiseLib.evaluation.claims.lesion_contrast import WANTED_FIFTH_PERCENTILE, WANTED_MEDIAN, Kept, Lesion
from MRIDenoiseLib.evaluation.claims.lesion_trial import (
    BLURRED,
    EQUALLY_BLURRED,
    NOISY,
    LesionOutcome,
    lesion_trial,
    misdescribed,
    summaries,
)
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS
from MRIDenoiseLib.volume import Volume

WHAT = (
    "part of the contrast of inserted lesions (3 to 8 pixels, 2 to 5 sigma) that is left, with the same noise with and without "
    "the lesion; missing: less than half of it, lost: less than a quarter; best blur: of smallest error on the slice, "
    "equal blur: with as much noise left in flat tissue as the model"
)
DENOISED, MISINFORMED = "denoised", "wrong metadata"


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    sharpness: Annotated[float | None, Option("of the method sharpened; its own by default")] = None,
    strength: Annotated[float | None, Option("part of the noise found that is taken away; the model's own by default")] = None,
    rows: Noises = EVERY_NOISE,
    subjects: Subjects = "",
    count: Annotated[int, Option("lesions in all, at least", least=1)] = 200,
    seed: Annotated[int, Option("of the lesions")] = 0,
) -> Numbers:
    """Put lesions into every volume, add every noise, and see what is left of them.

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
        # What an earlier slice had no room for, the later ones get.
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
    """What is left, by groups of lesions, judged by pairs of images and by the one image; and whether it is as wanted."""
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
    """What half of the lesions keep, beside the blur that leaves as much noise, and how many are lost."""
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
