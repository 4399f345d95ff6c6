"""Small lesions put into clean volumes before the noise: how much of their contrast is left after denoising.

If a lesion of twenty pixels is taken for noise, PSNR hardly changes, but a radiologist would notice. Each lesion has a known
size and contrast and is in flat tissue. Its contrast is the mean inside minus the mean of the ring around it. "Kept" is that
contrast in the denoised image with the lesion minus the same in the denoised image without it (same noise), divided by
the contrast put into the clean image. "Kept blindly" is the contrast in the one image with the lesion, as a reader sees it,
divided by that of the clean image with the lesion; here remaining noise and changed tissue count, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage

DIAMETERS = (3.0, 8.0)
"""Pixels, of either axis."""
CONTRASTS = (2.0, 5.0)
"""Standard deviations of the noise at the lesion's place."""
RING = 3.0
"""Pixels, width of the ring around the lesion."""
REACH = 0.05
"""Part of its contrast below which a lesion counts as not there."""
APART = 32.0
"""Pixels between the centres of two lesions of a slice."""
FLATTEST = 0.25
"""Lesions are put into this part of the tissue, the one with the least variation over the lesion's size."""
OWN_CONTRAST = 0.25
"""A place is not flat if its tissue already has more than this part of the lesion's contrast."""
BRIGHTEST = 1.1
"""Relative to P99.5; a bright lesion does not exceed it."""
FLOOR = 2.0
"""Noise standard deviations by which a dark lesion stays above zero: nearer to zero, magnitude images hold little contrast."""
NOISE_WINDOW = 8.0
"""Pixels, sigma of the Gaussian over which the noise at a place is measured."""
MISSING = 0.5
"""A lesion that keeps less than this part of its contrast counts as missing."""
LOST = 0.25
"""A lesion that keeps less than this part is lost: nobody would find it."""
WANTED_MEDIAN, WANTED_FIFTH_PERCENTILE = 0.85, 0.65
TRIES = 60


@dataclass(frozen=True)
class Lesion:
    """An ellipsoid in a (slices, rows, columns) array.

    Args:
        centre: slice, row, column.
        diameters: pixels, of its two axes within the slice.
        turn: radians from the rows' direction to the first axis.
        depth: diameter across the slices, in slices.
        contrast: what it adds at its centre, P99.5 = 1; negative for a dark one.
        sigmas: the same in standard deviations of the noise at its place.
        shape: ``disc`` is uniform inside with an edge one pixel wide; ``gaussian`` has the diameters as widths at half height.
    """

    centre: tuple[int, int, int]
    diameters: tuple[float, float]
    turn: float
    depth: float
    contrast: float
    sigmas: float
    shape: Literal["disc", "gaussian"]

    @property
    def diameter(self) -> float:
        """Pixels, of the disc of equal area."""
        return math.sqrt(self.diameters[0] * self.diameters[1])

    @property
    def reach(self) -> float:
        """Radii from the centre at which its contrast has fallen to :data:`REACH`, or less."""
        return math.sqrt(-math.log2(REACH)) if self.shape == "gaussian" else 1 + 1 / min(self.diameters)

    def profile(self, shape: tuple[int, int], z: int) -> np.ndarray:
        """The part of its contrast, 0..1, that every pixel (rows, columns) of slice ``z`` gets."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        dy, dx = rows - self.centre[1], columns - self.centre[2]
        along = dy * math.cos(self.turn) + dx * math.sin(self.turn)
        across = dx * math.cos(self.turn) - dy * math.sin(self.turn)
        a, b = (diameter / 2 for diameter in self.diameters)
        radii = np.sqrt((along / a) ** 2 + (across / b) ** 2 + ((z - self.centre[0]) / (self.depth / 2)) ** 2)
        if self.shape == "gaussian":
            return np.exp2(-(radii**2))
        return np.clip((1 - radii) * min(a, b) + 0.5, 0, 1)

    def regions(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Masks of the lesion and of the ring around it: bool (rows, columns) each, in the slice of its centre."""
        profile = self.profile(shape, self.centre[0])
        distance = ndimage.distance_transform_edt(profile < REACH)
        return profile >= 0.5, (distance > 0) & (distance <= RING)


def insert(slices: np.ndarray, lesions: Sequence[Lesion]) -> np.ndarray:
    """The (slices, rows, columns) array with the lesions in it."""
    result = slices.copy()
    for lesion in lesions:
        reach = math.ceil(lesion.reach * lesion.depth / 2)
        for z in range(max(0, lesion.centre[0] - reach), min(len(slices), lesion.centre[0] + reach + 1)):
            result[z] += np.float32(lesion.contrast) * lesion.profile(result[z].shape, z).astype(np.float32)
    return result.clip(min=0)


def contrast(image: np.ndarray, lesion: Lesion) -> float:
    """Mean inside a lesion minus mean of its ring, of the slice (rows, columns) that holds its centre."""
    inside, ring = lesion.regions(image.shape)
    return float(image[inside].mean(dtype=np.float64) - image[ring].mean(dtype=np.float64))


