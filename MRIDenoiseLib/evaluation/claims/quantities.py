"""What denoising does to quantities that are computed from several images: T2 from echoes, ADC from diffusion weights.

T2: noise of one strength, independent in every echo, is added to the echoes of the test patient's series. Every echo is denoised by
itself, all with the same settings, and one exponential is fitted to noisy, blurred and denoised echoes and to the originals, which
are the reference. The blur is the one of all whose map comes closest to the reference, which no user can know. Rows count where the
echoes' own noise is at most a third of what was added.

ADC: in the data folder the unweighted image was measured several times, each direction of diffusion once, and the directions are not
told. So no map of a single direction can be checked, nor a tensor. What can be is the ADC of the mean over some directions and one
unweighted image (nothing simulated) against that of all other directions and unweighted images, which share no noise with them. Part
of the deviation is then the tissue's own direction, pulsation and motion, in every column alike. Magnitudes never fall below their
noise; the reference has that taken out, and the noisy images stand there with it and without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from rich.table import Table
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.data.references import counts
from MRIDenoiseLib.data.repeats import LIST, RepeatSet, read_repeat_sets
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Method, Noises, Numbers, Option, chosen, tracked
from MRIDenoiseLib.evaluation.claims.native_noise import middle_slices
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.evaluation.figures.parameter_maps import Deviation, decay_time, diffusion_coefficient, without_floor
from MRIDenoiseLib.image.body import body_mask, clean_scale
from MRIDenoiseLib.image.native_noise import Places
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.prompt.headers import Header
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_row
from MRIDenoiseLib.volume import Volume

NOISY, NO_FLOOR, BLURRED, DENOISED = VERSIONS = ("noisy", "noisy, floor taken out", "best blur", "denoised")
ROWS = tuple(row for row in BENCHMARK_ROWS if row != "U")
"""Noises of one strength; the scanner's is the same in every echo, which that of ``U`` would not be."""
SEED = 11
"""Of the first echo's noise; the others follow."""
LARGEST_BIAS = 2.0
"""Per cent of the reference's T2."""
T2_RANGE = (10.0, 200.0)
"""ms: with echoes of 6 to 51 ms neither shorter nor longer times can be measured."""
LATEST = 0.05
"""Of the first echo's P99.5: where the last clean echo is darker, its own noise would decide the reference."""
ADC_RANGE = (0.2e-3, 3.5e-3)
"""mm^2/s, of tissue and free water."""
ABOVE_NOISE = 1.0
"""Times the noise: where the weighted images of the reference are darker, no ADC is there to be found."""
BLURRED_OVER = 2.0
"""Pixels over which the reference is blurred to choose the voxels that count: chosen by their own noise, all would be off one way."""

WHAT = (
    "maps of T2 and ADC against the reference's, deviation in per cent at every voxel: bias is its median, spread half the distance "
    "between its 16th and 84th percentile, flat the same in flat tissue, thirds the bias of short, middle and long values"
)

Denoise = Callable[[Volume, tuple[int, int]], tuple[Volume, float]]
"""(Volume, half-open range of slices) -> the volume with these denoised, and the standard deviation of its noise as it was found."""


