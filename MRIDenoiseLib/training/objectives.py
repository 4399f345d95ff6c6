"""What each network is trained to do; one shape for all of them, so that one loop trains them all.

What the flow is trained to do: carry what the restoration network answers to the clean slice. What the uncertainty network is trained
to do: say how far that answer is off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import torch
from diffusers import DDIMScheduler
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.data.samples import Batch, neighbourhood
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser
from MRIDenoiseLib.models.flow import FlowNetwork, noise_unit
from MRIDenoiseLib.models.uncertainty import UncertaintyNetwork
from MRIDenoiseLib.training.recipe import Stage, Weighting
from MRIDenoiseLib.training.text import Conditioner

NOISE_FLOOR = 0.01
"""Network units added to the noise level in the loss, so that nearly clean slices do not dominate it."""
AIR_WEIGHT = 0.1
PURE_NOISE_SHARE = 0.6
"""How often the denoiser trains at t = T, where it is the regression estimate (weighting ``noise``)."""
SEEN_BODY = 0.75
"""How often the noise estimator is shown a body as it is found in a noisy slice, which may hold air and lack dark tissue."""
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.05, 0.45
"""Of P99.5: the threshold of the found body; 0.38 occurred in heads of dark tissue and near surface coils."""
LEAST_FOUND = 400
"""Pixels that a found body must hold."""
DROP_MEASURED = 0.1
DROP_TEXT = 0.1
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
"""The projections of the denoiser's attention layers, of one slice with itself and with the text."""


