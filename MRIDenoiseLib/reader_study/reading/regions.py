"""The disc signal index: how bright the nucleus is in parts of the fluid around the cord, from two circles placed in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.io.images import read_image
from MRIDenoiseLib.reader_study.reading.forms import FLUID, NUCLEUS
from MRIDenoiseLib.volume import Volume


def signal_index(volume: Volume, regions: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Mean T2 signal of the nucleus pulposus / that of the cerebrospinal fluid in the same slice.

    Args:
        volume: the image; its zero has to mean no signal.
        regions: region -> [r, a, s, radius]: RAS mm of the centre, and mm.

    Returns:
        ``regions`` as given, ``means`` of each, and their ``ratio``.

    Raises:
        SettingsError: a region lies outside or is too small, they lie in different slices, or the fluid has no signal.
    """
    if _slice_of(volume, regions[NUCLEUS]) != _slice_of(volume, regions[FLUID]):
        raise SettingsError("the two circles lie in different slices; place both in the same one")
    means = {name: mean_in_circle(volume, region) for name, region in regions.items()}
    if means[FLUID] <= 0:
        raise SettingsError(f"the circle in the {FLUID} holds no signal; place it again")
    return {"regions": {name: list(region) for name, region in regions.items()}, "means": means, "ratio": means[NUCLEUS] / means[FLUID]}


def mean_in_circle(volume: Volume, region: Sequence[float]) -> float:
    """Mean of the voxels whose centres lie within a circle in the acquired slice next to its centre.

    Raises:
        SettingsError: no voxel lies in it, or it reaches out of the image.
    """
    axis, number = volume.slice_axis, _slice_of(volume, region)
    shape = volume.voxels.shape
    index = np.stack(np.meshgrid(*(np.arange(size) if a != axis else [number] for a, size in enumerate(shape)), indexing="ij"), axis=-1)
    centre = _index_of(volume, region)
    # The circle lies in the slice: how far the centre is from it counts for nothing.
    centre[axis] = number
    offsets = (index - centre) * np.array(volume.spacing)
    inside = np.linalg.norm(offsets, axis=-1) <= region[3]
    reach = region[3] / np.array(volume.spacing)
    within = [centre[a] - reach[a] >= -0.5 and centre[a] + reach[a] <= shape[a] - 0.5 for a in range(3) if a != axis]
    if not all(within) or not 0 <= number < shape[axis]:
        raise SettingsError("a circle reaches out of the image; place it again")
    if not inside.any():
        raise SettingsError("a circle is smaller than a voxel; make it larger")
    return float(volume.voxels[tuple(np.moveaxis(index[inside], -1, 0))].mean(dtype=np.float64))


def _index_of(volume: Volume, region: Sequence[float]) -> np.ndarray:
    """The centre in voxels (z, y, x)."""
    ijk = np.linalg.solve(volume.ijk_to_ras, [*region[:3], 1.0])[:3]
    return ijk[::-1].copy()


def _slice_of(volume: Volume, region: Sequence[float]) -> int:
    return round(float(_index_of(volume, region)[volume.slice_axis]))


def read_blinded(path: Path) -> Volume:
    """A blinded volume, its voxels being the stored values.

    Raises:
        InputError: it cannot be read.
    """
    return read_image(path)
