"""Does the program notice what no training had, and stay silent otherwise? Ten oddities are planted in the test patients' volumes.

What happens in the scanner is planted before the noise of one row of the benchmark, what happens to images after it. Beside the
detectors stands the simplest control: the distance of the histogram of brightness from the nearest of the training volumes, with the
limit that lets pass 99 of 100 of those (patient by patient, each compared with the other patients'). False alarms are
counted on test and training volumes under every noise, and on all volumes as they were scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.evaluation.claims.claim import EVERY_NOISE, Claim, Data, Headline, Noises, Numbers, chosen, tracked
from MRIDenoiseLib.image.body import clean_scale, intensity_scale
from MRIDenoiseLib.image.kind import kind_of
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.inference.oddities import chosen_slices, find_oddities
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, benchmark_row
from MRIDenoiseLib.volume import Volume

WHAT = (
    "oddities planted in the test patients' volumes: how many volumes are warned about (or refused), by the detectors and by the histogram "
    "of brightness alone; alarms: the same on volumes with nothing planted, as they are and under every noise"
)
NOISE = "M0.05"
"""Of the volumes in which something is planted."""
MOST_ALARMS = 1 / 20
BINS = np.linspace(0, 1.5, 31)
PASS = 99
"""Percentile of the training volumes' distances that is the control's limit."""
AS_SCANNED = "as scanned"

Plant = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Planted:
    """An oddity.

    Args:
        kind: as the detectors call it.
        plant: (slices, rows, columns) in units of P99.5 and a source of chance -> the same with the oddity.
        after: whether it comes after the noise.
    """

    kind: str
    plant: Plant
    after: bool = False


def _folded(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """The field of view is seven tenths of the body; what lies outside comes in again, with a phase of its own."""
    axis = _axis(chance)
    there = np.flatnonzero((image > 0.1).any(axis=tuple(one for one in range(3) if one != axis)))
    length = max(16, int(0.7 * (there[-1] - there[0] + 1)) // 2 * 2)
    start = (there[0] + there[-1] + 1) // 2 - length // 2
    along = np.moveaxis(image, axis, -1)
    folded = np.zeros((*along.shape[:-1], length), np.complex64)
    for place in range(along.shape[-1]):
        turn, at = divmod(place - start, length)
        folded[..., at] += along[..., place] * np.exp(2j * turn)
    return np.moveaxis(np.abs(folded), -1, axis)


def _copied(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Three tenths of the image once more, half a field of view away, with any phase."""
    axis = _axis(chance)
    copy = np.roll(image, image.shape[axis] // 2, axis) * np.exp(2j * np.pi * chance.uniform())
    return np.abs(image + 0.3 * copy)


def _moved(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A motion to and fro by 0.8 % of the field of view, once in eight lines of k-space."""
    axis = _axis(chance)
    along = np.moveaxis(image, axis, -1)
    size = along.shape[-1]
    frequency = np.fft.fftfreq(size)
    order = np.argsort(np.argsort(frequency))
    shift = 0.008 * size * np.sin(2 * np.pi * (order / 8 + chance.uniform()))
    lines = np.fft.fft(along, axis=-1) * np.exp(-2j * np.pi * frequency * shift)
    return np.moveaxis(np.abs(np.fft.ifft(lines, axis=-1)), -1, axis)


def _spiked(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """One point of k-space as strong as stripes of a tenth of P99.5, in every second slice."""
    result = image.copy()
    rows, columns = np.indices(image.shape[1:])
    for z in range(0, len(image), 2):
        frequency, angle = chance.uniform(0.1, 0.35), chance.uniform(0.2, 1.3)
        result[z] = np.abs(image[z] + 0.1 * np.exp(2j * np.pi * frequency * (rows * np.sin(angle) + columns * np.cos(angle))))
    return result


def _interfered(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A line of three tenths of P99.5 with random phase, in the same place of every slice."""
    axis = _axis(chance)
    result = np.moveaxis(image.copy(), axis, -1)
    place = int(chance.integers(result.shape[-1] // 5, 4 * result.shape[-1] // 5))
    result[..., place] = np.abs(result[..., place] + 0.3 * np.exp(2j * np.pi * chance.uniform(size=result.shape[:-1])))
    return np.moveaxis(result, -1, axis)


def _inverted(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return np.clip(1 - image, 0, None)


def _posterised(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Nine grey levels."""
    return np.round(np.clip(image, 0, 1) * 8) / 8


def _smoothed(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A Gaussian of two pixels."""
    return np.asarray(ndimage.gaussian_filter(image, (0, 2, 2)))


def _specked(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Three of a hundred pixels become black or white."""
    drawn = chance.uniform(size=image.shape)
    return np.where(drawn < 0.015, 0, np.where(drawn > 0.985, 1.2, image))


def _emptied(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return np.hypot(*chance.normal(0, 0.05, (2, *image.shape)))


def _axis(chance: np.random.Generator) -> int:
    """Rows or columns."""
    return int(chance.integers(1, 3))


ODDITIES = {
    "folded over": Planted("fold-over", _folded),
    "a copy from failed unfolding": Planted("copy", _copied),
    "motion": Planted("ghosts", _moved),
    "a spike in the raw data": Planted("stripes", _spiked),
    "radio interference": Planted("line", _interfered),
    "inverted": Planted("inverted", _inverted),
    "few grey levels": Planted("few grey levels", _posterised, after=True),
    "smoothed": Planted("smoothed", _smoothed, after=True),
    "salt and pepper": Planted("specks", _specked, after=True),
    "noise only": Planted("noise only", _emptied, after=True),
}
"""Name in tables -> what is planted."""


def planted(name: str, clean: np.ndarray, seed: int, slices: list[int] | None = None) -> np.ndarray:
    """A clean volume with an oddity and noise of :data:`NOISE`.

    Args:
        name: one of :data:`ODDITIES`.
        clean: float32 (slices, rows, columns), in units of its P99.5.
        seed: of what is drawn by chance.
        slices: those that are made; all where not given.
    """
    oddity, chance = ODDITIES[name], np.random.default_rng(seed)
    wanted = range(len(clean)) if slices is None else slices
    if oddity.after:
        return oddity.plant(_noisy(clean, NOISE, wanted), chance).astype(np.float32)
    return _noisy(np.ascontiguousarray(oddity.plant(clean, chance), np.float32), NOISE, wanted)


def measure(data: Data, model: Bundle, progress: Progress, *, noises: Noises = EVERY_NOISE) -> Numbers:
    """Plant every oddity in every test volume, and look at all volumes with nothing planted."""
    rows = chosen(noises, BENCHMARK_ROWS, "noise")
    sources = [*read_manifest(data, split="test"), *read_manifest(data, split="as-scanned"), *read_manifest(data, split="train")]
    looks: list[dict[str, Any]] = []
    histograms: list[np.ndarray] = []

    def look(source: ManifestRow, planted: str, noise: str, image: np.ndarray, volume: Volume) -> None:
        refused = kind_of(volume.with_stack(image)).refused
        scale = analyse(image, model.network("noise_estimator")).scale
        found = list(find_oddities(image, scale, range(len(image))).found)
        looks.append({"volume": source.name, "subject": source.subject, "split": source.split})
        looks[-1] |= {"planted": planted, "noise": noise, "found": found, "refused": bool(refused)}
        histograms.append(histogram(image))

    for seed, source in enumerate(tracked(sources, progress, "volumes")):
        volume, clean = _read(data, source)
        slices = chosen_slices(len(clean))
        look(source, "", AS_SCANNED, clean[slices], volume)
        for noise in rows if source.split != "as-scanned" else ():
            look(source, "", noise, _noisy(clean, noise, slices), volume)
        for name in ODDITIES if source.split == "test" else ():
            look(source, name, NOISE, planted(name, clean[slices], seed), volume)
    for one, far in zip(looks, _distances(looks, histograms), strict=True):
        one["histogram"] = far
    return {"what": WHAT, "planted": _caught(looks), "alarms": _alarms(looks), "looks": looks}


def histogram(image: np.ndarray) -> np.ndarray:
    """The parts of a volume's brightest-to-darkest range, relative to P99.5 of its body, that its pixels fill."""
    counts, _ = np.histogram(np.clip(image / intensity_scale(image), 0, BINS[-1] - 1e-6), BINS)
    return np.asarray(np.cumsum(counts) / counts.sum())


def _read(data: Path, source: ManifestRow) -> tuple[Volume, np.ndarray]:
    volume = io.read(data / source.file)
    return volume, np.ascontiguousarray(volume.stack / clean_scale(volume.stack), np.float32)


def _noisy(clean: np.ndarray, noise: str, slices: list[int] | range) -> np.ndarray:
    return np.asarray(benchmark_row(noise, torch.from_numpy(clean), slices=slices).numpy())


def _distances(looks: list[dict[str, Any]], histograms: list[np.ndarray]) -> list[float]:
    """Largest difference of cumulative histograms from the nearest training look of another patient, 1 at the control's limit."""
    training = [k for k, one in enumerate(looks) if one["split"] == "train" and not one["planted"]]
    if not training:
        return [0.0] * len(looks)
    known, subjects = np.stack([histograms[k] for k in training]), np.array([looks[k]["subject"] for k in training])
    far = []
    for one, own in zip(looks, histograms, strict=True):
        others = known[subjects != one["subject"]]
        far.append(float(np.abs(others - own).max(axis=1).min()) if len(others) else 0.0)
    limit = float(np.percentile([far[k] for k in training], PASS))
    return [round(value / limit, 3) if limit > 0 else 0.0 for value in far]


def _caught(looks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By oddity: in how many volumes it was noticed, called by its name, and noticed by the control."""
    table = []
    for name, oddity in ODDITIES.items():
        of_it = [one for one in looks if one["planted"] == name]
        noticed = sum(bool(one["found"]) or one["refused"] for one in of_it)
        named = sum(oddity.kind in one["found"] or one["refused"] for one in of_it)
        table.append({"oddity": name, "volumes": len(of_it), "noticed": noticed, "named": named, "control": _by_control(of_it)})
    return table


def _alarms(looks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By split: images with nothing planted, and how many alarms there were; those of test patients also noise by noise."""
    table = []
    for split, as_scanned in (("test", False), ("test", True), ("as-scanned", True), ("train", False), ("train", True)):
        of_it = [one for one in looks if not one["planted"] and one["split"] == split and (one["noise"] == AS_SCANNED) == as_scanned]
        alarms = [f"{one['volume']} {one['noise']}: {', '.join(one['found'])}" for one in of_it if one["found"]]
        which = f"{split}, {'as they are' if as_scanned else 'with noise'}"
        table.append({"of": which, "images": len(of_it), "alarms": len(alarms), "control": _by_control(of_it), "which": alarms})
    return table


def _by_control(looks: list[dict[str, Any]]) -> int:
    return sum(one["histogram"] > 1 for one in looks)


def show(numbers: Numbers) -> Iterator[Table | str]:
    """What was noticed by oddity, then false alarms."""
    table = Table("planted", "volumes", "noticed", "called by its name", "by the histogram alone", title="Oddities that were noticed")
    for row in numbers["planted"]:
        table.add_row(row["oddity"], *(str(row[name]) for name in ("volumes", "noticed", "named", "control")))
    yield table
    alarms = Table("volumes", "images", "false alarms", "by the histogram alone", title="False alarms")
    for row in numbers["alarms"]:
        alarms.add_row(row["of"], *(str(row[name]) for name in ("images", "alarms", "control")))
    yield alarms
    for row in numbers["alarms"]:
        if row["which"]:
            yield f"Alarms, {row['of']}: {'; '.join(row['which'])}."
    kinds, honest = _kinds(numbers), numbers["alarms"][0]
    rare = honest["alarms"] <= MOST_ALARMS * honest["images"]
    yield f"It {'holds' if kinds >= 9 and rare else 'does not hold'}: {headline(numbers).says}"


def headline(numbers: Numbers) -> Headline:
    """How many kinds are noticed in most volumes, and how often there is an alarm for nothing."""
    honest = numbers["alarms"][0]
    says = f"{_kinds(numbers)} of {len(ODDITIES)} planted oddities warn; false alarms on {honest['alarms']} of {honest['images']} images."
    figures: Mapping[str, float] = {
        "kinds noticed in most volumes": _kinds(numbers),
        "the same by the histogram alone": sum(row["control"] > row["volumes"] / 2 for row in numbers["planted"]),
        "test images with noise": honest["images"],
        "false alarms": honest["alarms"],
        "false alarms by the histogram alone": honest["control"],
    }
    return Headline(says, figures)


def _kinds(numbers: Numbers) -> int:
    return sum(row["noticed"] > row["volumes"] / 2 for row in numbers["planted"])


CLAIM = Claim("oddities", measure, show, headline)