class Kept(NamedTuple):
    """The part of its contrast that a lesion keeps: 1 for all of it, 0 for a lesion that is gone.

    Args:
        paired: measured by the difference to the image without it.
        blind: measured in the one image with it.
    """

    paired: float
    blind: float


def kept(lesion: Lesion, *, clean: tuple[np.ndarray, np.ndarray], result: tuple[np.ndarray, np.ndarray]) -> Kept:
    """The part of a lesion's contrast that ``result`` keeps.

    Args:
        lesion: one that was inserted.
        clean: the lesion's slice (rows, columns) without noise, with and without the lesions.
        result: the same slice of the denoised image, with and without the lesions, with the same noise.
    """
    clean_with, clean_without = (contrast(image, lesion) for image in clean)
    result_with, result_without = (contrast(image, lesion) for image in result)
    return Kept((result_with - result_without) / (clean_with - clean_without), result_with / clean_with)


def local_noise(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Standard deviation of the noise at every pixel of a slice (rows, columns), from what was added around it."""
    return np.sqrt(ndimage.gaussian_filter(np.square(noisy - clean, dtype=np.float64), NOISE_WINDOW))


def place_lesions(
    clean: np.ndarray,
    z: int,
    noise: np.ndarray,
    tissue: np.ndarray,
    spacing: tuple[float, float],
    count: int,
    generator: np.random.Generator,
) -> tuple[Lesion, ...]:
    """Random lesions in flat tissue of slice ``z``, far apart from each other.

    Args:
        clean: (slices, rows, columns), P99.5 = 1.
        z: the slice of their centres.
        noise: (rows, columns), :func:`local_noise` of that slice.
        tissue: bool (rows, columns), where lesions with their rings may lie.
        spacing: mm between slices and between pixels.
        count: how many to place.
        generator: of every choice.

    Returns:
        The lesions for which there was room, at most ``count``.
    """
    placed: list[Lesion] = []
    for _ in range(TRIES * count):
        if len(placed) == count:
            break
        lesion = _draw(clean[z], z, noise, tissue, spacing, generator)
        if lesion is not None and all(math.dist(lesion.centre, other.centre) >= APART for other in placed):
            placed.append(lesion)
    return tuple(placed)


def _draw(
    image: np.ndarray, z: int, noise: np.ndarray, tissue: np.ndarray, spacing: tuple[float, float], generator: np.random.Generator
) -> Lesion | None:
    """One random lesion, or None when the place drawn for it is not suitable."""
    first, second = generator.uniform(*DIAMETERS, size=2)
    lesion = Lesion(
        centre=(z, 0, 0),
        diameters=(float(first), float(second)),
        turn=float(generator.uniform(0, math.pi)),
        depth=math.sqrt(first * second) * spacing[1] / spacing[0],
        contrast=0.0,
        sigmas=float(generator.uniform(*CONTRASTS) * generator.choice([-1, 1])),
        shape="gaussian" if generator.random() < 0.5 else "disc",
    )
    flat = _flat_places(image, tissue, math.ceil(lesion.reach * max(lesion.diameters) / 2 + RING))
    if not len(flat):
        return None
    y, x = flat[generator.integers(len(flat))].tolist()
    lesion = replace(lesion, centre=(z, y, x), contrast=float(lesion.sigmas * noise[y, x]))
    level = float(image[lesion.regions(image.shape)[0]].mean()) + lesion.contrast
    fits = level <= BRIGHTEST if lesion.contrast > 0 else level >= FLOOR * noise[y, x]
    return lesion if fits and abs(contrast(image, lesion)) <= OWN_CONTRAST * abs(lesion.contrast) else None


def _flat_places(image: np.ndarray, tissue: np.ndarray, radius: int) -> np.ndarray:
    """Rows and columns (N x 2) of pixels whose surroundings within ``radius`` are tissue and vary least."""
    # Beyond the image's edge there is no tissue either.
    allowed = ndimage.distance_transform_edt(np.pad(tissue, 1))[1:-1, 1:-1] > radius
    if not allowed.any():
        return np.empty((0, 2), int)
    size = 2 * radius + 1
    smooth = ndimage.gaussian_filter(image.astype(np.float64), 1.0)
    mean = ndimage.uniform_filter(smooth, size)
    variation = ndimage.uniform_filter(smooth**2, size) - mean**2
    return np.argwhere(allowed & (variation <= np.quantile(variation[allowed], FLATTEST)))


class Summary(NamedTuple):
    """Statistics of some lesions: their number, median and 5th percentile of what they keep, how many are missing and how many lost."""

    number: int
    median: float
    fifth_percentile: float
    missing: int
    lost: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """The statistics of one value or more."""
        array = np.asarray(values, np.float64)
        few = (int((array < least).sum()) for least in (MISSING, LOST))
        return cls(len(array), float(np.median(array)), float(np.percentile(array, 5)), *few)

    @property
    def holds(self) -> bool:
        """Whether enough is kept: half of the lesions keep 85 % of their contrast, nineteen of twenty keep 65 %, none is lost."""
        return self.median >= WANTED_MEDIAN and self.fifth_percentile >= WANTED_FIFTH_PERCENTILE and not self.lost
