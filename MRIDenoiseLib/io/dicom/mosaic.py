"""Pictures that pack the slices of a volume as tiles: the Siemens mosaic and the grid of United Imaging (UIH).

Siemens states the place of the picture as if one slice of its size were centred where the slices are, so that the first
tile begins half the surplus further in; its slices follow each other along the normal in its private header (CSA, read
by nibabel), which may run against the normal of rows and columns. UIH states the place of every tile.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import Dataset

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import quiet, text, whole_number

_CSA_IMAGE = 0x10
"""Element of the CSA image header within the block SIEMENS CSA HEADER of group 0029."""
_COUNT = 0x0A
"""Element of Number Of Images In Mosaic within the block SIEMENS MR HEADER of group 0019."""
_UIH_TILES = 0x00651051
"""MR VFrame Sequence of United Imaging: an item a tile."""


@dataclass(frozen=True, eq=False)
class Mosaic:
    """How one picture packs slices.

    Args:
        tiles: for each slice, in the order of the tiles, a data set that says where it lies and what its size is.
        across: tiles in a row of the picture.
        down: tiles in a column of it.
        note: what the header leaves open, in a sentence, or empty.
    """

    tiles: tuple[Dataset, ...] = field(repr=False)
    across: int
    down: int
    note: str = ""

    def unpack(self, picture: np.ndarray) -> np.ndarray:
        """Slices (tile, row, column) of a picture (row, column)."""
        rows, columns = picture.shape[0] // self.down, picture.shape[1] // self.across
        grid = picture.reshape(self.down, rows, self.across, columns).swapaxes(1, 2)
        return grid.reshape(-1, rows, columns)[: len(self.tiles)]

    def pack(self, slices: np.ndarray) -> np.ndarray:
        """The picture (row, column) of slices (tile, row, column); tiles without a slice are 0."""
        count, rows, columns = slices.shape
        full = np.zeros((self.down * self.across, rows, columns), slices.dtype)
        full[:count] = slices
        return full.reshape(self.down, self.across, rows, columns).swapaxes(1, 2).reshape(self.down * rows, self.across * columns)

    @property
    def order(self) -> np.ndarray:
        """The tiles' numbers in the order of a volume's slices: ascending along the normal of rows and columns."""
        first = self.tiles[0]
        axes = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
        along = [float(np.array(tile.ImagePositionPatient, float) @ np.cross(*axes)) for tile in self.tiles]
        return np.argsort(along, kind="stable")


def mosaic_of(header: Dataset, what: str = "the image") -> Mosaic | None:
    """How a classic header's picture packs slices, or None where it is a slice itself.

    Args:
        header: of the whole file.
        what: how to name it in front of the user.

    Raises:
        InputError: a mosaic that does not say how many slices it packs, or where they lie, or whose size does not fit them.
    """
    items = header.get(_UIH_TILES)
    if items is not None and items.VR == "SQ" and len(items.value) > 1:
        return _of_tiles(header, list(items.value), what)
    csa = _csa(header)
    count = whole_number_of(csa.get("NumberOfImagesInMosaic")) or _private_count(header)
    kinds = header.get("ImageType") or ()
    if "MOSAIC" not in ([kinds] if isinstance(kinds, str) else kinds):
        return None
    if not count:
        raise InputError(
            f"{what} packs many slices into one picture (a mosaic) and does not say how many: its private elements were removed. "
            "Export it again with them"
        )
    return _of_siemens(header, csa, count, what) if count > 1 else None


def _of_tiles(header: Dataset, items: list[Dataset], what: str) -> Mosaic:
    across = math.ceil(math.sqrt(len(items)))
    down = math.ceil(len(items) / across)
    rows, columns = _tile_size(header, across, down, what)
    spacing, orientation = _numbers(header, "PixelSpacing", 2, what), _numbers(header, "ImageOrientationPatient", 6, what)
    tiles = [_tile(rows, columns, _numbers(item, "ImagePositionPatient", 3, what), orientation, spacing) for item in items]
    return Mosaic(tuple(tiles), across, down)


def _of_siemens(header: Dataset, csa: dict[str, list[Any]], count: int, what: str) -> Mosaic:
    across = math.ceil(math.sqrt(count))
    rows, columns = _tile_size(header, across, across, what)
    spacing, orientation = _numbers(header, "PixelSpacing", 2, what), _numbers(header, "ImageOrientationPatient", 6, what)
    along_row, along_column = orientation.reshape(2, 3)
    first = _numbers(header, "ImagePositionPatient", 3, what)
    first = first + along_row * spacing[1] * columns * (across - 1) / 2 + along_column * spacing[0] * rows * (across - 1) / 2
    normal, note = np.cross(along_row, along_column), ""
    stated = np.array(csa.get("SliceNormalVector") or [], float)
    if stated.size == 3 and abs(float(stated @ normal)) > 0.9:
        # The sign is what counts; the direction itself is stated more exactly by rows and columns.
        normal = normal * np.sign(float(stated @ normal))
    else:
        note = "its mosaic does not say in which direction its slices follow each other; the usual one was taken: check left and right"
    step = next((v for k in ("SpacingBetweenSlices", "SliceThickness") if (v := _positive(header, k))), None)
    if step is None:
        raise InputError(f"{what} packs slices into a mosaic and does not say how far they are apart (0018,0088); export it again")
    tiles = [_tile(rows, columns, first + normal * step * k, orientation, spacing) for k in range(count)]
    return Mosaic(tuple(tiles), across, across, note)


def _tile(rows: int, columns: int, position: np.ndarray, orientation: np.ndarray, spacing: np.ndarray) -> Dataset:
    tile = Dataset()
    tile.Rows, tile.Columns = rows, columns
    tile.ImagePositionPatient = [float(f"{v:.10g}") for v in position]
    tile.ImageOrientationPatient, tile.PixelSpacing = [float(v) for v in orientation], [float(v) for v in spacing]
    return tile


def _tile_size(header: Dataset, across: int, down: int, what: str) -> tuple[int, int]:
    rows, columns = whole_number(header, "Rows") or 0, whole_number(header, "Columns") or 0
    if rows < down or columns < across or rows % down or columns % across:
        raise InputError(
            f"{what} is a mosaic of {across} x {down} tiles by its header, and its {columns} x {rows} pixels cannot be parted so; "
            "export it again"
        )
    return rows // down, columns // across


def _csa(header: Dataset) -> dict[str, list[Any]]:
    """The values of the CSA image header, name to values, empty where there is none."""
    data = _private(header, 0x0029, "SIEMENS CSA HEADER", _CSA_IMAGE)
    if not isinstance(data, bytes):
        return {}
    with quiet():
        # nibabel calls all of its DICOM package experimental at import; this part of it is not.
        from nibabel.nicom import csareader
    try:
        found = csareader.read(data)
    except (csareader.CSAReadError, struct.error, ValueError, LookupError, TypeError):
        return {}
    return {name: tag["items"] for name, tag in found["tags"].items()}


def _private_count(header: Dataset) -> int | None:
    value = _private(header, 0x0019, "SIEMENS MR HEADER", _COUNT)
    if isinstance(value, bytes) and len(value) in (2, 4):
        return int.from_bytes(value, "little")  # of a header without types
    return whole_number_of([value])


def _private(header: Dataset, group: int, creator: str, element: int) -> Any:
    for block in _blocks(header, group, creator):
        tag = (group, block << 8 | element)
        if tag in header:
            return header[tag].value
    return None


def _blocks(header: Dataset, group: int, creator: str) -> Iterator[int]:
    for block in range(0x10, 0x100):
        if (group, block) in header and str(header[group, block].value).strip() == creator:
            yield block


def whole_number_of(values: list[Any] | None) -> int | None:
    """The first of some values as a whole number, or None."""
    try:
        return int(values[0]) if values else None
    except (TypeError, ValueError):
        return None


def _positive(header: Dataset, keyword: str) -> float | None:
    try:
        value = float(text(header, keyword))
    except ValueError:
        return None
    return value if np.isfinite(value) and value > 0 else None


def _numbers(header: Dataset, keyword: str, count: int, what: str) -> np.ndarray:
    try:
        numbers = np.array([float(v) for v in header.get(keyword)])
    except (TypeError, ValueError):
        numbers = np.array([])
    if numbers.size != count or not np.isfinite(numbers).all():
        raise InputError(f"{what} does not say where its slices lie ({keyword}); export the series again")
    return numbers
