"""The trials of planted evidence: fakes in the networks' answer, noise alone, bars, and discs for an observer; see :mod:`.planted`.

The phantoms are an even or lumpy object inside a bright rim, in air, with Rician noise. Their slices differ, so that a network that
sees neighbours is not told the answer by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS, Blur
from MRIDenoiseLib.evaluation.claims.guarantee import Disc, held_to
from MRIDenoiseLib.evaluation.claims.native_noise import middle_slices
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD
from MRIDenoiseLib.evaluation.figures.observer import Detection, observer_scores
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.inference.guarantee import RADII, disc_weights
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.prompt import override
from MRIDenoiseLib.simulation.kspace import seeded_generator
from MRIDenoiseLib.simulation.noise import rician
from MRIDenoiseLib.simulation.presets import benchmark_row
from MRIDenoiseLib.volume import Acquisition, Volume

NOISY, BLURRED, EQUALLY_BLURRED, BM4D = "noisy", "best blur", "equal blur", "BM4D"
FREE, DENOISED = "denoised, no guarantee", "denoised"
GREY = 0.6
"""Brightness of the phantoms' object; that of the brightest rim, which decides their scale, is 1."""
SIGMA = 0.05
"""Standard deviation of the phantoms' noise: about that of the benchmark row R."""

AWAY = 16
"""Pixels from the rim within which noise alone is not judged: there what is drawn may be the rim."""

LOW_PASS = 2.0
"""Pixels, radius of the disc whose means count as energy of a fake."""
FAKES = (3.0, 5.0, 10.0, 20.0)
"""Contrasts of fake discs, in standard deviations of the noise of a pixel."""
FAKE_RADII = (1.5, 4.0)
OTHER_PATIENT = "another patient's slice"
PERIODS = (2, 3, 4, 6, 8)
CONTRASTS = (0.1, 0.2, 0.4)
"""Of the bars: pixels a period, and bright minus dark."""
PATCH = 32

DIAMETERS = (3.0, 5.0, 8.0)
DETECTABLE = (1.0, 2.0)
"""Of the discs: pixels, and how many standard deviations apart their mean is from none's to the best possible reader in white noise."""
SITE = 33
LUMPS, LUMP = 0.03, 6.0
"""Of the lumpy background: standard deviation, and pixels of the Gaussian that made it."""
BACKGROUNDS = ("even", "lumpy")
Ways = Callable[[Volume, tuple[int, int]], dict[str, np.ndarray]]
"""(Noisy volume, half-open range of slices) -> those slices, without and with the guarantee."""


def phantom(object_: np.ndarray, sigma: float, seed: str) -> tuple[Volume, Volume]:
    """An object inside a bright rim, clean and with Rician noise.

    Args:
        object_: (slices, rows, columns), brightness inside the rim; the rim adds 8 pixels on every side, air 16 more.
        sigma: of the noise.
        seed: words that decide it.
    """
    inner = np.pad(object_.astype(np.float32), ((0, 0), (8, 8), (8, 8)), constant_values=1.0)
    clean = np.pad(inner, ((0, 0), (16, 16), (16, 16)))
    image = torch.from_numpy(clean)
    noisy = torch.stack([rician(image[k], sigma, seeded_generator(0, seed, k)) for k in range(len(image))]).numpy()
    acquisition = override(Acquisition(), organ="head", contrast="T1w")
    volumes = (Volume(stack.astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0])) for stack in (clean, noisy))
    first, second = (volume.with_acquisition(acquisition) for volume in volumes)
    return first, second


def _inside(stack: np.ndarray, margin: int = 0) -> np.ndarray:
    edge = 24 + margin
    return stack[:, edge:-edge, edge:-edge]


def _outside(inside: np.ndarray) -> np.ndarray:
    return np.pad(inside, ((0, 0), (24, 24), (24, 24)))


