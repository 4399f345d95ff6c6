"""Multi-cycle training: restoration and degradation networks in a chain that goes to and fro between noisy and clean.

The paper's chain of N unities, y -> psi1 -> x1 -> phi1 -> y1 -> psi2 -> x2 -> phi2 -> y2, in which every x_n is compared with
the clean slice and every y_n with the measured one, each by L1, MS-SSIM and a discriminator (its equations 2 to 4). Of all
networks only phi1 is kept. Two graphs:

- ``paper``: literal. Every loss reaches every network before it, so psi is rewarded for hiding the noise from the eye but not
  from phi, which then cannot degrade an image that hides nothing (:mod:`.leak_probe` measures it).
- ``detach``: every network learns from its own losses alone, and phi sees the true clean slice half of the time, with a jitter
  that drowns faint codes. What comes after phi1 no longer reaches it, so one unity is enough. Measured on textured discs with
  blur and Rician noise, that is as well: when psi2's loss was let through, phi1 missed the blur by twice as much, because psi2 needs
  the detail.

The adversary is a small network that distinguishes real patches from made ones: a conditional PatchGAN (Isola et al., "Image-to-image
translation with conditional adversarial networks", CVPR 2017) with spectral norm (Miyato et al., ICLR 2018) in the place of batch
norm, so that the slices of a batch do not see each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from pytorch_msssim import ssim
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from MRIDenoiseLib.data.samples import Batch, neighbourhood
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.models.layers import full_precision
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.training.leak_probe import leak_probe
from MRIDenoiseLib.training.objectives import Objective
from MRIDenoiseLib.training.recipe import Stage
from MRIDenoiseLib.training.text import Conditioner

SLOPE = 0.2


SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", 2003."""
WINDOW = 11
WINDOW_SIGMA = 1.5
NO_LUMINANCE = 1e6
"""A K1 so large that the brightness of both images is negligible: SSIM is then its contrast-structure term alone."""
SMALLEST_TERM = 1e-4
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
NOISE_FLOOR = 0.02
"""Network units added to the noise level in the losses of ``detach``."""
TRUE_CLEAN_SHARE = 0.5
"""How often a degradation network of ``detach`` sees the true clean slice."""
JITTER = (0.5 / 255 * 2, 2 / 255 * 2)
"""Smallest and largest standard deviation, in network units, of the noise added to its input."""
LARGEST_BLUR = 0.5
"""Largest weight of the binomial average that is mixed into an estimate before it sees it."""
INTENSITY_RANGE = 2.0
"""Of the network range [-1, 1]; the paper's L1 is of images in [0, 1]."""
WARM_UP = 0.2
"""Part of the training over which the adversarial losses come up from nothing."""


