"""Volumes made alike in all that is not the image: grid, pixel type, scale, window, header, size and date.

All arms of a case are written as int16 with one factor, on the very same grid, uncompressed, so that neither a header nor a size nor
the time to load differs. The value under the mouse pointer reveals nothing either: an arm stored as whole numbers and one stored as
fractions are rounded to the same steps.

And the key that links blinded ids to patients and arms. Reading mode never opens it, and cannot: it does not import this module.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.atomic import write_json
from MRIDenoiseLib.io.geometry import on_grid_of
from MRIDenoiseLib.io.images import Derivation, write_image
from MRIDenoiseLib.reader_study.reading.folder import Window
from MRIDenoiseLib.volume import Volume

KEY = "key.json"


PIXEL_TYPE = "int16"
LEVELS = 4095
"""Steps between black and white where the sources are that fine; a monitor shows 256 to 1024."""
FEWEST_LEVELS = 255
UNEQUAL = 1.1
"""Ratio of two arms' brightness from which a reader could know one by it."""
BRIGHT = 0.5
"""Part of the 99th percentile above which tissue is clearly brighter than noise, whose floor differs between arms."""
SAMPLED = 100_000
"""Voxels looked at to find the distance of an image's values: sorting all of them would take a second."""
ALL_FILES_DATE = 946_684_800.0
"""What every volume's date of change is set to: 1 January 2000."""
NOTE = Derivation(method="reader study", bundle="none", seed=0)
"""The text of every header: that it is not for diagnosis, and nothing else."""


@dataclass(frozen=True)
class Image:
    """What a blinded volume is.

    Args:
        subject: the patient's code.
        group: see :class:`.design.CaseName`.
        arm: which version of the case.
        factor: stored value / value of the source; the same for all arms of a case unless their brightness was matched.
    """

    subject: str
    group: str
    arm: str
    factor: float


