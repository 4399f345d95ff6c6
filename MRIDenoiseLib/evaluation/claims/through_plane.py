"""What reformats and projections of a denoised volume show: whether small bright vessels are still in the maximum projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError

OPENING = 3
"""Pixels, radius of the disc that a thin structure has no room for."""
SMOOTHING = 1.0
"""Pixels over which the projection is smoothed before structures are looked for, so that they are not peaks of noise."""
APART = 7
"""Pixels: a structure is the brightest place within this window."""
INNER, OUTER = 4.0, 7.0
"""Pixels, of the ring that a structure's surroundings are measured in."""
RIM = 0.15
"""Of the body's half width: its outer part is left out, where fat of the skin is as bright and thin as any vessel."""
MOST = 40
LEAST = 0.3
"""Of the prominence of the strongest: what is weaker may be noise."""


@dataclass(frozen=True, eq=False)
class ThinStructures:
    """The brightest thin structures of a maximum-intensity projection, found once, on the noisy one.

    Args:
        places: (structures, 2) rows and columns, the most prominent first.
    """

    places: np.ndarray

    @classmethod
    def of(cls, projection: np.ndarray, body: np.ndarray) -> ThinStructures:
        """Find them by what an opening with a disc takes away.

        Args:
            projection: (rows, columns), see :func:`maximum_projection`.
            body: bool, the same shape: where the projection shows the body.

        Raises:
            InputError: the body is too small to hold any.
        """
        depth = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1]
        inside = depth > max(RIM * depth.max(), OUTER)
        if not inside.any():
            raise InputError("the projection shows too little of the body to look for vessels in")
        smooth = ndimage.gaussian_filter(projection.astype(np.float64), SMOOTHING)
        rows, columns = np.ogrid[-OPENING : OPENING + 1, -OPENING : OPENING + 1]
        prominence = ndimage.white_tophat(smooth, footprint=np.hypot(rows, columns) <= OPENING)
        # A corner of something broad is prominent, too, but beside it lies what is brighter.
        brightest = smooth == ndimage.maximum_filter(smooth, APART)
        peaks = inside & brightest & (prominence > LEAST * prominence[inside].max())
        places = np.argwhere(peaks)
        strongest = np.argsort(-prominence[peaks], kind="stable")[:MOST]
        return cls(places[strongest])

    def contrasts(self, projection: np.ndarray) -> np.ndarray:
        """Of each structure: its peak (largest within a pixel of the place) minus the median of the ring around it."""
        reach = int(np.ceil(OUTER))
        rows, columns = np.ogrid[-reach : reach + 1, -reach : reach + 1]
        distance = np.hypot(rows, columns)
        ring = (distance >= INNER) & (distance <= OUTER)
        padded = np.pad(projection.astype(np.float64), reach, mode="edge")
        found = []
        for row, column in self.places.tolist():
            patch = padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
            found.append(patch[distance < 2].max() - np.median(patch[ring]))
        return np.array(found)

    def kept(self, before: np.ndarray, after: np.ndarray) -> float:
        """The median part of their contrast in the projection ``before`` that is left in ``after``; both (rows, columns).

        Noise makes single pixels of the noisy projection brighter, so that even a perfect denoiser keeps a little less than 1.

        Raises:
            InputError: there is none.
        """
        if not len(self.places):
            raise InputError("the projection shows no thin bright structure")
        return float(np.median(self.contrasts(after) / self.contrasts(before)))


def maximum_projection(slices: np.ndarray) -> np.ndarray:
    """The brightest value along the slices: (slices, rows, columns) to (rows, columns)."""
    brightest: np.ndarray = np.max(slices, axis=0)
    return brightest
