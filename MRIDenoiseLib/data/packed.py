"""Clean volumes packed small, for a machine that has them for a few minutes and no readers of image files.

Intensities are kept in steps of 0.002 of P99.5, far below the volumes' own noise, and the air around the body is cut off.
"""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.data.manifest import CleanVolume, LeftOut, ManifestRow, manifest_acquisition
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.atomic import json_text
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

INDEX = "PACKED.json"
STEP = 0.002
"""Of P99.5."""
MARGIN = 12
"""Pixels of air that stay around the body."""


@dataclass(frozen=True)
class Packed:
    """What a packed folder holds, and what a model's card must state about the data that it was packed from.

    Args:
        volumes: to learn from.
        kept_out: the patients whom the manifests keep for tests.
        left_out: volumes of others that are not used as targets, and why.
    """

    volumes: Sequence[CleanVolume]
    kept_out: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()


def write_packed(packed: Packed, folder: Path) -> None:
    """Pack volumes into a new folder, one file each next to :data:`INDEX`.

    Raises:
        OSError: the folder is there already, or the system refuses.
    """
    folder.mkdir(parents=True)
    index = []
    for number, volume in enumerate(packed.volumes):
        cut = _around(volume.body)
        slices = np.round(volume.slices[cut].clip(0) / STEP).clip(0, np.iinfo(np.uint16).max).astype("<u2")
        data = lzma.compress(slices.tobytes() + np.packbits(volume.body[cut]).tobytes(), preset=3)
        name = f"{number:03d}.xz"
        (folder / name).write_bytes(data)
        entry = {"file": name, "sha256": sha256(data).hexdigest(), "shape": slices.shape, "slice_spacing": volume.slice_spacing}
        entry |= {"coarsening": volume.coarsening, "plane": asdict(volume.acquisition.plane), "row": asdict(volume.row)}
        index.append(entry)
    content = {"kept_out": list(packed.kept_out), "left_out": [asdict(one) for one in packed.left_out], "volumes": index}
    (folder / INDEX).write_text(json_text(content), encoding="utf-8")


def read_packed(folder: Path) -> Packed:
    """What :func:`write_packed` packed.

    Raises:
        InputError: a file is missing or damaged.
    """
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        # Unpacking leaves Python's lock alone, so threads are enough.
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            volumes = list(threads.map(lambda one: _read(folder, one), content["volumes"]))
        return Packed(volumes, tuple(map(str, content["kept_out"])), tuple(LeftOut(**one) for one in content["left_out"]))
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise InputError(f"{folder} holds packed volumes that are damaged; pack them again") from error


def _read(folder: Path, entry: dict[str, Any]) -> CleanVolume:
    data = (folder / entry["file"]).read_bytes()
    if sha256(data).hexdigest() != entry["sha256"]:
        raise ValueError(entry["file"])
    raw, shape = lzma.decompress(data), tuple(entry["shape"])
    count = int(np.prod(shape))
    slices = np.frombuffer(raw[: 2 * count], "<u2").reshape(shape) * np.float32(STEP)
    body = np.unpackbits(np.frombuffer(raw[2 * count :], np.uint8), count=count).reshape(shape).astype(bool)
    row = ManifestRow(**entry["row"])
    found = Acquisition(plane=AcquisitionField(**entry["plane"]))
    return CleanVolume(slices, body, entry["slice_spacing"], manifest_acquisition(row, found), row, entry["coarsening"])


def _around(body: np.ndarray) -> tuple[slice, ...]:
    """The slices that show some of the body, and its rows and columns with a margin."""
    cut = []
    for axis, margin in enumerate((0, MARGIN, MARGIN)):
        occupied = np.flatnonzero(body.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, body.shape[axis] - 1)
        cut.append(slice(max(0, first - margin), last + 1 + margin))
    return tuple(cut)
