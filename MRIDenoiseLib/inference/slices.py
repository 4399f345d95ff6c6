"""From a volume to the part of its slices that is worth computing, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from MRIDenoiseLib.inference.disturbances import Disturbances

MULTIPLE = 16
"""The networks halve an image up to four times; a window whose sides are multiples of this needs no padding."""

BRIGHTEST_SHOWN = 3.0
"""Network units (twice P99.5); what a voxel has above this is returned unchanged. Brighter voxels disturb everything around them."""
BLANKS = 16
"""Slices for which the empty places are cached: its neighbours request each slice again."""


@dataclass(frozen=True)
class Window:
    """The in-plane part of every slice that the networks see.

    Args:
        rows: half-open range of rows.
        columns: half-open range of columns.
        weight: float32 (rows, columns), 1 where the result is taken, 0 where a larger window was added around it.
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
        """``denoised`` where the result is taken, ``original`` elsewhere; both window-sized."""
        return original + self.weight * (denoised - original)

    def grown(self, multiple: int, shape: tuple[int, int]) -> Window:
        """A window that holds this one, its rows and columns multiples of a number where an image of that shape has them.

        What is added does not appear in the result.
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
    """The window of every slice in network units, 2 I / scale - 1, computed when it is requested, and the way back.

    A volume of some hundred slices is never in memory twice. Where a volume is disturbed, the networks see what they know
    from training. Wiped-out air and noise as bright as tissue are shown as air with the noise of the body. Nothing is
    brighter than tissue can be, and an unevenly lit body is evened out.

    What is below zero, as next to edges after an interpolation, is shown as zero and returned as far below the result.

    Args:
        stack: float32 (slices, rows, columns), in the volume's units.
        window: the part that the networks see.
        scale: what maps to +1, in the volume's units (where the body is evened out, of the evened-out volume).
        disturbances: of the volume.
        noise_level: standard deviation of the noise that empty regions are shown with, in network units.
    """

    def __init__(
        self, stack: np.ndarray, window: Window, scale: float, disturbances: Disturbances | None = None, noise_level: float = 0.0
    ) -> None:
        self.window = window
        self._stack, self._seen = stack, window.of(stack)
        self._scale, self._factor = scale, np.float32(2 / scale)
        self._disturbances = disturbances or Disturbances()
        self._noise_level = noise_level
        self._empty = lru_cache(BLANKS)(self._find_empty)
        self._profile = lru_cache(BLANKS)(self._find_profile)

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, index: Any, /) -> np.ndarray:
        """Float32 images for a number, a range or several numbers, as an array gives them."""
        if self._disturbances.none:
            return self._capped(self._seen[index] * self._factor - np.float32(1))
        chosen = np.arange(len(self))[index]
        return self._shown(int(chosen)) if np.ndim(chosen) == 0 else np.stack([self._shown(int(k)) for k in chosen])

    def brightest(self) -> float:
        """The largest value that the networks see in what the volume itself shows, in network units."""
        found = [-1.0]
        for index in range(len(self)):
            image = self._capped(self._even(index))
            empty = False if self._disturbances.none else self._empty(index)
            found.append(float(image.max(initial=-1.0, where=np.logical_not(empty))))
        return max(found)

    def restored(self, index: int, estimate: np.ndarray) -> np.ndarray:
        """An estimate of a slice's window (rows, columns) in the volume's units; unchanged where the slice shows no tissue."""
        measured = self._even(index)
        estimate = estimate + np.maximum(measured - np.float32(BRIGHTEST_SHOWN), 0) + np.minimum(measured + np.float32(1), 0)
        image = (estimate + 1) * np.float32(self._scale / 2)
        if self._disturbances.none:
            return image
        if self._disturbances.reception is not None:
            image = image * self._profile(index)
        seen = self._seen[index]
        return np.where(self._empty(index) | (seen > self._disturbances.ceiling), seen, image)

    def width(self, index: int, width: np.ndarray) -> np.ndarray:
        """A width in network units of a slice's window (rows, columns), in the volume's units; 0 where :meth:`restored` changes nothing."""
        image = width * np.float32(self._scale / 2)
        if self._disturbances.none:
            return image
        if self._disturbances.reception is not None:
            image = image * self._profile(index)
        return np.where(self._empty(index) | (self._seen[index] > self._disturbances.ceiling), np.float32(0), image)

    def _even(self, index: int) -> np.ndarray:
        """A slice's window in network units, evened out where that is needed."""
        image = self._seen[index]
        if self._disturbances.reception is not None:
            image = image / self._profile(index)
        return image * self._factor - np.float32(1)

    def _shown(self, index: int) -> np.ndarray:
        image = self._capped(self._even(index))
        empty = self._empty(index)
        if empty.any():
            image[empty] = self._air(index)[empty]
        return image

    @staticmethod
    def _capped(image: np.ndarray) -> np.ndarray:
        return np.clip(image, np.float32(-1), np.float32(BRIGHTEST_SHOWN))

    def _air(self, index: int) -> np.ndarray:
        """Rician noise without signal; drawn for the whole slice, so that another window changes nothing."""
        parts = np.random.default_rng(index).standard_normal((2, *self._stack.shape[1:]), dtype=np.float32)
        return np.hypot(*self.window.of(parts)) * np.float32(self._noise_level) - np.float32(1)

    def _find_empty(self, index: int) -> np.ndarray:
        return self.window.of(self._disturbances.empty(self._stack[index]))

    def _find_profile(self, index: int) -> np.ndarray:
        assert self._disturbances.reception is not None
        rows, columns = self._stack.shape[1:]
        return self.window.of(self._disturbances.reception.of(index, (rows, columns)))


def content_window(rows: np.ndarray, columns: np.ndarray) -> Window:
    """The window around all that a volume shows; what lies outside of it was wiped out in every slice.

    It is found from the whole volume, so it does not depend on which slices were requested.

    Args:
        rows: bool, which rows show something, see :func:`.disturbances.occupied`.
        columns: likewise.
    """
    ranges = [_extent(places) for places in (rows, columns)]
    shape = [found.stop - found.start for found in ranges]
    return Window(ranges[0], ranges[1], np.ones(shape, np.float32))


def neighbours(slices: Slices, index: int, count: int) -> np.ndarray:
    """Slice ``index`` between its neighbours, ``count`` (odd) in all; a missing one at an end is replaced by the nearest slice.

    Args:
        slices: (slices, rows, columns).
        index: the slice in the middle.
        count: how many slices.

    Returns:
        (count, rows, columns).
    """
    reach = count // 2
    return slices[np.clip(np.arange(index - reach, index + reach + 1), 0, len(slices) - 1)]


def _extent(occupied: np.ndarray) -> slice:
    """The range of one axis to compute, grown to a multiple of :data:`MULTIPLE` with real pixels where there are any."""
    size = len(occupied)
    places = np.flatnonzero(occupied)
    start, stop = (int(places[0]), int(places[-1]) + 1) if places.size else (0, size)
    missing = -(stop - start) % MULTIPLE
    start -= (before := min(start, missing // 2))
    stop += (after := min(size - stop, missing - before))
    start -= min(start, missing - before - after)
    return slice(start, stop)
