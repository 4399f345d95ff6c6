"""One row of the comparisons: a volume no training saw, a benchmark noise, and how close an image comes to the clean one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow, clean_volume
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, noise_corrected_psnr, psnr, ssim
from MRIDenoiseLib.image.noise import reference_noise
from MRIDenoiseLib.simulation.noise import benchmark_row
from MRIDenoiseLib.simulation.simulate import clean_scale
from MRIDenoiseLib.volume import Volume

SLICES = 12
"""Middle slices that are scored."""
MARGIN = 3
"""Slices on either side of them that three-dimensional filters may look at."""
BORDER = 16
"""Pixels around the foreground that filters may look at; it saves them the air."""
BRIGHT = 0.3
"""Of P99.5: tissue in which magnitude noise is as good as Gaussian, where the true noise is measured."""

MEASURES = ("psnr", "corrected", "ssim")
"""Foreground PSNR in dB, the same with the reference's own noise taken out, and foreground SSIM; more is better."""


def with_noise(volume: Volume, noise: str) -> Volume:
    """A clean volume with a benchmark noise, in units of its P99.5; see :func:`MRIDenoiseLib.simulation.noise.benchmark_row`."""
    slices = np.moveaxis(volume.voxels, volume.slice_axis, 0)
    clean = np.ascontiguousarray(slices / clean_scale(slices), dtype=np.float32)
    noisy = benchmark_row(noise, torch.from_numpy(clean)).numpy()
    return replace(volume, voxels=np.ascontiguousarray(np.moveaxis(noisy, 0, volume.slice_axis), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class BenchmarkRow:
    """A kept-out volume with a noise.

    Args:
        source: where the volume came from.
        noise: name of the noise, see :func:`MRIDenoiseLib.simulation.noise.benchmark_row`.
        volume: the whole noisy volume, in units of the clean volume's P99.5; what a model gets.
        clean: the whole clean volume, float32 (slices, rows, columns), in the same units.
    """

    source: ManifestRow
    noise: str
    volume: Volume
    clean: np.ndarray

    @classmethod
    def read(cls, folder: Path, source: ManifestRow, noise: str) -> BenchmarkRow:
        """The row of one file of a data folder.

        Raises:
            InputError: the file cannot be read.
        """
        return cls.of(io.read(folder / source.file), source, noise)

    @classmethod
    def of(cls, volume: Volume, source: ManifestRow, noise: str) -> BenchmarkRow:
        """Add a benchmark noise to a clean volume."""
        return cls(source, noise, with_noise(volume, noise), clean_volume(volume, source).slices)

    @property
    def scored(self) -> range:
        """The slices that count."""
        middle = len(self.clean) // 2
        return range(max(0, middle - SLICES // 2), min(len(self.clean), middle + SLICES // 2))

    @property
    def seen(self) -> range:
        """The slices that filters may look at."""
        return range(max(0, self.scored.start - MARGIN), min(len(self.clean), self.scored.stop + MARGIN))

    @cached_property
    def frame(self) -> tuple[slice, slice]:
        """Rows and columns of the foreground with its border."""
        body = np.any(self.clean[self.scored.start : self.scored.stop] > FOREGROUND_THRESHOLD, axis=0)
        places = (np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0)))
        rows, columns = (slice(max(0, int(found[0]) - BORDER), int(found[-1]) + BORDER + 1) for found in places)
        return rows, columns

    @cached_property
    def noisy(self) -> np.ndarray:
        """What filters get: the noisy slices seen, cut to the frame."""
        return self._cut(np.moveaxis(self.volume.voxels, self.volume.slice_axis, 0), self.seen)

    @cached_property
    def reference(self) -> np.ndarray:
        """The clean slices scored, cut to the frame."""
        return self._cut(self.clean, self.scored)

    @cached_property
    def foreground(self) -> np.ndarray:
        """Which voxels of the reference count."""
        return self.reference > FOREGROUND_THRESHOLD

    @cached_property
    def wanted(self) -> np.ndarray:
        """Which voxels of :attr:`noisy` count."""
        every = np.zeros(self.noisy.shape, bool)
        every[self._inside] = self.foreground
        return every

    @property
    def spacing(self) -> tuple[float, float, float]:
        """In mm, of the three axes of :attr:`noisy`."""
        across = self.volume.slice_axis
        rows, columns = (spacing for axis, spacing in enumerate(self.volume.spacing) if axis != across)
        return self.volume.spacing[across], rows, columns

    @cached_property
    def noise_level(self) -> float:
        """The true standard deviation of the added noise in bright tissue, in units of P99.5."""
        clean = self._cut(self.clean, self.seen)
        return float((self.noisy - clean)[clean > BRIGHT].std())

    @cached_property
    def reference_noise(self) -> float:
        """Standard deviation of the clean volume's own noise, estimated from it, in units of P99.5."""
        return reference_noise(self.reference, self.foreground)

    def score_filtered(self, filtered: np.ndarray) -> dict[str, float]:
        """The :data:`MEASURES` of a filtered :attr:`noisy`."""
        return self._score(filtered[self._inside])

    def score_volume(self, volume: Volume) -> dict[str, float]:
        """The :data:`MEASURES` of a denoised :attr:`volume`."""
        return self._score(self._cut(np.moveaxis(volume.voxels, volume.slice_axis, 0), self.scored))

    def _score(self, image: np.ndarray) -> dict[str, float]:
        noisy = self.noisy[self._inside]
        corrected = noise_corrected_psnr(
            image, self.reference, noisy, data_range=1.0, reference_noise=self.reference_noise, mask=self.foreground
        )
        return {
            "psnr": round(psnr(image, self.reference, data_range=1.0, mask=self.foreground), 3),
            "corrected": round(corrected, 3),
            "ssim": round(ssim(image, self.reference, data_range=1.0, mask=self.foreground), 5),
        }

    @property
    def _inside(self) -> slice:
        return slice(self.scored.start - self.seen.start, self.scored.stop - self.seen.start)

    def _cut(self, slices: np.ndarray, wanted: range) -> np.ndarray:
        return np.ascontiguousarray(slices[(slice(wanted.start, wanted.stop), *self.frame)])