def t2_trial(echoes: Sequence[Volume], times: Sequence[float], noise: str, denoise: Denoise, limit: int) -> dict[str, Any]:
    """Maps of noisy, blurred and denoised echoes against that of the originals, of the middle slices.

    Args:
        echoes: of one series on one grid, the earliest first.
        times: their TE, ms.
        noise: one of :data:`ROWS`; of the same strength in all echoes, in parts of the first echo's P99.5.
        denoise: called with each echo.
        limit: how many slices.

    Raises:
        InputError: nothing in these slices has a T2 that the echoes could measure.
    """
    scale = np.float32(clean_scale(echoes[0].stack))
    clean = [np.ascontiguousarray(echo.stack / scale).clip(min=0) for echo in echoes]
    first, last = middle_slices(len(clean[0]), limit)
    truth = np.stack([echo[first:last] for echo in clean])
    noisy, denoised, levels = [], [], []
    for number, (echo, image) in enumerate(zip(echoes, clean, strict=True)):
        measured = benchmark_row(noise, torch.from_numpy(image), SEED + number).numpy()
        result, level = denoise(echo.with_stack(measured), (first, last))
        noisy.append(measured)
        denoised.append(result.stack[first:last])
        levels.append(level)
    cut = np.stack([echo[first:last] for echo in noisy])
    reference = decay_time(truth, times)
    where = (truth[0] > FOREGROUND_THRESHOLD) & (truth[-1] > LATEST) & (reference > T2_RANGE[0]) & (reference < T2_RANGE[1])
    if not where.any():
        raise InputError("nothing in these slices has a T2 that the echoes can measure")
    flat = Places.of(truth[0], where).flat

    def judged(images: np.ndarray) -> Deviation:
        return Deviation.of(decay_time(images, times), reference, where, flat)

    images = {NOISY: cut, NO_FLOOR: without_floor(np.square(cut), np.reshape(levels, (-1, 1, 1, 1))), DENOISED: np.stack(denoised)}
    found = {name: judged(image) for name, image in images.items()}
    tried = {str(blur): judged(np.stack([blur(echo)[first:last] for echo in noisy])) for blur in BLURS}
    # Blurring mixes tissues, so that the least spread alone would choose the widest.
    best = min(tried, key=lambda name: np.hypot(tried[name].bias, tried[name].spread))
    return {
        "noise": noise,
        "slices": [first, last],
        "voxels": int(where.sum()),
        "added": round(float((cut - truth)[:, where].std()), 5),
        "median": round(float(np.median(reference[where])), 2),
        "blur": best,
        "maps": _numbers(found | {BLURRED: tried[best]}),
    }


def adc_trials(volumes: Sequence[Volume], unweighted: Sequence[int], denoise: Denoise, b: float) -> dict[str, Any]:
    """ADC of one unweighted image and some directions against that of all the others, for every unweighted image.

    Args:
        volumes: of a diffusion series, on one grid.
        unweighted: which of them are; all others are weighted, each in a direction of its own.
        denoise: called with each volume.
        b: s/mm^2, of the weighted ones.

    Raises:
        InputError: too few volumes of either kind, or nothing has an ADC.
    """
    weighted = [index for index in range(len(volumes)) if index not in unweighted]
    if len(unweighted) < 2 or len(weighted) < 2 * len(unweighted):
        raise InputError("this diffusion series has too few unweighted or weighted images to hold some of them against the others")
    whole = (0, len(volumes[0].stack))
    results = [denoise(volume, whole) for volume in volumes]
    noisy = np.stack([volume.stack for volume in volumes]).astype(np.float64)
    denoised = np.stack([volume.stack for volume, _ in results]).astype(np.float64)
    sigma = float(np.median([level for _, level in results]))
    images = {NOISY: noisy, DENOISED: denoised}
    # Blurs are of the whole series, chosen once for all trials.
    blurs = {str(blur): np.stack([blur(image) for image in noisy]) for blur in BLURS}
    gathered: dict[str, list[Deviation]] = {}
    for number, single in enumerate(unweighted):
        some = weighted[number :: len(unweighted)]
        others = [index for index in weighted if index not in some], [index for index in unweighted if index != single]
        sides = [without_floor(np.square(noisy[indices]).mean(axis=0), sigma) for indices in others]
        reference = diffusion_coefficient(sides[1], sides[0], b)
        body = body_mask(noisy[list(unweighted)].mean(axis=0).astype(np.float32))
        smooth = [ndimage.gaussian_filter(side, (0, BLURRED_OVER, BLURRED_OVER)) for side in sides]
        course = diffusion_coefficient(smooth[1], smooth[0], b)
        where = body & (smooth[0] > ABOVE_NOISE * sigma) & (course > ADC_RANGE[0]) & (course < ADC_RANGE[1]) & (reference > 0)
        if not where.any():
            raise InputError("nothing in this diffusion series is brighter than its noise")
        flat = Places.of(sides[1].astype(np.float32), where).flat

        def judged(first: np.ndarray, second: np.ndarray, of: tuple[np.ndarray, ...] = (reference, where, flat, course)) -> Deviation:
            return Deviation.of(diffusion_coefficient(first, second, b), *of)

        for name, image in (images | blurs).items():
            gathered.setdefault(name, []).append(judged(image[single], image[some].mean(axis=0)))
        first, second = (without_floor(np.square(noisy[indices]).mean(axis=0), sigma) for indices in ([single], some))
        gathered.setdefault(NO_FLOOR, []).append(judged(first, second))
    means = {name: _mean(found) for name, found in gathered.items()}
    best = min(blurs, key=lambda name: np.hypot(means[name].bias, means[name].spread))
    return {
        "trials": len(unweighted),
        "directions": len(weighted) // len(unweighted),
        "sigma": round(sigma / clean_scale(noisy[list(unweighted)].mean(axis=0)), 4),
        "blur": best,
        "maps": _numbers({name: means[name] for name in (NOISY, NO_FLOOR, DENOISED)} | {BLURRED: means[best]}),
    }