def _controls(noisy: np.ndarray, clean: np.ndarray, result: np.ndarray, flat: np.ndarray, bm4d: bool) -> dict[str, np.ndarray]:
    """The blur of smallest error, the one that leaves as much noise where all is ``flat``, and BM4D, of a phantom's slices."""
    tissue = clean > FOREGROUND_THRESHOLD
    best = min((blur for blur in BLURS if not blur.across), key=lambda blur: float(np.square(blur(noisy) - clean)[tissue].mean()))
    equal = equal_blur(noisy - clean, float((result - clean)[flat].std()), flat)
    found = {BLURRED: best(noisy), EQUALLY_BLURRED: equal(noisy)}
    return found | ({BM4D: block_matching(noisy, SIGMA)} if bm4d else {})


def equal_blur(noise: np.ndarray, wanted: float, where: np.ndarray) -> Blur:
    """The blur within slices that leaves noise of about this strength there; the widest of all where hardly any is wanted.

    Args:
        noise: (slices, rows, columns).
        wanted: its standard deviation after the blur.
        where: bool, the same shape, at least three blurs' widths from anything else.
    """
    widths = np.geomspace(0.2, 12.0, 40)
    left = [float(Blur(width, 0.0)(noise)[where].std()) for width in widths]
    return Blur(round(float(widths[int(np.argmin(np.abs(np.array(left) - wanted)))]), 3), 0.0)


def fakes_trial(source: Volume, other: Volume, noise: str, model: Bundle, settings: Settings, *, limit: int, seed: int) -> dict[str, Any]:
    """Energy that is left of fakes in the middle slices of a volume.

    Args:
        source: a clean volume.
        other: another patient's, whose slice takes the place of the networks' answer.
        noise: a benchmark row.
        model: for the answer, and for the noise that the guarantee finds.
        settings: with the guarantee.
        limit: how many slices.
        seed: of the fakes' places.
    """
    clean = np.ascontiguousarray(source.stack / np.float32(clean_scale(source.stack))).clip(min=0)
    noisy = benchmark_row(noise, torch.from_numpy(clean)).numpy()
    first, last = slices = middle_slices(len(clean), limit)
    sigma = float((noisy - clean)[first:last][clean[first:last] > FOREGROUND_THRESHOLD].std())
    free = replace(settings, slices=slices, guarantee=0.0, denoise_clean=True)
    answer = Denoiser(model)(source.with_stack(noisy), free).volume.stack
    analysis = analyse(noisy, model.network("noise_estimator"))
    kappa = settings.guarantee
    honest, _ = held_to(noisy, answer, analysis, slices, kappa)

    def left(false: np.ndarray) -> dict[str, float]:
        result, _ = held_to(noisy, false, analysis, slices, kappa)
        before, after = (_energy((one - other_)[first:last]) for one, other_ in ((false, answer), (result, honest)))
        return {"before": before, "after": after, "left": after / before if before else 0.0}

    generator = np.random.default_rng([seed, *f"{source.name} {noise}".encode()])
    found: dict[str, dict[str, float]] = {}
    for radius, strength in product(FAKE_RADII, FAKES):
        false = answer.copy()
        places = _places(clean, slices, radius, generator)
        for number, centre in enumerate(places):
            Disc(centre, radius, (-1) ** number * strength * sigma, False).drawn(false)
        if places:
            found[f"disc of {2 * radius:g} px, {strength:g} sigma"] = left(false)
    false = answer.copy()
    theirs = _fitted(other.stack / np.float32(clean_scale(other.stack)), clean.shape)
    false[first:last] = theirs[first:last]
    found[OTHER_PATIENT] = left(false)
    return {"volume": source.name, "noise": noise, "fakes": {name: _rounded(one) for name, one in found.items()}}


def _energy(difference: np.ndarray) -> float:
    """Sum of the squares of the means over discs."""
    weights = disc_weights(LOW_PASS)
    return float(sum(np.square(ndimage.convolve(one.astype(np.float64), weights)).sum() for one in difference))


def _places(clean: np.ndarray, slices: tuple[int, int], radius: float, generator: np.random.Generator) -> list[tuple[int, int, int]]:
    """Centres in bright tissue, six a slice at most, far apart."""
    reach = math.ceil(radius) + 1
    placed: list[tuple[int, int, int]] = []
    for z in range(*slices):
        tissue = ndimage.binary_erosion(clean[z] > GREY / 2, np.ones((2 * reach + 1,) * 2))
        candidates = generator.permutation(np.argwhere(tissue))[:200].tolist()
        here: list[tuple[int, int, int]] = []
        for y, x in candidates:
            if len(here) < 6 and all(math.dist((z, y, x), one) > 32 for one in here):
                here.append((z, y, x))
        placed += here
    return placed


