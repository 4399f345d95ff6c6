"""What each network is trained to do, as one module so that several processes can share its gradients."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.training.samples import Batch

NOISE_FLOOR = 0.02
"""Network units added to the noise level in the loss, so that nearly clean slices do not dominate it."""
AIR_WEIGHT = 0.1
PURE_NOISE_SHARE = 0.6
"""How often the denoiser trains at t = T, where it is the regression estimate."""
DROP_MEASURED = 0.1
DROP_TEXT = 0.1
DEGRADATION_SHARE = 0.25
"""Part of every batch that the degradation network learns from: it has an almost-identity to learn."""
JITTER = (0.5 / 255 * 2, 2 / 255 * 2)
"""Smallest and largest standard deviation, in network units, added to the degradation network's input."""


class JointObjective(nn.Module):
    """Losses of the restoration, denoising and degradation networks on one batch; they share the text encoder.

    - restoration r: | r(y) - x |^2, the posterior mean by plain regression;
    - denoiser g: | g(x_t, y, t, c) - x |^2, mostly at t = T, measurement and text dropped now and then;
    - degradation f: | f(x) - y |_1 from the true clean slice with jitter, so that no noise can be smuggled.

    Squared errors are divided by the noise variance: a decibel weighs the same at every noise level.
    """

    alpha_bar: Tensor

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        assert networks.restoration is not None
        self.restoration = networks.restoration
        self.denoiser = networks.denoiser
        self.degradation = networks.degradation
        self.text_encoder = networks.text_encoder
        self.tokenizer = networks.tokenizer
        self.register_buffer("alpha_bar", networks.scheduler.alphas_cumprod.clone(), persistent=False)

    def conditioning(self, batch: Batch) -> Conditioning:
        """Text embedded once a unique prompt, and the batch's numbers."""
        prompts = sorted(set(batch.prompts))
        tokens = self.tokenizer(prompts, padding="max_length", return_tensors="pt").to(batch.clean.device)
        embedded = self.text_encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
        rows = torch.tensor([prompts.index(prompt) for prompt in batch.prompts], device=batch.clean.device)
        return Conditioning(
            text=embedded[rows].float(),
            text_mask=tokens.attention_mask.bool()[rows],
            acceleration=batch.acceleration,
            noise_level=batch.noise_level,
            slice_spacing=batch.slice_spacing,
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of each network, by name; the generator decides times, noise and what is dropped."""
        conditioning = self.conditioning(batch)
        drop = torch.rand(len(batch.prompts), generator=generator) < DROP_TEXT
        kept = ~drop.to(conditioning.text_mask.device)[:, None]
        conditioning = replace(conditioning, text_mask=conditioning.text_mask & kept)
        few = slice(0, max(1, round(DEGRADATION_SHARE * len(batch.prompts))))
        return {
            "restoration": _weighted(self.restoration(batch.measured, conditioning), batch, batch.noise_level),
            "denoiser": self._denoiser(batch, conditioning, generator),
            "degradation": self._degradation(batch[few], conditioning[few], generator),
        }

    def _denoiser(self, batch: Batch, conditioning: Conditioning, generator: torch.Generator) -> Tensor:
        size = len(batch.clean)
        last = len(self.alpha_bar) - 1
        unconditional = bool(torch.rand(1, generator=generator) < DROP_MEASURED)
        t = torch.randint(last + 1, (size,), generator=generator)
        if not unconditional:
            t = torch.where(torch.rand(size, generator=generator) < PURE_NOISE_SHARE, last, t)
        alpha_bar = self.alpha_bar[t.to(self.alpha_bar.device)].view(-1, 1, 1, 1)
        noise = torch.randn(batch.clean.shape, generator=generator).to(batch.clean)
        state = alpha_bar.sqrt() * batch.clean + (1 - alpha_bar).sqrt() * noise
        measured = None if unconditional else batch.measured
        estimate = self.denoiser(state, measured, t.to(batch.clean.device), conditioning)
        # Without a measurement the error is of the order of the image itself, not of its noise.
        return _weighted(estimate, batch, torch.ones_like(batch.noise_level) if unconditional else batch.noise_level)

    def _degradation(self, batch: Batch, conditioning: Conditioning, generator: torch.Generator) -> Tensor:
        centre = batch.measured.shape[1] // 2
        low, high = JITTER
        strength = low + (high - low) * torch.rand(len(batch.clean), 1, 1, 1, generator=generator)
        jitter = (strength * torch.randn(batch.clean.shape, generator=generator)).to(batch.clean)
        error = self.degradation(batch.clean + jitter, conditioning).float() - batch.measured[:, centre : centre + 1]
        return (error.abs() / (batch.noise_level + NOISE_FLOOR).view(-1, 1, 1, 1)).mean()


def _weighted(estimate: Tensor, batch: Batch, unit: Tensor) -> Tensor:
    """Mean squared error in units of the noise, with air counting little."""
    weight = AIR_WEIGHT + (1 - AIR_WEIGHT) * batch.body
    variance = (unit.square() + NOISE_FLOOR**2).view(-1, 1, 1, 1)
    return (weight * (estimate.float() - batch.clean).square() / variance).mean()