def _mean(found: Sequence[Deviation]) -> Deviation:
    bias, spread, flat = (float(np.mean([getattr(one, name) for one in found])) for name in ("bias", "spread", "flat"))
    thirds = np.mean([one.thirds for one in found], axis=0).tolist()
    return Deviation(bias, spread, flat, (thirds[0], thirds[1], thirds[2]))


def _numbers(found: Mapping[str, Deviation]) -> dict[str, Any]:
    def rounded(value: Any) -> Any:
        return [round(part, 3) for part in value] if isinstance(value, tuple) else round(value, 3)

    return {name: {part: rounded(value) for part, value in asdict(found[name]).items()} for name in VERSIONS}


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    rows: Noises = "R,M0.10,L2-2",
    limit: Annotated[int, Option("middle slices of the echoes", least=1)] = 3,
    diffusion: Annotated[
        str, Option("set of repeats that holds unweighted images of a diffusion series; none where it is empty")
    ] = "DWI b0",
    b: Annotated[float, Option("s/mm2, of the weighted images of that series", least=1)] = 800.0,
) -> Numbers:
    """T2 maps of every series of echoes of test patients, with every noise; ADC of a measured diffusion series."""
    wanted = chosen(rows, ROWS, "noise")
    series = [row for row in read_manifest(data, "dicom", "test") if (data / row.file).is_dir()]
    sets = _diffusion_sets(data, diffusion)
    if not series and not sets:
        raise InputError(f"{data} holds no series of echoes of a test patient, nor a diffusion series of which images were repeated")
    denoiser = Denoiser(model)

    def denoise(volume: Volume, slices: tuple[int, int]) -> tuple[Volume, float]:
        result = denoiser(volume, Settings(method=method, slices=slices))
        return result.volume, result.noise_level

    t2: list[dict[str, Any]] = []
    adc: list[dict[str, Any]] = []
    jobs: list[tuple[ManifestRow, str] | RepeatSet] = [*((row, noise) for row in series for noise in wanted), *sets]
    for job in tracked(jobs, progress, "maps"):
        if isinstance(job, RepeatSet):
            volumes = [member.read() for member in io.read_all(data / job.file).members]
            adc.append({"series": job.name, **adc_trials(volumes, job.groups[0], denoise, b)})
        else:
            row, noise = job
            echoes, times = _echoes(data / row.file)
            found = t2_trial(echoes, times, noise, denoise, limit)
            counting = row.own_noise is not None and counts(row.own_noise, found["added"])
            t2.append({"series": f"{row.organ} {row.subject}", "times": times, "counts": counting, **found})
    return {"what": WHAT, "method": method or model.default_method, "limit": limit, "t2": t2, "adc": adc}


