"""Clean volumes packed small, for a machine that has them for a few minutes and no readers of image files.

Intensities are kept in steps of 0.002 of P99.5, far below the volumes' own noise, and the air around the body is cut off.
"""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.data.manifest import CleanVolume, ManifestRow, manifest_acquisition
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.atomic import json_text
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

INDEX = "PACKED.json"
STEP = 0.002
"""Of P99.5."""
MARGIN = 12
"""Pixels of air that stay around the body."""


def write_packed(volumes: Sequence[CleanVolume], folder: Path) -> None:
    """Pack volumes into a new folder, one file each beside :data:`INDEX`.

    Raises:
        OSError: the folder is there already, or the system refuses.
    """
    folder.mkdir(parents=True)
    index = []
    for number, volume in enumerate(volumes):
        cut = _around(volume.body)
        slices = np.round(volume.slices[cut].clip(0) / STEP).clip(0, np.iinfo(np.uint16).max).astype("<u2")
        data = lzma.compress(slices.tobytes() + np.packbits(volume.body[cut]).tobytes(), preset=3)
        name = f"{number:03d}.xz"
        (folder / name).write_bytes(data)
        told = {"file": name, "sha256": sha256(data).hexdigest(), "shape": slices.shape, "slice_spacing": volume.slice_spacing}
        told |= {"coarsening": volume.coarsening, "plane": asdict(volume.acquisition.plane), "row": asdict(volume.row)}
        index.append(told)
    (folder / INDEX).write_text(json_text(index), encoding="utf-8")


def read_packed(folder: Path) -> list[CleanVolume]:
    """What :func:`write_packed` packed.

    Raises:
        InputError: a file is missing or damaged.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        # Unpacking leaves Python's lock alone, so threads are enough.
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return list(threads.map(lambda told: _read(folder, told), index))
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise InputError(f"{folder} holds packed volumes that are damaged; pack them again") from error


def _read(folder: Path, told: dict[str, Any]) -> CleanVolume:
    data = (folder / told["file"]).read_bytes()
    if sha256(data).hexdigest() != told["sha256"]:
        raise ValueError(told["file"])
    raw, shape = lzma.decompress(data), tuple(told["shape"])
    count = int(np.prod(shape))
    slices = np.frombuffer(raw[: 2 * count], "<u2").reshape(shape) * np.float32(STEP)
    body = np.unpackbits(np.frombuffer(raw[2 * count :], np.uint8), count=count).reshape(shape).astype(bool)
    row = ManifestRow(**told["row"])
    found = Acquisition(plane=AcquisitionField(**told["plane"]))
    return CleanVolume(slices, body, told["slice_spacing"], manifest_acquisition(row, found), row, told["coarsening"])


def _around(body: np.ndarray) -> tuple[slice, ...]:
    """The slices that show some of the body, and its rows and columns with a margin."""
    cut = []
    for axis, margin in enumerate((0, MARGIN, MARGIN)):
        occupied = np.flatnonzero(body.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, body.shape[axis] - 1)
        cut.append(slice(max(0, first - margin), last + 1 + margin))
    return tuple(cut)
