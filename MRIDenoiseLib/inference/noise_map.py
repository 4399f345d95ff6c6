"""Where in an image the noise is strong: a smooth map, measured in the noisy volume alone or given by the user.

Parallel imaging makes noise stronger in the middle of a body than at its rim (the g-factor), and so do coils that are far away.
The network that measures noise looks at small squares; what it says of each of them, smoothed, is such a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.errors import InputError

if TYPE_CHECKING:
    from MRIDenoiseLib.volume import Volume

REACH = 6.0
"""Squares over which the logarithm of the noise is smoothed: coils change it slowly, and single squares are uncertain."""
REACH_ACROSS = 1.0
"""Measured slices, likewise."""
MIDDLE = (5, 95)
"""Percentiles over the body between which the map's spread is measured."""
VARYING = 2.0
"""A spread above which the noise varies; where it does not, a measured map has a spread of 1.1 to 1.9."""
LEAST_TRUST = 1e-6
"""Of 1, the square that is trusted most, in a slice: with less, nothing is known of it."""
DOUBT = 0.05
"""How much a place is taken to be like its slice as a whole, relative to what is known of the place that is known best."""
SAME_PLACE = 0.5
"""Voxels by which the grid of a given map may be off."""


@dataclass(frozen=True, eq=False)
class NoiseMap:
    """The noise of every place, relative to what its slice is told as a whole.

    Args:
        log_relative: float32 (places, rows of squares, columns of squares) of the networks' window, natural logarithm.
        places: index of the slice of each.
        square: pixels along the side of a square.
        levels: the relative levels (natural logarithm, low and high) between which most of the body lies.
        given: whether a user gave it.
    """

    log_relative: np.ndarray
    places: np.ndarray
    square: int
    levels: tuple[float, float]
    given: bool = False

    @property
    def varies(self) -> bool:
        """Whether one noise level for a slice is too rough."""
        return bool(self.levels[1] - self.levels[0] > np.log(VARYING))

    def log_of(self, index: int, shape: tuple[int, int]) -> np.ndarray:
        """The logarithm of the relative noise of a slice's window, float32 (rows, columns)."""
        position = float(np.interp(index, self.places, np.arange(len(self.places))))
        before = int(position)
        after = min(before + 1, len(self.places) - 1)
        between = np.float32(position - before)
        squares = (1 - between) * self.log_relative[before] + between * self.log_relative[after]
        if squares.shape == shape:
            return squares
        grid = np.meshgrid(*((np.arange(size) + 0.5) / self.square - 0.5 for size in shape), indexing="ij")
        return ndimage.map_coordinates(squares, grid, order=1, mode="nearest", prefilter=False).astype(np.float32)


def measured_noise_map(log_levels: Sequence[np.ndarray], trusts: Sequence[np.ndarray], places: np.ndarray, square: int) -> NoiseMap:
    """The map from what the network says of the squares of some slices.

    Args:
        log_levels: of each slice, the logarithm of the noise level of its squares (rows, columns).
        trusts: how far each is to be trusted, positive; 0 outside the body.
        places: index of each slice.
        square: pixels along the side of a square.
    """
    level, trust = np.stack(log_levels), np.stack(trusts)
    if not trust.any():
        return NoiseMap(np.zeros(level.shape, np.float32), places, square, (0.0, 0.0))
    of_slice = (level * trust).sum(axis=(1, 2), keepdims=True) / np.maximum(trust.sum(axis=(1, 2), keepdims=True), LEAST_TRUST)
    reach = (REACH_ACROSS, REACH, REACH)
    weight = ndimage.gaussian_filter(trust, reach)
    # Where little is known, and far from the body nothing, it fades to what its slice is told as a whole.
    smooth = ndimage.gaussian_filter((level - of_slice) * trust, reach) / (weight + DOUBT * weight.max())
    low, high = np.percentile(smooth[trust > 0], MIDDLE)
    return NoiseMap(smooth.astype(np.float32), places, square, (float(low), float(high)))


def given_noise_map(slices: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, NoiseMap]:
    """Levels and map from the standard deviation of the noise at every voxel of the networks' window.

    Args:
        slices: float32 (slices, rows, columns), positive.
        mask: bool, the body, same shape.

    Returns:
        The level of each slice in the same units, and the map.
    """
    logarithm = np.log(slices)
    everywhere = float(logarithm[mask].mean())
    levels = np.array([image[body].mean() if body.any() else everywhere for image, body in zip(logarithm, mask, strict=True)])
    relative = (logarithm - levels[:, None, None]).astype(np.float32)
    low, high = np.percentile(relative[mask], MIDDLE)
    return np.exp(levels), NoiseMap(relative, np.arange(len(slices)), 1, (float(low), float(high)), given=True)


def checked_noise_map(noise_map: Volume, volume: Volume) -> np.ndarray:
    """The stack (slices, rows, columns) of a map that a user gives for a volume, after a check that it belongs to it.

    Where it is zero, as outside a reconstruction's mask, the nearest value stands for the missing one.

    Raises:
        InputError: another grid, or values that are no standard deviations.
    """
    if noise_map.voxels.shape != volume.voxels.shape:
        raise InputError(
            f"the noise map has {' x '.join(map(str, noise_map.voxels.shape))} voxels and the image "
            f"{' x '.join(map(str, volume.voxels.shape))}; give a map on the image's own grid"
        )
    corner = np.append(np.array(volume.voxels.shape[::-1]) - 1, 1)
    apart = [np.abs(np.linalg.solve(volume.ijk_to_ras, noise_map.ijk_to_ras @ point) - point).max() for point in (np.eye(4)[3], corner)]
    if max(apart) > SAME_PLACE:
        raise InputError("the noise map lies at another place than the image; give a map on the image's own grid")
    slices = volume.stacked(noise_map.voxels)
    if not np.isfinite(slices).all() or (slices < 0).any() or not (slices > 0).any():
        raise InputError("the noise map must hold standard deviations: numbers above zero where there is tissue, and none below")
    missing = slices == 0
    if not missing.any():
        return slices
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(slices[tuple(nearest)])