def _diffusion_sets(data: Path, name: str) -> list[RepeatSet]:
    if not name or not (data / LIST).is_file():
        return []
    return [
        one for one in read_repeat_sets(data) if one.name in chosen(name, [each.name for each in read_repeat_sets(data)], "set of repeats")
    ]


def _echoes(folder: Path) -> tuple[list[Volume], list[float]]:
    """The echoes of a series, the earliest first, and their TE in ms."""
    volumes = [member.read() for member in io.read_all(folder).members]
    times = [Header(volume.headers[0]).number("EchoTime") for volume in volumes]
    if len(volumes) < 3 or any(time is None for time in times) or len(set(times)) < len(times):
        raise InputError(f"{folder.name} holds no three echoes whose headers state different echo times")
    return volumes, [float(time or 0) for time in times]


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Bias and spread of every map, and whether T2 is as it should be."""
    for kind, title in (("t2", "T2 against that of the echoes without added noise"), ("adc", "ADC against that of the other images")):
        if not numbers[kind]:
            continue
        table = Table("series", "noise", "images", "bias", "short / middle / long", "spread", "in flat tissue", title=f"{title}, per cent")
        for found in numbers[kind]:
            for name, one in found["maps"].items():
                noise = found.get("noise", "its own") + ("" if found.get("counts", True) else ", does not count")
                head = [found["series"], noise] if name == NOISY else ["", ""]
                thirds = " / ".join(f"{part:+.1f}" for part in one["thirds"])
                shown = f"{name} ({found['blur']})" if name == BLURRED else name
                table.add_row(*head, shown, f"{one['bias']:+.2f}", thirds, f"{one['spread']:.1f}", f"{one['flat']:.1f}")
        yield table
    if numbers["t2"]:
        yield _verdict(numbers["t2"])
    for found in numbers["adc"]:
        yield (
            f"{found['series']}: {found['trials']} times one unweighted image and {found['directions']} directions against all others. "
            "Each direction was measured once and none is told, so this holds the ADC of means over directions against one another; the "
            "tissue's own direction, pulsation and motion are part of every spread. Other scans of this person were trained on."
        )


def _verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    rows = [row for row in rows if row["counts"]]
    if not rows:
        return "No noise is three times the echoes' own, so nothing is said about T2."
    within = sum(abs(row["maps"][DENOISED]["bias"]) <= LARGEST_BIAS for row in rows)
    calmer = sum(row["maps"][DENOISED]["spread"] < row["maps"][NOISY]["spread"] for row in rows)
    answer = "holds" if within == calmer == len(rows) else "does not hold"
    wanted = f"T2 within {LARGEST_BIAS:g} %, with less spread than the noisy maps'"
    return f"Wanted: {wanted}. It {answer}: so are {within} and {calmer} of {len(rows)}."


def headline(numbers: Numbers) -> Headline:
    """Bias and spread of T2, and of ADC."""
    figures: dict[str, float] = {}
    says = []
    for kind, title in (("t2", "T2"), ("adc", "ADC")):
        if not numbers[kind]:
            continue
        rows = [found["maps"] for found in numbers[kind]]
        bias = max((row[DENOISED]["bias"] for row in rows), key=abs)
        spreads = [float(np.mean([row[name]["spread"] for row in rows])) for name in (NOISY, DENOISED)]
        says.append(f"{title} {bias:+.1f} % off at most, spread {spreads[1]:.0f} % (noisy {spreads[0]:.0f})")
        figures |= {f"largest bias of {title}, %": round(bias, 2), f"spread of {title}, %": round(spreads[1], 2)}
        figures[f"spread of {title} of the noisy images, %"] = round(spreads[0], 2)
    return Headline(f"{'; '.join(says)}.", figures)


CLAIM = Claim("quantities", measure, show, headline, width=160)