class PatchDiscriminator(nn.Module):
    """Judges every patch of an image: positive logits for real, negative for made.

    One backward pass serves both sides: :meth:`critic_loss` has gradients for this network only and
    :meth:`generator_loss` for the images only, so the losses are added up with all others under one optimiser.
    Runs in float32 with autocast off, which the power iteration of the spectral norm needs.

    Args:
        in_channels: 1 for an image alone, 2 for an image with what it was made from.
        widths: channels of the 4x4 convolutions, each of which halves the resolution.
    """

    def __init__(self, in_channels: int = 1, widths: Sequence[int] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((in_channels, *widths)):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=1)))

    def forward(self, images: Tensor) -> Tensor:
        """B x in_channels x H x W in network units -> B x 1 x h x w logits, one for each patch."""
        with full_precision(images.device):
            return self.layers(images.float())

    def critic_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Binary cross-entropy of distinguishing ``real`` from ``made``, half of it from each; no gradient reaches the images.

        Both pass in one call, because in training every call moves the power iteration of the spectral norm on by a step.
        """
        of_real, of_made = self(torch.cat([real, made]).detach()).split([len(real), len(made)])
        # -log sigmoid(l) for what is real, -log(1 - sigmoid(l)) for what is made.
        return (functional.softplus(-of_real).mean() + functional.softplus(of_made).mean()) / 2

    def generator_loss(self, made: Tensor) -> Tensor:
        """The non-saturating loss -log D of whoever made the images; no gradient reaches this network, and nothing in it moves."""
        frozen = {name: parameter.detach() for name, parameter in self.named_parameters()}
        training = self.training
        self.eval()
        logits = functional_call(self, frozen, (made,))
        self.train(training)
        return functional.softplus(-logits).mean()


K1, K2 = 0.01, 0.03


def absolute_error(estimate: Tensor, target: Tensor, unit: Tensor) -> Tensor:
    """Mean absolute difference of two images, B x 1 x H x W, in units of ``unit``, B x 1 x 1 x 1."""
    return ((estimate.float() - target.float()).abs() / unit).mean()


def structural_dissimilarity(estimate: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM, averaged over the batch: five scales, Gaussian window of 11 pixels and sigma 1.5, data range 1.

    Computed in float32 with autocast off. Images are mapped from [-1, 1] to [0, 1] but not clamped: the range only sets
    the two constants, and a clamp would take the gradient from fat brighter than the scale.

    Args:
        estimate: B x 1 x H x W in network units.
        target: the same.

    Returns:
        A scalar, 0 for equal images and at most about 1.

    Raises:
        ValueError: for images of fewer than 161 rows or columns, too small for five scales.
    """
    if min(target.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(f"MS-SSIM needs images of at least {SMALLEST_SIDE} pixels, got {tuple(target.shape[-2:])}")
    with full_precision(target.device):
        first, second = ((image.float() + 1) / 2 for image in (estimate, target))
        similarity = torch.ones(len(first), device=first.device)
        for scale, weight in enumerate(SCALE_WEIGHTS):
            coarsest = scale == len(SCALE_WEIGHTS) - 1
            term = _ssim(first, second, K1 if coarsest else NO_LUMINANCE)
            # A term falls to zero and below where the images are anti-correlated. Its fractional power would have a gradient
            # without bound on the way there, and at zero it would take the gradients of all other scales with it.
            similarity = similarity * term.clamp_min(SMALLEST_TERM) ** weight
            if not coarsest:
                first, second = (functional.avg_pool2d(image, 2, ceil_mode=True) for image in (first, second))
        return 1 - similarity.mean()


def _ssim(first: Tensor, second: Tensor, k1: float) -> Tensor:
    """SSIM of each image of a batch (B)."""
    return ssim(first, second, data_range=1.0, size_average=False, win_size=WINDOW, win_sigma=WINDOW_SIGMA, K=(k1, K2))


@dataclass(frozen=True)
class Side:
    """What the chain made on its clean or on its noisy side, with what it should be.

    Args:
        made: (N B) x 1 x H x W, the images of all N unities one after the other, in network units.
        target: (N B) x 1 x H x W, the clean or the measured slices, as often.
        critic: the discriminator of this side, None where there is none.
        given: (N B) x 1 x H x W, what the discriminator sees together with an image, None for nothing.
    """

    made: Tensor
    target: Tensor
    critic: PatchDiscriminator | None
    given: Tensor | None

    def as_judged(self, images: Tensor) -> Tensor:
        """``made`` or ``target`` as the discriminator takes them."""
        return images if self.given is None else torch.cat([images, self.given], dim=1)


class MultiCycleObjective(Objective):
    """The losses of the chain and of its discriminators, and the probe for hidden noise.

    The adversarial loss of ``detach`` is on the clean side only: a discriminator of the noisy side makes a degradation network
    invent noise that is not the measured slice's, and the fidelity to it would put that noise into the denoised image.

    Args:
        degradation: phi1. The other networks of the chain are built like it, each with its own random weights.
        text: see :class:`Objective`.
        stage: its ``cycle``, ``unities``, ``adversarial`` and ``structural``.
        critic_widths: of the discriminators.

    Raises:
        SettingsError: the degradation network takes more than the slice itself; the chain hands on single slices.
    """

    def __init__(self, degradation: NBNet, text: Conditioner, stage: Stage, critic_widths: Sequence[int] = (64, 128, 256)) -> None:
        super().__init__(text)
        if degradation.config.in_channels != 1:
            raise SettingsError("multi-cycle training needs a degradation network that takes the slice alone (in_channels: 1)")
        self.stage = stage

        def another() -> NBNet:
            return NBNet.from_config(degradation.config)

        self.restorations = nn.ModuleList(another() for _ in range(stage.unities))
        self.degradations = nn.ModuleList([degradation, *(another() for _ in range(stage.unities - 1))])
        self.clean_critic = PatchDiscriminator(1, critic_widths) if stage.adversarial > 0 else None
        on_both_sides = stage.adversarial > 0 and stage.cycle == "paper"
        self.noisy_critic = PatchDiscriminator(2, critic_widths) if on_both_sides else None

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> MultiCycleObjective:
        """That of a stage."""
        degradation = networks[stage.network]
        assert isinstance(degradation, NBNet)
        return cls(degradation, Conditioner.of(stage, networks), stage)

    @property
    def network(self) -> nn.Module:
        """The first degradation network, the only one used after training."""
        return self.degradations[0]

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """The weighted losses, each summed over the unities; ``restoration_`` on the clean side, ``degradation_`` on the noisy one.

        ``_l1`` and, where their weights are above zero, ``_structure`` (1 - MS-SSIM), ``_adversarial`` and ``_critic`` (the
        discriminator's own).
        """
        warmth = min(1.0, progress / WARM_UP)
        losses: dict[str, Tensor] = {}
        for name, side in self.pass_through(batch, self.conditioning(batch, generator), generator).items():
            losses |= {f"{name}_{term}": loss for term, loss in self._similarity(side, batch).items()}
            if side.critic is not None:
                losses[f"{name}_adversarial"] = warmth * self._adversarial(side)
                losses[f"{name}_critic"] = side.critic.critic_loss(side.as_judged(side.target), side.as_judged(side.made))
        return losses

    def pass_through(self, batch: Batch, conditioning: Conditioning, generator: torch.Generator) -> dict[str, Side]:
        """To and fro through all unities: what comes of it on the clean side (``restoration``) and the noisy one (``degradation``)."""
        measured = noisy = neighbourhood(batch, 1)
        estimates: list[Tensor] = []
        degraded: list[Tensor] = []
        for restoration, degradation in zip(self.restorations, self.degradations, strict=True):
            estimate = restoration(noisy, conditioning)
            shown = estimate if self.stage.cycle == "paper" else _honest_input(estimate.detach(), batch.clean, generator)
            degraded.append(degradation(shown, conditioning))
            estimates.append(estimate)
            noisy = degraded[-1] if self.stage.cycle == "paper" else degraded[-1].detach()
        clean, measured = (image.repeat(self.stage.unities, 1, 1, 1) for image in (batch.clean, measured))
        return {
            "restoration": Side(torch.cat(estimates), clean, self.clean_critic, None),
            # Made and measured images are judged with the same clean slice: with the estimate that an image was made from,
            # the discriminator could distinguish them by the estimate alone.
            "degradation": Side(torch.cat(degraded), measured, self.noisy_critic, clean),
        }

    def probe(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """The values of :func:`.leak_probe.leak_probe` for the first unity, and how hard the discriminators pull.

        ``restoration_pull`` and ``degradation_pull`` are the norm of the gradient that the adversarial loss at its full weight
        has in the images of its side, divided by that of L1 and MS-SSIM together.
        """
        with torch.no_grad():
            conditioning = self.full_conditioning(batch)
            sides = self.pass_through(batch, conditioning, generator)
        values = leak_probe(self.restorations[0], self.degradations[0], batch, conditioning)
        for name, side in sides.items():
            if side.critic is not None:
                made = side.made.requires_grad_()
                similarity = torch.stack(list(self._similarity(side, batch).values())).sum()
                pull, hold = (torch.autograd.grad(loss, made)[0].norm() for loss in (self._adversarial(side), similarity))
                values[f"{name}_pull"] = float(pull / hold)
        return values

    def _similarity(self, side: Side, batch: Batch) -> dict[str, Tensor]:
        unities = self.stage.unities
        if self.stage.cycle == "paper":
            unit = torch.full_like(side.made[:, :1, :1, :1], INTENSITY_RANGE)
        else:
            # In units of the noise, or slices with much of it would decide alone: a degradation network's error is nearly
            # all noise, which it cannot predict.
            unit = (batch.noise_level + NOISE_FLOOR).repeat(unities).view(-1, 1, 1, 1)
        terms = {"l1": unities * absolute_error(side.made, side.target, unit)}
        if self.stage.structural > 0:
            terms["structure"] = self.stage.structural * unities * structural_dissimilarity(side.made, side.target)
        return terms

    def _adversarial(self, side: Side) -> Tensor:
        assert side.critic is not None
        return self.stage.adversarial * self.stage.unities * side.critic.generator_loss(side.as_judged(side.made))


def _honest_input(estimate: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
    """What a degradation network of ``detach`` sees: for each slice the true clean one, or a slightly blurred estimate, and jitter."""

    def draw() -> Tensor:
        return torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean)

    # Only estimates are blurred: they alone may hide something, and a network that saw blurred true slices would sharpen.
    blurred = estimate + LARGEST_BLUR * draw() * (_binomial(estimate) - estimate)
    image = torch.where(draw() < TRUE_CLEAN_SHARE, clean, blurred)
    low, high = JITTER
    return image + (low + (high - low) * draw()) * torch.randn(clean.shape, generator=generator).to(clean)


def _binomial(image: Tensor) -> Tensor:
    """The 3 x 3 binomial average of B x 1 x H x W, edges reflected: twice the mean of 2 x 2."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="reflect")
    return functional.avg_pool2d(functional.avg_pool2d(padded, 2, stride=1), 2, stride=1)
