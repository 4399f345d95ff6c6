"""A world whose posterior is known exactly: Gaussian images with a 1/f^2.6 power spectrum in white noise.

In it the ideal denoiser is a Wiener filter, so what a sampler must reach can be computed.
"""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from MRIDenoiseLib.models.configs import build_scheduler
from MRIDenoiseLib.sampling import Schedule

SIZE = 64
IMAGES = 6
POSTERIOR_MEAN_PSNR = 31.1


def posterior_variance(power: Tensor, sigma: float) -> float:
    return float((power * sigma**2 / (power + sigma**2)).mean())


def spectrum(sigma: float = 0.1) -> Tensor:
    """1/f^2.6, as strong as makes the ideal denoiser reach 31.1 dB at sigma 0.1 on a range of 2."""
    f = torch.fft.fftfreq(SIZE, dtype=torch.float64) * SIZE
    radius = torch.hypot(f[:, None], f[None, :])
    radius[0, 0] = 1
    shape = radius**-2.6
    low, high = 1e-3, 1e6
    for _ in range(80):
        middle = math.sqrt(low * high)
        if 10 * math.log10(4 / posterior_variance(middle * shape, sigma)) > POSTERIOR_MEAN_PSNR:
            low = middle
        else:
            high = middle
    return low * shape


@dataclass(frozen=True)
class GaussianWorld:
    """Clean and noisy images with the exact denoiser of their distribution; limits that never bite."""

    power: Tensor
    sigma: float
    schedule: Schedule
    clean: Tensor
    noisy: Tensor
    limits = (-math.inf, math.inf)

    def denoiser(self, state: Tensor, measured: Tensor | None, timestep: Tensor, conditioning: object) -> Tensor:
        """E[x | x_t, y], a product of three Gaussians in every Fourier mode; E[x | x_t] where the measurement is dropped."""
        of_state, of_measured = self.weights(int(timestep[0]), measured is not None)
        estimate = torch.fft.fft2(state) * of_state
        if measured is not None:
            estimate = estimate + torch.fft.fft2(measured) * of_measured
        return torch.fft.ifft2(estimate).real

    def weights(self, timestep: int, conditional: bool = True) -> tuple[Tensor, Tensor]:
        """What the exact denoiser gives to x_t and to y in every Fourier mode."""
        alpha_bar = self.schedule.alpha_bar[timestep]
        precision = 1 / self.power + alpha_bar / (1 - alpha_bar) + (1 / self.sigma**2 if conditional else 0)
        return alpha_bar.sqrt() / (1 - alpha_bar) / precision, 1 / self.sigma**2 / precision

    def noise(self, index: int) -> Tensor:
        """One field an image: their errors are then independent and the figures below steadier."""
        return torch.randn(IMAGES, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1000 + index), dtype=torch.float64)

    def psnr(self, image: Tensor) -> float:
        """Against the truth, on the range of 2 that [-1, 1] has."""
        return 10 * math.log10(4 / float(((image - self.clean) ** 2).mean()))


def build_world(sigma: float) -> GaussianWorld:
    power = spectrum()
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(2, IMAGES, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)
    clean = torch.fft.ifft2(torch.fft.fft2(white[0]) * power.sqrt()).real
    return GaussianWorld(power, sigma, Schedule.from_scheduler(build_scheduler()), clean, clean + sigma * white[1])


@pytest.fixture(scope="session")
def world() -> GaussianWorld:
    """Noise of 0.1, as in the published table."""
    return build_world(0.1)


@pytest.fixture(scope="session")
def quiet_world() -> GaussianWorld:
    """Almost no noise."""
    return build_world(1e-3)


@pytest.fixture(scope="session")
def schedule() -> Schedule:
    """The schedule the networks are trained with."""
    return Schedule.from_scheduler(build_scheduler())