def _fitted(stack: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Another volume's slices on this grid: the middle on the middle, brought to the same size."""
    middle = stack[np.linspace(0, len(stack) - 1, shape[0]).round().astype(int)]
    zoom = (1.0, shape[1] / middle.shape[1], shape[2] / middle.shape[2])
    return np.asarray(ndimage.zoom(middle, zoom, order=1, grid_mode=True, mode="nearest"), np.float32)


def noise_trial(ways: Ways, *, size: int, slices: int, bm4d: bool) -> list[dict[str, Any]]:
    """What is drawn into an even grey object, and into a volume of nothing but noise."""
    rows: list[dict[str, Any]] = []
    for name in ("grey", "air"):
        if name == "grey":
            clean, noisy = phantom(np.full((slices, size, size), GREY), SIGMA, f"noise {name}")
        else:
            generator = np.random.default_rng(5)
            noisy = phantom(np.zeros((slices, size, size)), SIGMA, "shape")[1]
            stack = np.hypot(*generator.normal(0, SIGMA, (2, *noisy.voxels.shape))).astype(np.float32)
            noisy = noisy.with_stack(stack)
            clean = noisy.with_stack(np.full_like(stack, SIGMA * math.sqrt(math.pi / 2)))
        try:
            results = ways(noisy, (0, slices))
        except InputError as error:
            rows.append({"image": name, "refused": str(error)})
            continue
        measured = noisy.stack
        middle = np.zeros(measured.shape, bool)
        _inside(middle, AWAY)[:] = True
        equal = equal_blur(measured - clean.stack, float((results[DENOISED] - clean.stack)[middle].std()), middle)
        images = {NOISY: measured, **results, EQUALLY_BLURRED: equal(measured)}
        images |= {BM4D: block_matching(measured, SIGMA)} if bm4d else {}
        sigma = float(_inside(measured, AWAY).std())
        figures = {one: _structure(_inside(image, AWAY), sigma) for one, image in images.items()}
        rows.append({"image": name, "blur": str(equal), "found": figures})
    return rows


def _structure(image: np.ndarray, sigma: float) -> dict[str, Any]:
    """Standard deviation, and the largest mean of any disc of each radius, over sigma, against the slice's own mean."""
    around = image - image.mean(axis=(1, 2), keepdims=True)
    largest = [max(float(np.abs(ndimage.convolve(one, disc_weights(radius))).max()) for one in around) / sigma for radius in RADII]
    return {"std": round(float(around.std()) / sigma, 4), "discs": [round(value, 4) for value in largest]}


def bars_trial(ways: Ways, *, slices: int, bm4d: bool) -> dict[str, Any]:
    """The part of the modulation of bars that is kept, by period and contrast."""
    groups = list(product(PERIODS, CONTRASTS))
    columns = math.ceil(math.sqrt(len(groups) + 1))  # at least one patch stays empty, to measure the noise that is left
    side = columns * PATCH
    generator = np.random.default_rng(1)
    object_ = np.full((slices, side, side), GREY, np.float32)
    empty = np.zeros(object_.shape, bool)
    patterns: list[tuple[int, int, int, np.ndarray]] = []
    for z in range(slices):
        for place, number in enumerate(generator.permutation(columns**2).tolist()):
            y, x = (PATCH * part + 4 for part in divmod(place, columns))
            if number >= len(groups):
                empty[z, y : y + PATCH - 8, x : x + PATCH - 8] = True
                continue
            period, contrast = groups[number]
            across = np.arange(PATCH - 8)
            wave = np.where((across % period) < period / 2, 0.5, -0.5)
            bars = np.broadcast_to(wave[None], (PATCH - 8,) * 2)
            bars = bars.T if generator.integers(2) else bars
            object_[z, y : y + PATCH - 8, x : x + PATCH - 8] += np.float32(contrast) * bars
            patterns.append((number, z, y * side + x, bars - bars.mean()))
    clean, noisy = phantom(object_, SIGMA, "bars")
    results = ways(noisy, (0, slices))
    truth, measured = clean.stack, noisy.stack
    images = {NOISY: measured, **results, **_controls(measured, truth, results[DENOISED], _outside(empty), bm4d)}
    kept: dict[str, dict[str, float]] = {}
    for name, image in images.items():
        sums: dict[int, list[float]] = {}
        for number, z, corner, bars in patterns:
            y, x = divmod(corner, side)
            part = _inside(image)[z, y : y + PATCH - 8, x : x + PATCH - 8]
            sums.setdefault(number, []).append(float((part * bars).sum() / np.square(bars).sum()) / groups[number][1])
        kept[name] = {f"{period} px, {contrast:g}": round(float(np.mean(sums[k])), 4) for k, (period, contrast) in enumerate(groups)}
    return {"slices": slices, "kept": kept}


def discs_trial(ways: Ways, background: str, *, slices: int, seed: int = 0) -> dict[str, Any]:
    """Areas under the ROC curve for discs of several sizes and contrasts, half of all places without one."""
    tasks = list(product(DIAMETERS, DETECTABLE))
    columns = 6
    side = columns * SITE
    generator = np.random.default_rng([seed, len(background)])
    object_ = np.full((slices, side, side), GREY, np.float32)
    if background == "lumpy":
        lumps = ndimage.gaussian_filter(generator.normal(0, 1, object_.shape), (0.7, LUMP, LUMP), mode="wrap")
        object_ += np.float32(LUMPS) * (lumps / lumps.std()).astype(np.float32)
    empty = np.zeros(object_.shape, bool)
    sites: list[tuple[int, bool, int, int, int]] = []
    for z in range(slices):
        order = generator.permutation(columns**2)
        for place, number in enumerate(order.tolist()):
            task, present = number % len(tasks), bool(number // len(tasks) % 2)
            y, x = (SITE * part for part in divmod(place, columns))
            diameter, strength = tasks[task]
            weights = disc_weights(diameter / 2)
            profile = weights / weights.max()
            if present:
                contrast = strength * SIGMA / math.sqrt(float(np.square(profile).sum()))
                Disc((z, y + SITE // 2, x + SITE // 2), diameter / 2, contrast, True).drawn(object_)
            else:
                empty[z, y : y + SITE, x : x + SITE] = True
            sites.append((task, present, z, y, x))
    clean, noisy = phantom(object_, SIGMA, f"discs {background}")
    results = ways(noisy, (0, slices))
    images = {NOISY: noisy.stack, **results, **_controls(noisy.stack, clean.stack, results[DENOISED], _outside(empty), False)}
    found, pooled = [], []
    for task, (diameter, strength) in enumerate(tasks):
        scores = {}
        for name, image in images.items():
            sides = [
                np.stack([_inside(image)[z, y : y + SITE, x : x + SITE] for k, there, z, y, x in sites if (k, there) == (task, wanted)])
                for wanted in (True, False)
            ]
            scores[name] = observer_scores(sides[0], sides[1], diameter)
        read = Detection.of(scores)
        pooled.append(read)
        areas = {name: round(area, 4) for name, area in read.areas.items()}
        changes = {name: [round(part, 4) for part in parts] for name, parts in read.difference.items()}
        found.append({"diameter": diameter, "detectable": strength, "areas": areas, "changes": changes})
    return {"background": background, "images": len(sites) // len(tasks), "tasks": found, "mean": _pooled(pooled)}


def _pooled(read: list[Detection]) -> dict[str, list[float]]:
    """Mean change of the area over tasks, which share no place, with its 95 % interval."""
    means = {}
    for name in read[0].areas:
        changes = np.array([one.difference[name] for one in read])
        half = float(np.sqrt(np.square(changes[:, 2] - changes[:, 0]).sum())) / len(read)
        mean = float(changes[:, 0].mean())
        means[name] = [round(mean, 4), round(mean - half, 4), round(mean + half, 4)]
    return means


def _rounded(one: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in one.items()}
