"""What stays the same from one repetition of an acquisition to the next: the coils and the phase of the object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from MRIDenoiseLib.simulation import sense
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.coils import CoilArray, random_array, ring_array, with_noise_correlation
from MRIDenoiseLib.simulation.post_filter import warp


@dataclass(frozen=True)
class Scene:
    """Everything about an acquisition that does not change from one repetition to the next: coils, object phase, warp.

    Args:
        array: the receive coils.
        phase: 3 x 3 x 3 float32, cosine-series coefficients (z, y, x) of the object's phase, largest swing 1.
        contrast_phase: radians of phase per unit of image intensity (fat, blood and tissue differ in phase).
        wave: see :func:`MRIDenoiseLib.simulation.post_filter.warp`.
    """

    array: CoilArray
    phase: Tensor
    contrast_phase: float
    wave: Tensor

    @classmethod
    def draw(cls, model: AcquisitionModel, generator: torch.Generator) -> Scene:
        """A random scene for ``model``; two models that differ in averages or sampling only may share it."""
        array = random_array(model.coils, model.noise_correlation, generator)
        phase = torch.randn(3, 3, 3, generator=generator, device=generator.device).cpu()
        contrast, *wave = torch.rand(7, generator=generator, device=generator.device).cpu().tolist()
        waves = torch.tensor(wave).view(2, 3) * torch.tensor([2 * math.pi, 1.0, 1.0])
        return cls(array, phase / phase.abs().sum(), (contrast - 0.5) * math.pi / 2, waves)

    @classmethod
    def standard(cls, model: AcquisitionModel) -> Scene:
        """The fixed scene of the benchmark: equal loops evenly around, a gentle object phase, nothing random."""
        array = with_noise_correlation(ring_array(model.coils), model.noise_correlation)
        phase = torch.zeros(3, 3, 3)
        phase[0, 1, 0], phase[0, 0, 1], phase[1, 1, 1] = 0.4, 0.4, 0.2
        return cls(array, phase, 0.0, torch.zeros(2, 3))

    def complex_object(self, image: Tensor, model: AcquisitionModel, z: Tensor) -> Tensor:
        """(Z, H, W) complex64: the clean magnitude image with its phase, displaced as the gradients of ``model`` displace it."""
        distorted = warp(image, self.wave, model.unwarp, 1) if model.unwarp > 0 else image
        return torch.polar(distorted, self.object_phase(distorted, z, model.object_phase))

    def object_phase(self, image: Tensor, z: Tensor, swing: float) -> Tensor:
        """Z x H x W: phase of the object in radians at slice positions ``z``."""
        height, width = image.shape[-2:]
        bases = [
            torch.cos(math.pi * torch.arange(3, device=image.device) * (p.view(-1, 1) + 1) / 2)
            for p in (
                z.to(image.device),
                torch.linspace(-1, 1, height, device=image.device),
                torch.linspace(-1, 1, width, device=image.device),
            )
        ]
        smooth = torch.einsum("zc,yb,xa,cba->zyx", *bases, self.phase.to(image.device))
        return swing / 2 * smooth + self.contrast_phase * image

    def sensitivities(self, model: AcquisitionModel, height: int, width: int, z: Tensor) -> Tensor:
        """Z x C x H x W prewhitened sensitivities; rows are phase encoded."""
        return self.array.whitened(self.array.sensitivities(height, width, z, model.receive_bias))

    def noise_std(self, model: AcquisitionModel, height: int, width: int, z: Tensor) -> Tensor:
        """Z x H x W: analytic noise per real and imaginary part of the SENSE image before the windows, all averages in."""
        s = self.sensitivities(model, sense.divisible(height, model.reduction), width, z)
        return (sense.noise_std(s, model.reduction) * (model.sigma / math.sqrt(model.nex)))[:, :height]
