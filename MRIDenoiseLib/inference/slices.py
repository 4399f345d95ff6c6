"""From a volume to the part of its slices that is worth computing, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

MARGIN = 16
"""Pixels kept around the body; over them the result fades into the untouched image."""

MULTIPLE = 16
"""The networks halve an image up to four times; a window of that grain needs no padding."""

WORTHWHILE = 0.8
"""A window that keeps more of the field of view than this saves too little to leave a frame untouched."""


@dataclass(frozen=True)
class Window:
    """The in-plane part of every slice that the networks see.

    Args:
        rows: half-open range of rows.
        columns: half-open range of columns.
        weight: float32 (rows, columns), 1 over the body, falling to 0 at the window's borders inside the image.
    """

    rows: slice
    columns: slice
    weight: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the window."""
        return self.weight.shape[0], self.weight.shape[1]

    def of(self, image: np.ndarray) -> np.ndarray:
        """The window's view of ``image`` (..., rows, columns)."""
        return image[..., self.rows, self.columns]

    def blend(self, original: np.ndarray, denoised: np.ndarray) -> np.ndarray:
        """``denoised`` over the body, ``original`` at the border; both window-sized."""
        return original + self.weight * (denoised - original)

    def grown(self, multiple: int, shape: tuple[int, int]) -> Window:
        """A window that holds this one, its rows and columns multiples of a number where an image of that shape has them.

        Nothing of what is added gets into the result.
        """
        ranges, margins = [], []
        for side, size in zip((self.rows, self.columns), shape, strict=True):
            missing = min(-(side.stop - side.start) % multiple, size - (side.stop - side.start))
            start = min(max(0, side.start - missing // 2), size - (side.stop - side.start) - missing)
            ranges.append(slice(start, start + side.stop - side.start + missing))
            margins.append((side.start - start, missing - (side.start - start)))
        return Window(ranges[0], ranges[1], np.pad(self.weight, margins))

    def margins(self, inner: Window) -> tuple[int, int, int, int]:
        """Columns before and after, rows before and after a window inside this one."""
        pairs = [(one.start - own.start, own.stop - one.stop) for own, one in ((self.columns, inner.columns), (self.rows, inner.rows))]
        return (*pairs[0], *pairs[1])


class Slices(Protocol):
    """Images of one size that can be counted and picked by index, as an array's first axis can: (slices, rows, columns)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> np.ndarray: ...


class NetworkSlices:
    """The window of every slice in network units, 2 I / scale - 1, computed when it is asked for.

    A volume of some hundred slices is never held a second time.

    Args:
        stack: float32 (slices, rows, columns), in the volume's units.
        window: the part that the networks see.
        scale: what maps to +1, in the volume's units.
    """

    def __init__(self, stack: np.ndarray, window: Window, scale: float) -> None:
        self._seen = window.of(stack)
        self._factor = np.float32(2 / scale)

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, index: Any, /) -> np.ndarray:
        """Float32 images for a number, a range or several numbers, as an array gives them."""
        return self._seen[index] * self._factor - np.float32(1)


def body_window(mask: np.ndarray) -> Window:
    """The window around the body in all slices.

    It is found from the whole volume, so it does not depend on which slices were asked for. Air outside of it is copied
    unchanged: there is nothing to see there, and nothing is invented.

    Args:
        mask: bool (slices, rows, columns), the body.
    """
    rows, inside_rows = _extent(np.any(mask, axis=(0, 2)))
    columns, inside_columns = _extent(np.any(mask, axis=(0, 1)))
    height, width = mask.shape[1:]
    if (rows.stop - rows.start) * (columns.stop - columns.start) > WORTHWHILE * height * width:
        return Window(slice(0, height), slice(0, width), np.ones((height, width), np.float32))
    weight = np.outer(inside_rows[rows], inside_columns[columns]).astype(np.float32)
    return Window(rows, columns, weight)


def neighbours(slices: Slices, index: int, count: int) -> np.ndarray:
    """Slice ``index`` between its neighbours, ``count`` (odd) in all; one missing at an end is the nearest slice there is.

    Args:
        slices: (slices, rows, columns).
        index: the slice in the middle.
        count: how many slices.

    Returns:
        (count, rows, columns).
    """
    reach = count // 2
    return slices[np.clip(np.arange(index - reach, index + reach + 1), 0, len(slices) - 1)]


def _extent(occupied: np.ndarray) -> tuple[slice, np.ndarray]:
    """The range of one axis to compute, and for the whole axis how much of the result to take (1 on the body, 0 far off)."""
    size = len(occupied)
    first, last = np.flatnonzero(occupied)[[0, -1]]
    # A body that nearly reaches the image's edge has its margin computed in full.
    first = 0 if first <= MARGIN else first
    last = size - 1 if last >= size - 1 - MARGIN else last
    place = np.arange(size)
    distance = np.maximum(np.maximum(first - place, place - last), 0)
    start, stop = max(0, first - MARGIN), min(size, last + 1 + MARGIN)
    # Grow to the networks' grain with real pixels where there are any.
    missing = -(stop - start) % MULTIPLE
    start -= (before := min(start, missing // 2))
    stop += (after := min(size - stop, missing - before))
    start -= min(start, missing - before - after)
    return slice(int(start), int(stop)), np.clip(1 - distance / (MARGIN + 1), 0, 1)