@dataclass(frozen=True)
class Key:
    """The key of one study.

    Args:
        study: the study's random id, which its reading folder bears too.
        volumes: what each blinded volume is.
    """

    study: str
    volumes: Mapping[str, Image]

    def cases(self) -> dict[tuple[str, str], dict[str, str]]:
        """For every (subject, group) the blinded id of each arm."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for volume, image in self.volumes.items():
            found.setdefault((image.subject, image.group), {})[image.arm] = volume
        return found


def write_key(folder: Path, key: Key) -> None:
    """Write the key into its folder.

    Raises:
        OutputError: there is one, or it cannot be written.
    """
    write_json(folder / KEY, asdict(key))


def read_key(folder: Path) -> Key:
    """The key of a study.

    Args:
        folder: the one that holds the key, not the study's.

    Raises:
        InputError: it is not there, or damaged.
    """
    path = folder / KEY
    if not path.is_file():
        raise InputError(f"there is no key at {path}; only the study's own folder with its key can lift the blinding")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Key(found["study"], {volume: Image(**image) for volume, image in found["volumes"].items()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged; take it from a backup") from error


@dataclass(frozen=True)
class BlindedCase:
    """The arms of one case, alike in all but the image.

    Args:
        volumes: arm -> volume; int16 values, one grid.
        window: how all of them are shown.
        factors: arm -> stored value / value of the source.
    """

    volumes: Mapping[str, Volume]
    window: Window
    factors: Mapping[str, float]


def blind(arms: Mapping[str, Volume], case: str, percentiles: tuple[float, float] = (0.5, 99.5), *, match: bool = False) -> BlindedCase:
    """Make the arms of a case alike.

    Args:
        arms: arm -> volume, in the source's intensities.
        case: how to call the case in front of whoever makes the study.
        percentiles: of all arms' voxels together: black and white of the window.
        match: scale unequal arms to one brightness, instead of refusing them.

    Raises:
        InputError: an arm lies on another grid, or is brighter than another.
    """
    first = next(iter(arms))
    grid = arms[first]
    placed: dict[str, np.ndarray] = {}
    for arm, volume in arms.items():
        try:
            placed[arm] = on_grid_of(volume.voxels, volume.ijk_to_ras, grid.ijk_to_ras, grid.voxels.shape)
        except InputError as error:
            raise InputError(
                f"{case}: the arm '{arm}' does not lie on the voxel grid of '{first}', so a reader could distinguish them; "
                "resample them to one grid first"
            ) from error
    gains = _gains(placed, case, match=match)
    low, high = np.percentile(np.concatenate([placed[arm].ravel() * gains[arm] for arm in placed]), percentiles)
    largest = max(float(np.abs(voxels).max()) * gains[arm] for arm, voxels in placed.items())
    if not high > low:
        raise InputError(f"{case}: nearly all voxels have the same value, so there is nothing to see")
    coarsest = max(_step(voxels) * gains[arm] for arm, voxels in placed.items())
    finest = min(LEVELS / (high - low), np.iinfo(PIXEL_TYPE).max / largest)
    # Steps no finer than those an arm came with, as long as these cannot be seen: gaps between its values would be its own.
    factor = finest if coarsest == 0 else min(finest, max(1 / coarsest, FEWEST_LEVELS / (high - low)))
    factors = {arm: float(factor * gain) for arm, gain in gains.items()}
    volumes = {
        arm: Volume(np.rint(voxels * factors[arm]).astype(np.float32), grid.ijk_to_ras, PIXEL_TYPE) for arm, voxels in placed.items()
    }
    black, white = round(float(low * factor)), round(float(high * factor))
    return BlindedCase(volumes, Window(float(white - black), (white + black) / 2), factors)


def _gains(arms: Mapping[str, np.ndarray], case: str, *, match: bool) -> dict[str, float]:
    """What to multiply each arm by for one brightness: 1 for all, unless they are to be matched."""
    bright = brightness(arms)
    darkest, brightest = min(bright, key=bright.__getitem__), max(bright, key=bright.__getitem__)
    if not bright[darkest] > 0:
        raise InputError(f"{case}: the arm '{darkest}' is dark where another shows tissue, so they do not belong together")
    ratio = bright[brightest] / bright[darkest]
    if match:
        middle = float(np.exp(np.mean(np.log(list(bright.values())))))
        return {arm: middle / value for arm, value in bright.items()}
    if ratio > UNEQUAL:
        raise InputError(
            f"{case}: the arm '{brightest}' is {ratio:.2f} times as bright as '{darkest}', so a reader could distinguish them; "
            "bring them to one scale, or set brightness: matched"
        )
    return dict.fromkeys(arms, 1.0)


def brightness(arms: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The median of each arm over the tissue that is bright in their mean.

    Args:
        arms: arm -> voxels, all of one shape.
    """
    mean = np.mean([np.asarray(voxels, np.float32) for voxels in arms.values()], axis=0)
    tissue = mean >= BRIGHT * np.percentile(mean, 99)
    return {arm: float(np.median(voxels[tissue])) for arm, voxels in arms.items()}


def _step(voxels: np.ndarray) -> float:
    """The distance of the evenly spaced values that an image holds, as far as a sample shows; 0 for one of any values."""
    gaps = np.diff(np.unique(voxels.ravel()[:: max(1, voxels.size // SAMPLED)]).astype(np.float64))
    smallest = float(gaps.min(initial=np.inf))
    parts = gaps / smallest
    return smallest if gaps.size and np.abs(parts - np.rint(parts)).max() < 1e-2 else 0.0


def write_blinded(volume: Volume, path: Path) -> None:
    """Write a blinded volume: NIfTI without compression, the header's only text the same for all.

    Raises:
        OutputError: it cannot be written.
    """
    write_image(volume, path, NOTE)


def equalise_dates(files: Iterable[Path]) -> None:
    """Give files one date, so that the order in which they were made cannot be read from it."""
    for path in files:
        os.utime(path, (ALL_FILES_DATE, ALL_FILES_DATE))
