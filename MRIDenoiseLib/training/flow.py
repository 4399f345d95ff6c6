"""What the flow is trained to do: carry what the restoration network answers to the clean slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from MRIDenoiseLib.models.flow import FlowNetwork
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.training.objectives import Objective, answer, in_noise_units, neighbourhood
from MRIDenoiseLib.training.samples import Batch
from MRIDenoiseLib.training.text import Conditioner


class FlowObjective(Objective):
    """| v(z_t, t) - (x - z_0) |^2 between z_0 = m + sigma_s s e and the clean x (Ohayon, Michaeli and Elad 2025).

    Args:
        flow: v.
        restoration: already trained, its answer to one view is m; it does not learn here.
        text: see :class:`.objectives.Objective`.
    """

    def __init__(self, flow: FlowNetwork, restoration: NBNet, text: Conditioner) -> None:
        super().__init__(text)
        self.flow = flow
        self.restoration = restoration.requires_grad_(False)

    @property
    def network(self) -> nn.Module:
        """The flow."""
        return self.flow

    def relied_on(self, text_learns: bool) -> dict[str, nn.Module]:
        """Also the restoration network: another one errs otherwise."""
        return super().relied_on(text_learns) | {"restoration": self.restoration}

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