class Objective(nn.Module, ABC):
    """The losses of one stage.

    Args:
        text: makes the conditioning of a batch; None where nothing but the image is looked at.
    """

    def __init__(self, text: Conditioner | None) -> None:
        super().__init__()
        self.text = text

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """What the stage trains and the bundle gets."""

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """The losses by name, to be added up; the generator decides times, noise and what is dropped.

        Args:
            batch: training pairs.
            generator: on the CPU.
            progress: part of the training done, 0..1.
        """

    def probe(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """What is worth watching besides the losses, on a batch that is the same every time."""
        return {}

    def relied_on(self) -> dict[str, nn.Module]:
        """What this stage uses and does not train, by the name of its part of the weights."""
        if self.text is None:
            return {}
        if not self.text.learns:
            return {"text": self.text}
        estimator = self.text.noise_estimator
        return {} if estimator is None else {"text.noise_estimator": estimator}

    def full_conditioning(self, batch: Batch) -> Conditioning:
        """What inference would give the network for these slices."""
        assert self.text is not None
        conditioning: Conditioning = self.text(batch)
        return conditioning

    def conditioning(self, batch: Batch, generator: torch.Generator) -> Conditioning:
        """Of the batch, with the text of some slices dropped."""
        conditioning = self.full_conditioning(batch)
        kept = torch.rand(len(batch.prompts), generator=generator) >= DROP_TEXT
        return replace(conditioning, text_mask=conditioning.text_mask & kept.to(batch.clean.device)[:, None])


class NoiseObjective(Objective):
    """| log s(y) - log sigma |: a factor wrong counts alike for faint and for strong noise.

    Sigma is that of the noise in the true body, whatever body the estimator is shown.

    Args:
        noise_estimator: s.
    """

    def __init__(self, noise_estimator: nn.Module) -> None:
        super().__init__(None)
        self.noise_estimator = noise_estimator

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> NoiseObjective:
        """That of a stage."""
        return cls(networks[stage.network])

    @property
    def network(self) -> nn.Module:
        """The noise estimator."""
        return self.noise_estimator

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """One loss, ``noise_estimator``."""
        return {"noise_estimator": self._error(batch, generator)}

    def probe(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """``error``: by what factor it typically is wrong, less one."""
        with torch.no_grad():
            return {"error": float(self._error(batch, generator).exp()) - 1}

    def _error(self, batch: Batch, generator: torch.Generator) -> Tensor:
        image = neighbourhood(batch, 1)
        found: Tensor = self.noise_estimator(image, seen_body(image, batch.body, generator))
        return (found.log() - batch.noise_level.log()).abs().mean()


class RestorationObjective(Objective):
    """| r(y) - x |^2: the posterior mean by plain regression.

    Args:
        restoration: r.
        text: see :class:`Objective`.
        weighting: of the error, see :class:`MRIDenoiseLib.training.recipe.Stage`.
    """

    def __init__(self, restoration: nn.Module, text: Conditioner, weighting: Weighting = "noise") -> None:
        super().__init__(text)
        self.restoration = restoration
        self.weighting = weighting

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> RestorationObjective:
        """That of a stage."""
        return cls(networks[stage.network], Conditioner.of(stage, networks), stage.weighting)

    @property
    def network(self) -> nn.Module:
        """The restoration network."""
        return self.restoration

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """One loss, ``restoration``."""
        estimate = self.restoration(seen_by(self.restoration, batch), self.conditioning(batch, generator))
        return {"restoration": squared_error(estimate, batch, batch.noise_level, self.weighting)}


class DenoiserObjective(Objective):
    """| g(x_t, y, t, c) - x |^2, measurement and text dropped now and then.

    Times are drawn evenly; with the weighting ``noise`` most are t = T, from where one call gives the posterior mean.

    Args:
        denoiser: g, or g with low-rank adapters.
        scheduler: the forward process; zero terminal SNR.
        text: see :class:`Objective`.
        weighting: see :class:`MRIDenoiseLib.training.recipe.Stage`.
        restoration: already trained, its answer to one view is what an informed denoiser starts from; it does not learn here.
            None for a denoiser that is not informed.
    """

    alpha_bar: Tensor

    def __init__(
        self,
        denoiser: DiffusionDenoiser | PeftModel,
        scheduler: DDIMScheduler,
        text: Conditioner,
        weighting: Weighting = "noise",
        restoration: nn.Module | None = None,
    ) -> None:
        super().__init__(text)
        self.denoiser = denoiser
        self.restoration = None if restoration is None else restoration.requires_grad_(False)
        self.weighting = weighting
        self.register_buffer("alpha_bar", scheduler.alphas_cumprod.clone(), persistent=False)

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> DenoiserObjective:
        """That of a stage; with ``attention_lora`` of the network with adapters, the one that is there being changed."""
        network = networks[stage.network]
        assert isinstance(network, DiffusionDenoiser)
        text = Conditioner.of(stage, networks)
        informing = networks["restoration"] if network.config.informed else None
        if not stage.attention_lora:
            return cls(network, networks.scheduler, text, stage.weighting, informing)
        adapters = LoraConfig(r=stage.lora_rank, lora_alpha=stage.lora_rank, lora_dropout=0.0, target_modules=ATTENTION)
        return cls(get_peft_model(network, adapters), networks.scheduler, text, stage.weighting, informing)

    @property
    def network(self) -> nn.Module:
        """The denoiser."""
        return self.denoiser

    def relied_on(self) -> dict[str, nn.Module]:
        """Also the restoration network that informs it: another one leaves other errors to refine."""
        informing = {} if self.restoration is None else {"restoration": self.restoration}
        return super().relied_on() | informing

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """One loss, ``denoiser``."""
        conditioning = self.conditioning(batch, generator)
        size = len(batch.clean)
        last = len(self.alpha_bar) - 1
        unconditional = bool(torch.rand(1, generator=generator) < DROP_MEASURED)
        t = torch.randint(last + 1, (size,), generator=generator)
        if self.weighting == "noise" and not unconditional:
            t = torch.where(torch.rand(size, generator=generator) < PURE_NOISE_SHARE, last, t)
        alpha_bar = self.alpha_bar[t.to(self.alpha_bar.device)].view(-1, 1, 1, 1)
        noise = torch.randn(batch.clean.shape, generator=generator).to(batch.clean)
        state = alpha_bar.sqrt() * batch.clean + (1 - alpha_bar).sqrt() * noise
        measured = None if unconditional else neighbourhood(batch, 2 * self.denoiser.config.neighbours + 1)
        estimate = self.denoiser(state, measured, t.to(batch.clean.device), conditioning, *self._mean(batch, conditioning, unconditional))
        # Without a measurement the error is of the order of the image itself, not of its noise.
        unit = torch.ones_like(batch.noise_level) if unconditional else batch.noise_level
        return {"denoiser": squared_error(estimate, batch, unit, self.weighting)}

    def _mean(self, batch: Batch, conditioning: Conditioning, unconditional: bool) -> tuple[Tensor, ...]:
        """The additional input of an informed denoiser."""
        if self.restoration is None or unconditional:
            return ()
        return (answer(self.restoration, batch, conditioning),)


def seen_by(network: nn.Module, batch: Batch) -> Tensor:
    """B x in_channels x H x W: as many of the measured slices as a network of images takes."""
    config: Any = network.config
    return neighbourhood(batch, config.in_channels)


@torch.no_grad()
def answer(restoration: nn.Module, batch: Batch, conditioning: Conditioning) -> Tensor:
    """B x 1 x H x W: what a trained restoration network makes of the measured slices, for others to learn from."""
    mean: Tensor = restoration(seen_by(restoration, batch), conditioning)
    return mean.float()


def seen_body(image: Tensor, body: Tensor, generator: torch.Generator) -> Tensor:
    """Bodies as inference finds them: mostly what is bright in the blurred noisy slice, otherwise the true one.

    Args:
        image: B x 1 x H x W noisy slices in network units.
        body: B x 1 x H x W, 1 inside the true body.
        generator: on the CPU.
    """
    used, draw = torch.rand(2, len(image), 1, 1, 1, generator=generator).to(image)
    blurred = functional.avg_pool2d((image + 1) / 2, 5, stride=1, padding=2, count_include_pad=False)
    found = (blurred > LOWEST_THRESHOLD + (HIGHEST_THRESHOLD - LOWEST_THRESHOLD) * draw).to(body)
    large = found.sum(dim=(1, 2, 3), keepdim=True) > LEAST_FOUND
    return torch.where((used < SEEN_BODY) & large, found, body)


def squared_error(estimate: Tensor, batch: Batch, unit: Tensor, weighting: Weighting) -> Tensor:
    """Mean squared error of the clean slice, ``plain`` or as :func:`in_noise_units` weighs it."""
    if weighting == "plain":
        return (estimate.float() - batch.clean).square().mean()
    return in_noise_units(estimate, batch, unit)


def in_noise_units(estimate: Tensor, batch: Batch, unit: Tensor) -> Tensor:
    """Mean squared error divided by ``unit`` squared (B, network units), air counting little.

    A decibel then weighs the same at every noise level.
    """
    weight = AIR_WEIGHT + (1 - AIR_WEIGHT) * batch.body
    variance = (unit.square() + NOISE_FLOOR**2).view(-1, 1, 1, 1)
    return (weight * (estimate.float() - batch.clean).square() / variance).mean()


class FlowObjective(Objective):
    """| v(z_t, t) - (x - z_0) |^2 between z_0 = m + sigma_s s e and the clean x (Ohayon, Michaeli and Elad 2025).

    Args:
        flow: v.
        restoration: already trained, its answer to one view is m; it does not learn here.
        text: see :class:`.objectives.Objective`.
    """

    def __init__(self, flow: FlowNetwork, restoration: nn.Module, text: Conditioner) -> None:
        super().__init__(text)
        self.flow = flow
        self.restoration = restoration.requires_grad_(False)

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> FlowObjective:
        """That of a stage."""
        flow = networks[stage.network]
        assert isinstance(flow, FlowNetwork)
        return cls(flow, networks["restoration"], Conditioner.of(stage, networks))

    @property
    def network(self) -> nn.Module:
        """The flow."""
        return self.flow

    def relied_on(self) -> dict[str, nn.Module]:
        """Also the restoration network: another one errs otherwise."""
        return super().relied_on() | {"restoration": self.restoration}

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """One loss, ``flow``, in units of the noise."""
        conditioning = self.conditioning(batch, generator)
        mean = answer(self.restoration, batch, conditioning)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        time = torch.rand(len(mean), generator=generator).to(mean)
        start = mean + self.flow.config.start_noise * conditioning.noise_level.view(-1, 1, 1, 1) * noise
        state = torch.lerp(start, batch.clean, time.view(-1, 1, 1, 1))
        velocity = self.flow(state, mean, neighbourhood(batch, 1), time, conditioning)
        # Where a straight path with this velocity ends is as far from the clean slice as the velocity is from the path's.
        return {"flow": in_noise_units(start + velocity, batch, batch.noise_level)}

    def probe(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """``flow``: the loss, on the same times and noise every time."""
        with torch.no_grad():
            return {"flow": float(self(batch, generator)["flow"])}


class UncertaintyObjective(Objective):
    """-log p(x | m, s) of a Laplace density around the restoration network's answer m, whose scale s the network gives.

    Like the squared error of the others it counts air little. The slices that a scale is learned from are those that the answers
    were learned from, on which they err no more than on others only while the restoration network has not learned them by heart:
    the intervals are measured on other patients.

    Args:
        uncertainty: gives log s in units of the noise.
        restoration: already trained, its answer to one view is m; it does not learn here.
        text: see :class:`.objectives.Objective`.
    """

    def __init__(self, uncertainty: UncertaintyNetwork, restoration: nn.Module, text: Conditioner) -> None:
        super().__init__(text)
        self.uncertainty = uncertainty
        self.restoration = restoration.requires_grad_(False)

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> UncertaintyObjective:
        """That of a stage."""
        uncertainty = networks[stage.network]
        assert isinstance(uncertainty, UncertaintyNetwork)
        return cls(uncertainty, networks["restoration"], Conditioner.of(stage, networks))

    @property
    def network(self) -> nn.Module:
        """The uncertainty network."""
        return self.uncertainty

    def relied_on(self) -> dict[str, nn.Module]:
        """Also the restoration network: another one errs otherwise."""
        return super().relied_on() | {"restoration": self.restoration}

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """One loss, ``uncertainty``, in nats a pixel."""
        conditioning = self.conditioning(batch, generator)
        mean = answer(self.restoration, batch, conditioning)
        log_scale = self.uncertainty(seen_by(self.uncertainty, batch), mean, conditioning).float()
        error = (mean - batch.clean).abs() / noise_unit(conditioning.noise_level).view(-1, 1, 1, 1)
        weight = AIR_WEIGHT + (1 - AIR_WEIGHT) * batch.body
        return {"uncertainty": (weight * (log_scale + error * (-log_scale).exp())).sum() / weight.sum()}

    def probe(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """``uncertainty``: the loss, on the same slices every time."""
        with torch.no_grad():
            return {"uncertainty": float(self(batch, generator)["uncertainty"])}
