"""What becomes of planted evidence: four trials that a physicist would ask for, with their losses. Real lesions are those of ``lesions``.

Fakes: discs that nobody measured, and another patient's slice, are put into the networks' answer. Given is the part of their energy
that is left after the guarantee; without it all is. Means over small discs (radius 2 pixels) count, because the guarantee bounds means.

Noise alone: air, and an even grey object, with Rician noise and nothing else. Structure is what the largest mean of any disc shows,
in standard deviations of the noise, beside a blur that leaves as much noise as the model does.

Bars: groups of bars of several periods and contrasts under noise; the part of their modulation that is kept.

Discs: a channelised Hotelling observer says whether a disc is there, before and after; see
:mod:`MRIDenoiseLib.evaluation.figures.observer`. Backgrounds are even or lumpy. A denoiser cannot add what the noisy image does not
tell; wanted is that it takes nothing away.

In noise alone, bars and discs, neighbouring slices differ, so that a network that sees neighbours is not told the answer by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Method, Numbers, Option, Subjects, chosen, tracked, volumes_of
from MRIDenoiseLib.evaluation.claims.guarantee import held_to
from MRIDenoiseLib.evaluation.claims.planted_trials import (
    BACKGROUNDS,
    DENOISED,
    EQUALLY_BLURRED,
    FREE,
    NOISY,
    OTHER_PATIENT,
    SIGMA,
    bars_trial,
    discs_trial,
    fakes_trial,
    noise_trial,
)
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.inference.guarantee import RADII
from MRIDenoiseLib.inference.settings import GUARANTEED
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.volume import Volume

WANTED_ENERGY = 0.10
"""The largest part of a fake's energy that may be left."""

LARGEST_LOSS, WORST_LOSS = 0.02, 0.05
"""Of the area under the curve: on average over all discs, and at the lower end of its 95 % interval."""

PARTS = ("fakes", "noise", "bars", "discs")
WHAT = (
    "fakes: part of the low-pass energy of what was planted in the networks' answer that is left; noise: standard deviation and largest "
    "mean of any disc in noise alone, over the noise's standard deviation; bars: part of the modulation that is kept; discs: area "
    "under the ROC curve of a channelised Hotelling observer, and its change from the noisy image with a 95 % interval"
)


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    kappa: Annotated[float, Option("standard deviations of a disc's mean that are allowed", least=2, most=10)] = GUARANTEED,
    parts: Annotated[str, Option("trials, with commas between")] = ",".join(PARTS),
    noise: Annotated[str, Option("that fakes are planted under")] = "M0.10",
    subjects: Subjects = "",
    limit: Annotated[int, Option("middle slices of each volume with fakes", least=1)] = 1,
    size: Annotated[int, Option("pixels, side of the image of noise alone", least=48)] = 144,
    slices: Annotated[int, Option("slices with bars, and of noise alone", least=1)] = 4,
    sheets: Annotated[int, Option("slices with discs; each holds three of every kind with a disc and three without", least=16)] = 48,
    bm4d: Annotated[bool, Option("also BM4D, given the noise, for noise alone and bars")] = False,
) -> Numbers:
    """Every trial, one after the other."""
    wanted = chosen(parts, PARTS, "trial")
    settings = Settings(method=method, guarantee=kappa)
    denoiser = Denoiser(model)

    def ways(volume: Volume, range_: tuple[int, int]) -> dict[str, np.ndarray]:
        found = denoiser(volume, replace(settings, slices=range_, guarantee=0.0, denoise_clean=True)).volume.stack
        held, _ = held_to(volume.stack, found, analyse(volume.stack, model.network("noise_estimator")), range_, kappa)
        part = slice(*range_)
        return {FREE: found[part], DENOISED: held[part]}

    volumes = volumes_of(data, subjects) if "fakes" in wanted else []
    jobs: list[Any] = [*(row for row in volumes), *(part for part in wanted if part in ("noise", "bars"))]
    jobs += [("discs", background) for background in BACKGROUNDS] if "discs" in wanted else []
    numbers: dict[str, Any] = {
        "what": WHAT,
        "method": method or model.default_method,
        "kappa": kappa,
        "fakes": [],
        "noise": [],
        "discs": [],
    }
    for job in tracked(jobs, progress, "trials"):
        if isinstance(job, ManifestRow):
            other = next((row for row in reversed(volumes) if row.subject != job.subject), None)
            if other is None:
                raise InputError("a fake slice is another patient's; name volumes of two patients or more")
            ours, theirs = (io.read(data / row.file) for row in (job, other))
            numbers["fakes"].append(fakes_trial(ours, theirs, noise, model, settings, limit=limit, seed=0))
        elif job == "noise":
            numbers["noise"] = noise_trial(ways, size=size, slices=slices, bm4d=bm4d)
        elif job == "bars":
            numbers["bars"] = bars_trial(ways, slices=slices, bm4d=bm4d)
        else:
            numbers["discs"].append(discs_trial(ways, job[1], slices=sheets))
    return numbers


