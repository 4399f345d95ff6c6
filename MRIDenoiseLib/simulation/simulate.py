"""From a clean volume to the same volume as a faster scan would have shown it: what ``mridenoise simulate`` does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.errors import Cancelled, SettingsError
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.image.kind import judged
from MRIDenoiseLib.io import Derivation
from MRIDenoiseLib.progress import ShouldStop
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.kspace import seeded_generator, window2d
from MRIDenoiseLib.simulation.noise import acquire_volume, level1, rician
from MRIDenoiseLib.simulation.presets import benchmark_model
from MRIDenoiseLib.simulation.scene import Scene
from MRIDenoiseLib.volume import Volume

BASE_SIGMA = 0.04
"""Complex noise of one fully sampled average unless the user gives another, a fraction of P99.5: that of the benchmark's L2 rows."""

MAX_ACCELERATION = 4.0


@dataclass(frozen=True)
class Simulation:
    """What to simulate.

    Args:
        level: 0 Rician; 1 spatially varying, grainy noise; 2 the whole acquisition (see :mod:`.noise`).
        acceleration: T_full / T_fast in 1..4, for levels 1 and 2.
        sigma: a fraction of the volume's P99.5. Level 0 needs it: Rician noise of that standard deviation in the real and
            in the imaginary part. For levels 1 and 2 it is the complex noise CN(0, sigma^2) of a coil before acceleration.
        seed: decides the noise; the same seed gives the same volume.

    Raises:
        SettingsError: when these do not fit together.
    """

    level: Literal[0, 1, 2] = 2
    acceleration: float | None = None
    sigma: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if self.level not in (0, 1, 2):
            raise SettingsError(f"--level is 0, 1 or 2, not {self.level}")
        if self.sigma is not None and not 0 < self.sigma <= 1:
            raise SettingsError(f"--sigma is a fraction of the volume's brightness, above 0 and at most 1, not {self.sigma:g}")
        if self.level == 0:
            if self.sigma is None:
                raise SettingsError("--level 0 needs the noise's strength: give --sigma, for example 0.05")
            if self.acceleration is not None:
                raise SettingsError("--level 0 adds plain Rician noise and knows no acceleration: give --sigma alone, or --level 1 or 2")
        elif self.acceleration is None:
            raise SettingsError(f"--level {self.level} needs to know how much faster the scan is: give --acceleration, for example 2")
        elif not 1 <= self.acceleration <= MAX_ACCELERATION:
            raise SettingsError(f"--acceleration lies between 1 and {MAX_ACCELERATION:g}, not {self.acceleration:g}")

    def model(self) -> AcquisitionModel:
        """The acquisition behind levels 1 and 2; for 1.5, 2 and 3 it is that of the benchmark's L2 rows.

        Reductions are ratios of small integers; the rest of an acceleration becomes fewer averages.
        """
        assert self.acceleration is not None
        reduction = float(Fraction(self.acceleration).limit_denominator(4))
        sigma = (self.sigma or BASE_SIGMA) * math.sqrt(self.acceleration / reduction / 2)
        return replace(benchmark_model("L2-2"), reduction=reduction, sigma=sigma)

    def facts(self) -> dict[str, str | float]:
        """The settings in words and numbers, to show and to write into headers."""
        if self.level == 0:
            assert self.sigma is not None
            return {"level": 0, "noise": "Rician", "sigma": self.sigma, "seed": self.seed}
        model = self.model()
        assert self.acceleration is not None
        return {
            "level": self.level,
            "acceleration": self.acceleration,
            "sigma": self.sigma or BASE_SIGMA,
            "reduction": model.reduction,
            "coils": model.coils,
            "noise correlation": model.noise_correlation,
            "window": f"raised cosine from {model.apodisation_parameter:g} Nyquist",
            "seed": self.seed,
        }

    def derivation(self) -> Derivation:
        """How the volume was simulated, for its file; the seed has its own place there."""
        settings = {name: value for name, value in self.facts().items() if name != "seed"}
        return Derivation(
            method=f"simulated acquisition level {self.level}", bundle="none", seed=self.seed, settings=settings, suffix="simulated"
        )


def simulate_volume(
    clean: Volume,
    simulation: Simulation,
    progress: Callable[[float], None] | None = None,
    should_stop: ShouldStop | None = None,
) -> Volume:
    """The noisy version of a clean volume, with its geometry, pixel type, headers and scale; nothing where nothing was measured.

    Args:
        clean: the volume; its acquired slice axis is kept.
        simulation: what to do to it.
        progress: called with the fraction done.
        should_stop: called before every slice; True cancels.

    Raises:
        InputError: see :func:`clean_scale` and :func:`MRIDenoiseLib.image.kind.judged`.
        Cancelled: when ``should_stop`` returned True.
    """
    clean = judged(clean)
    scale = clean_scale(clean.voxels)
    image = torch.from_numpy(np.ascontiguousarray(clean.stack)).clamp_min(0) / scale
    noisy = torch.empty_like(image)
    for k in range(len(image)):
        if should_stop is not None and should_stop():
            raise Cancelled("stopped")
        noisy[k] = _slice(image, simulation, k)
        if progress is not None:
            progress((k + 1) / len(image))
    simulated = clean.with_stack(noisy.numpy() * scale)
    if simulated.unmeasured is not None:
        simulated.voxels[simulated.unmeasured.mask] = 0
    return simulated


def _slice(image: Tensor, simulation: Simulation, k: int) -> Tensor:
    if simulation.level == 0:
        assert simulation.sigma is not None
        return rician(image[k], simulation.sigma, seeded_generator(simulation.seed, "R", k))
    model = simulation.model()
    scene = Scene.standard(model)
    if simulation.level == 2:
        return acquire_volume(image, model, simulation.seed, scene=scene, slices=[k])[0]
    height, width = image.shape[1:]
    strength = scene.noise_std(model, height, width, torch.zeros(1))
    window = window2d(height, width, kind=model.apodisation, parameter=model.apodisation_parameter)
    generator = seeded_generator(simulation.seed, "level 1", k)
    return level1(image[k : k + 1], 1.0, generator, g_map=strength, window=window)[0]
