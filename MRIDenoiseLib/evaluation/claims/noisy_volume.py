"""A clean volume of a patient that no training saw, with simulated noise: what several claims are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow, clean_volume
from MRIDenoiseLib.simulation.presets import BRIGHT, with_noise
from MRIDenoiseLib.volume import Volume


@dataclass(frozen=True, eq=False)
class NoisyVolume:
    """A volume, noisy and clean.

    Args:
        volume: noisy, in units of the clean volume's P99.5; what a model gets.
        clean: float32 (slices, rows, columns), in the same units.
    """

    volume: Volume
    clean: np.ndarray

    @classmethod
    def read(cls, folder: Path, source: ManifestRow, noise: str) -> NoisyVolume:
        """One file of a data folder with a noise of :data:`MRIDenoiseLib.simulation.presets.BENCHMARK_ROWS`.

        Raises:
            InputError: the file cannot be read.
        """
        return cls.of(io.read(folder / source.file), source, noise)

    @classmethod
    def of(cls, volume: Volume, source: ManifestRow, noise: str) -> NoisyVolume:
        """Add simulated noise to a clean volume."""
        return cls(with_noise(volume, noise), clean_volume(volume, source).slices)

    @cached_property
    def noise_level(self) -> float:
        """The true standard deviation of the added noise in bright tissue, in units of P99.5."""
        return float((self.volume.stack - self.clean)[self.clean > BRIGHT].std())
