"""The result of a denoising run, for callers of a model and of a worker. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from MRIDenoiseLib.volume import Volume


@dataclass(frozen=True)
class Result:
    """What a run gives.

    Args:
        volume: the denoised volume, in the input's units and geometry.
        noisy: the input.
        noise_level: standard deviation of the input's noise inside the body, in its own units.
        report: a JSON-ready account of the run, see :func:`MRIDenoiseLib.inference.report.build_report`.
        noise_map: standard deviation of the noise at every voxel, in the input's units; None where it was not asked for.
        uncertainty: half-width of the 90 % interval around every voxel, in the input's units; 0 where nothing was measured or computed,
            None where it was not asked for.
    """

    volume: Volume
    noisy: Volume
    noise_level: float
    report: dict[str, Any]
    noise_map: Volume | None = None
    uncertainty: Volume | None = None

    @property
    def residual(self) -> Volume:
        """Input minus output, signed, so stored as float32; zero where nothing was computed. Subtracted when it is read."""
        return self.noisy.minus(self.volume)
