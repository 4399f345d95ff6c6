"""DICOM series as scanners and archives leave them, drawn by Hypothesis, with the slices that they hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from any_file import RAS_TO_LPS, rotation
from dicom_factory import header, put_pixels, save
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

FOREIGN = {
    "DICOMDIR": b"not really one",
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(600),
    "report.pdf": b"%PDF-1.4",
    "notes.txt": "Knie links".encode("cp1252"),
    "key.jpg": b"\xff\xd8\xff\xe0" + bytes(200),
}
"""What else lies in such folders."""


@dataclass(frozen=True)
class Slice:
    """One slice: what a right reader finds, and the bytes of its file.

    Args:
        values: physical values (row, column).
        position: RAS mm of its first pixel.
        name: its file's path below the series' folder.
        data: the header with pixels.
        syntax: the transfer syntax of the file.
    """

    values: np.ndarray
    position: np.ndarray
    name: str
    data: Dataset
    syntax: str


@dataclass(frozen=True)
class MadeSeries:
    """A series of parallel slices, and the names of foreign files beside them."""

    slices: tuple[Slice, ...]
    foreign: tuple[str, ...]

    def put(self, folder: Path) -> list[Path]:
        """Write all files; the paths of the slices, in their order."""
        for name in self.foreign:
            (folder / name).write_bytes(FOREIGN[name])
        paths = []
        for one in self.slices:
            path = folder / one.name
            path.parent.mkdir(exist_ok=True)
            if one.syntax == RLELossless:
                packed = save(one.data, path)
                one.data.compress(RLELossless, generate_instance_uid=False)
                one.data.save_as(packed, enforce_file_format=True)
            else:
                _swap_to(one)
                save(one.data, path, one.syntax)
            paths.append(path)
        return paths


def _swap_to(one: Slice) -> None:
    if one.syntax == ExplicitVRBigEndian:
        words = np.frombuffer(one.data.PixelData, f"<u{one.data.BitsAllocated // 8}")
        one.data["PixelData"].value = words.astype(words.dtype.newbyteorder(">")).tobytes()


SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless)


@st.composite
def series(draw: st.DrawFn) -> MadeSeries:
    """Two to six slices in any orientation: any plain syntax, numbered anyhow, scaled or not, with foreign files beside them."""
    count, rows, columns = draw(st.integers(2, 6)), draw(st.integers(5, 9)), draw(st.integers(5, 9))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    axes = rotation(draw(st.sampled_from([(1, 0, 0), (0, 1, 0), (1, 2, 3)])), draw(st.sampled_from([0, 0.3, np.pi / 2, 2.2])))
    spacing = draw(st.sampled_from([0.8, 3.0, 4.4]))
    signed, bits = draw(st.sampled_from([(0, 12), (0, 16), (1, 16), (1, 12)]))
    numbering = draw(st.sampled_from(["upwards", "downwards", "all the same", "none", "from 100 by 3"]))
    scaling = draw(st.sampled_from(["none", "one", "a slice each"]))
    order = draw(st.permutations(range(count)))
    syntax = draw(st.sampled_from(SYNTAXES))
    identity = generate_uid()
    below = draw(st.sampled_from(["", "", "more/"]))

    slices = []
    for k in range(count):
        position = RAS_TO_LPS[:3, :3] @ np.array([12.5, -30, 8]) + k * spacing * axes[:, 2]
        # As decimal strings of a header hold it.
        position = np.round(position, 6)
        stored = random.integers(1, 1 << (bits - 1), (rows, columns)).astype(np.int16 if signed else np.uint16)
        slope, intercept = {"none": (1, 0), "one": (2.5, 10), "a slice each": (1 + k, -k)}[scaling]
        ds = put_pixels(header(series=identity), stored)
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, signed
        ds.ImageOrientationPatient = [round(float(x), 8) for x in (*axes[:, 0], *axes[:, 1])]
        ds.ImagePositionPatient = [float(x) for x in position]
        ds.PixelSpacing = [0.9, 0.7]
        if scaling != "none":
            ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = slope, intercept, "US"
        number: Any = {"upwards": k + 1, "downwards": count - k, "all the same": 1, "none": None, "from 100 by 3": 100 + 3 * k}[numbering]
        if number is not None:
            ds.InstanceNumber = number
        ending = draw(st.sampled_from(["", ".dcm", ".IMA", " (1).dcm"]))
        values = stored.astype(np.float64) * slope + intercept
        slices.append(Slice(values, RAS_TO_LPS[:3, :3] @ position, f"{below}{order[k]:03d}{ending}", ds, syntax))
    foreign = draw(st.lists(st.sampled_from(sorted(FOREIGN)), max_size=2, unique=True))
    return MadeSeries(tuple(slices), tuple(foreign))