def _left(numbers: Numbers) -> dict[str, list[float]]:
    """Kind of fake -> the part of its energy that is left, by volume."""
    found: dict[str, list[float]] = {}
    for row in numbers["fakes"]:
        for name, one in row["fakes"].items():
            found.setdefault(name, []).append(one["left"])
    return found


def show(numbers: Numbers) -> Iterator[Table | str]:
    """A table a trial, and whether what is wanted holds."""
    if numbers["fakes"]:
        table = Table("planted in the networks' answer", "volumes", "left without the guarantee", "with it, median", "most")
        table.title = "Energy of fakes (means over discs of 2 px radius)"
        for name, left in _left(numbers).items():
            table.add_row(name, str(len(left)), "100 %", f"{100 * np.median(left):.1f} %", f"{100 * max(left):.1f} %")
        yield table
        most = max(_left(numbers)[OTHER_PATIENT])
        wanted = f"at most {100 * WANTED_ENERGY:.0f} % of the energy of another patient's slice left"
        yield f"Wanted: {wanted}. It {_holds(most <= WANTED_ENERGY)}: {100 * most:.1f} % at most."
    if numbers["noise"]:
        heads = (f"{2 * radius:g} px" for radius in RADII)
        table = Table("noise alone", "image", "standard deviation", *heads)
        table.title = "Noise alone: standard deviation, and largest mean of any disc, of the noise's standard deviation"
        for row in numbers["noise"]:
            if "refused" in row:
                table.add_row(row["image"], f"refused: {row['refused']}")
                continue
            for name, one in row["found"].items():
                shown = f"{name} ({row['blur']})" if name == EQUALLY_BLURRED else name
                cells = (f"{value:.2f}" for value in one["discs"])
                table.add_row(row["image"] if name == NOISY else "", shown, f"{one['std']:.3f}", *cells)
        yield table
    if "bars" in numbers:
        kept = numbers["bars"]["kept"]
        table = Table("bars, period and contrast", *kept, title=f"Part of the modulation of bars that is kept, noise {SIGMA:g}, per cent")
        for group in kept[NOISY]:
            table.add_row(group, *(f"{100 * one[group]:.0f}" for one in kept.values()))
        yield table
    for trial in numbers["discs"]:
        names = list(trial["mean"])
        table = Table("discs", *names, title=f"Area under the ROC curve, {trial['background']} background, {trial['images']} images a disc")
        for task in trial["tasks"]:
            cells = (f"{task['areas'][name]:.3f}" + ("" if name == NOISY else f" ({task['changes'][name][0]:+.3f})") for name in names)
            table.add_row(f"{task['diameter']:g} px, d' {task['detectable']:g}", *cells)
        table.add_section()
        shown = ("" if name == NOISY else "{:+.3f} ({:+.3f} to {:+.3f})".format(*trial["mean"][name]) for name in names)
        table.add_row("mean change (95 %)", *shown)
        yield table
    if numbers["discs"]:
        worst = min((trial["mean"][DENOISED] for trial in numbers["discs"]), key=lambda change: change[0])
        holds = _holds(worst[0] >= -LARGEST_LOSS and worst[1] > -WORST_LOSS)
        wanted = f"at most {LARGEST_LOSS:g} lost on average, and with 95 % certainty less than {WORST_LOSS:g}"
        shown = "{:+.3f} ({:+.3f} to {:+.3f})".format(*worst)
        yield f"Wanted: the area under the curve not below the noisy image's ({wanted}). It {holds}: {shown}."
    yield "Real lesions that are measured and have to stay: mridenoise measure lesions."


def _holds(whether: bool) -> str:
    return "holds" if whether else "does not hold"


def headline(numbers: Numbers) -> Headline:
    """What is left of another patient's slice, and what the observer loses."""
    figures: dict[str, float] = {}
    says = []
    if numbers["fakes"]:
        left = _left(numbers)[OTHER_PATIENT]
        figures["energy left of another patient's slice, most"] = round(max(left), 4)
        says.append(f"{100 * max(left):.0f} % left of another patient's slice")
    for row in numbers["noise"]:
        if row["image"] == "grey" and "found" in row:
            figures |= {
                f"noise alone, largest mean of a disc, {name}": max(row["found"][name]["discs"]) for name in (DENOISED, EQUALLY_BLURRED)
            }
            says.append(f"discs up to {max(row['found'][DENOISED]['discs']):.2f} sigma drawn into noise")
    if "bars" in numbers:
        kept = numbers["bars"]["kept"][DENOISED]
        figures["modulation kept, mean of the bars"] = round(float(np.mean(list(kept.values()))), 3)
    for trial in numbers["discs"]:
        change = trial["mean"][DENOISED][0]
        figures[f"change of the area under the ROC curve, {trial['background']}"] = change
        says += [f"observer {change:+.3f}"] if trial["background"] == BACKGROUNDS[-1] else []
    says = says or [f"modulation of bars kept {100 * figures['modulation kept, mean of the bars']:.0f} %"]
    return Headline(f"{'; '.join(says)}.", figures)


CLAIM = Claim("planted", measure, show, headline, width=160)
