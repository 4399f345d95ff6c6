"""What stays the same from one repetition of an acquisition to the next: the coils and the phase of the object.

Receive coils: where the loops sit, how each sees the body, and how their noise is correlated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from MRIDenoiseLib.simulation import sense
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.post_filter import warp

NODES = 8
"""Coil fields are polynomials of degree NODES - 1 along each axis: smooth, and cheap to evaluate on any grid."""


@dataclass(frozen=True)
class CoilArray:
    """Circular loops around (or behind) the field of view, which spans [-1, 1] along each in-plane axis.

    Args:
        centre: C x 3 float32, loop centres (x, y, z).
        normal: C x 3 float32 unit vectors along the loops' axes.
        radius: C float32 loop radii.
        phase: C float32, constant phase of each receiver in radians.
        colouring: C x C complex64, L with L L^H = Psi, the covariance of the receivers' noise.
    """

    centre: Tensor
    normal: Tensor
    radius: Tensor
    phase: Tensor
    colouring: Tensor

    def fields(self, height: int, width: int, z: Tensor) -> Tensor:
        """Z x C x H x W complex64: each loop's receive field B1- = Bx - i By at the slice positions ``z`` (Z, in [-1, 1]).

        On a loop's axis this is the exact Biot-Savart field of the loop, far from it the field of its dipole.
        """
        device = z.device
        node = _chebyshev_nodes().to(device)
        y, x = torch.meshgrid(node, node, indexing="ij")
        point = torch.stack([x.expand(len(z), -1, -1), y.expand(len(z), -1, -1), z.view(-1, 1, 1).expand(-1, NODES, NODES)], dim=-1)
        offset = point.unsqueeze(1) - self.centre.to(device).view(1, -1, 1, 1, 3)
        normal = self.normal.to(device).view(1, -1, 1, 1, 3)
        radius2 = self.radius.to(device).view(1, -1, 1, 1) ** 2
        distance2 = offset.square().sum(-1)
        along = (offset * normal).sum(-1, keepdim=True)
        field = 3 * along * offset + normal * (2 * radius2 - distance2).unsqueeze(-1)
        field = field / (distance2 + radius2).pow(2.5).unsqueeze(-1)
        receiver = torch.polar(torch.ones_like(self.phase), self.phase).to(device).view(-1, 1, 1)
        at_nodes = torch.complex(field[..., 0], -field[..., 1]) * receiver
        rows, columns = (_interpolation(n).to(device=device, dtype=at_nodes.dtype) for n in (height, width))
        return rows @ at_nodes @ columns.T

    def sensitivities(self, height: int, width: int, z: Tensor, receive_bias: float = 0.0) -> Tensor:
        """Z x C x H x W complex64 sensitivities with sum |S|^2 = b^2, where b = (body's receive profile)^receive_bias.

        With ``receive_bias`` 0 every place is received equally well (sum |S|^2 = 1); with 1 the depth is received as
        weakly as the loops really do, which after normalisation of the image shows as more noise at depth.
        """
        fields = self.fields(height, width, z)
        strength = torch.view_as_real(fields).square().sum(dim=1, keepdim=True).sum(dim=-1).sqrt()
        if receive_bias == 0.0:
            return fields / strength
        profile = (strength / strength.mean()).clamp(0.3, 3.0)
        return fields * (profile.pow(receive_bias) / strength)

    def whitened(self, sensitivities: Tensor) -> Tensor:
        """L^-1 S: the same coils after noise prewhitening, so that their noise is white with unit variance per channel."""
        z, c, h, w = sensitivities.shape
        flat = sensitivities.reshape(z, c, h * w)
        inverse = torch.linalg.inv(self.colouring).to(sensitivities.device)
        return (inverse @ flat).reshape(z, c, h, w)


def ring_array(count: int, *, distance: float = 1.5, radius: float = 0.8) -> CoilArray:
    """``count`` equal loops evenly around the field of view with uncorrelated noise; nothing is random."""
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float32) / max(count, 1)
    return _around(angle, distance, radius, torch.zeros(count), angle.clone(), torch.eye(count, dtype=torch.complex64))


def with_noise_correlation(array: CoilArray, correlation: float, angle: float = 0.0, scale: Tensor | None = None) -> CoilArray:
    """The array with noise covariance Psi_ij = d_i d_j rho^|i-j| exp(i theta (i - j)).

    Args:
        array: the array whose noise is set.
        correlation: rho in [0, 1).
        angle: theta in radians.
        scale: d, C relative noise standard deviations; None for all equal to one.
    """
    count = len(array.phase)
    index = torch.arange(count, dtype=torch.float32)
    lag = index.view(-1, 1) - index.view(1, -1)
    covariance = torch.polar(torch.tensor(correlation, dtype=torch.float32) ** lag.abs(), angle * lag)
    if scale is not None:
        covariance = covariance * (scale.view(-1, 1) * scale.view(1, -1))
    colouring = torch.linalg.cholesky(covariance)
    return CoilArray(array.centre, array.normal, array.radius, array.phase, colouring)


def random_array(count: int, correlation: float, generator: torch.Generator) -> CoilArray:
    """A random array: loops around the body (seven in ten) or on one side of it as under a spine, with correlated noise.

    The noise powers of the receivers, the diagonal of Psi, differ by up to 20 % from one. Everything is drawn on the
    generator's device and returned on the CPU.
    """

    def uniform(low: float, high: float, size: int = 1) -> Tensor:
        return (low + (high - low) * torch.rand(size, generator=generator, device=generator.device)).cpu()

    one_sided = float(uniform(0, 1)) < 0.3
    arc = math.pi * 0.9 if one_sided else 2 * math.pi
    angle = arc * (torch.arange(count) + uniform(-0.25, 0.25, count)) / count + float(uniform(0, 2 * math.pi))
    height = uniform(-0.6, 0.6, count)
    phase = uniform(0, 2 * math.pi, count)
    array = _around(angle, float(uniform(1.3, 1.9)), float(uniform(0.5, 1.0)), height, phase, torch.eye(count, dtype=torch.complex64))
    return with_noise_correlation(array, correlation, float(uniform(-math.pi, math.pi)), uniform(0.8, 1.2, count).sqrt())


def _around(angle: Tensor, distance: float, radius: float, height: Tensor, phase: Tensor, colouring: Tensor) -> CoilArray:
    outward = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], dim=1)
    centre = outward * distance
    centre[:, 2] = height
    return CoilArray(centre, -outward, torch.full((len(angle),), radius), phase, colouring)


@lru_cache(maxsize=1)
def _chebyshev_nodes() -> Tensor:
    k = torch.arange(NODES, dtype=torch.float64)
    return torch.cos(math.pi * (k + 0.5) / NODES).float()


@lru_cache(maxsize=64)
def _interpolation(size: int) -> Tensor:
    """size x NODES float32: values at Chebyshev nodes -> values of the interpolating polynomial on a grid over [-1, 1]."""
    k = torch.arange(NODES, dtype=torch.float64)
    node_angle = math.pi * (k + 0.5) / NODES
    grid_angle = torch.arccos(torch.linspace(-1, 1, size, dtype=torch.float64).clamp(-1, 1))
    to_coefficients = torch.cos(k.view(-1, 1) * node_angle.view(1, -1)) * (2.0 / NODES)
    to_coefficients[0] /= 2
    return (torch.cos(grid_angle.view(-1, 1) * k.view(1, -1)) @ to_coefficients).float()


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
        """A random scene for ``model``; two models that differ only in averages or sampling may share it."""
        array = random_array(model.coils, model.noise_correlation, generator)
        phase = torch.randn(3, 3, 3, generator=generator, device=generator.device).cpu()
        contrast, *wave = torch.rand(7, generator=generator, device=generator.device).cpu().tolist()
        waves = torch.tensor(wave).view(2, 3) * torch.tensor([2 * math.pi, 1.0, 1.0])
        return cls(array, phase / phase.abs().sum(), (contrast - 0.5) * math.pi / 2, waves)

    @classmethod
    def standard(cls, model: AcquisitionModel) -> Scene:
        """The fixed scene of the benchmark: equal loops evenly around, a smooth object phase, nothing random."""
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
