"""The conditional diffusion denoiser g(x_t, y, t, c): a Dhariwal U-Net that returns an estimate of the clean slice.

The U-Net is diffusers' ``UNet2DConditionModel`` in the layout of Dhariwal & Nichol 2021 (scale-shift normalisation,
residual down- and up-sampling blocks, attention at the two coarsest levels) with text cross-attention in its middle
block, as Shao et al. 2026 describe. Three choices are ours; each is a configuration switch:

- ``patch_size`` folds p x p pixels into channels before the U-Net and unfolds them after it (p = 1: the paper's form);
- ``neighbours`` lets it see the slices before and behind the one it cleans (0: the paper's single slice);
- ``residual`` predicts ``y + s * r`` instead of the clean slice itself. The network estimates r in units of the
  measured noise level s, so a slice without noise comes back as it went in.

A fourth, ``informed``, starts where regression ends: shown the regression network's answer m, it predicts ``m + s * r``
(predict and refine, Whang et al. 2022; the same idea as CorrDiff, Mardani et al. 2023). At t = T the network has to learn
only what regression missed, and at smaller t only what regression cannot know.
"""

from __future__ import annotations

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import ConfigMixin, register_to_config
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.models.conditioning import NUMBERS, Conditioning, fourier_features
from MRIDenoiseLib.models.layers import LastConvolution, pad_to_multiple

TIMESTEPS = 1000
"""T of the schedule."""

GRAIN_WINDOW = 5
GRAIN_LIMIT = 4.0

FREQUENCIES = 6
"""Octaves of the Fourier features that carry the numbers (acceleration, noise level, slice spacing)."""


class DiffusionDenoiser(ModelMixin, ConfigMixin):
    """x0-predicting conditional denoiser (Shao et al. 2026, section "Conditional diffusion").

    Args:
        widths: channels of each level, finest first.
        layers_per_block: residual blocks per level on the way down (one more on the way up).
        attention_levels: how many of the coarsest levels have self-attention.
        heads_width: channels per attention head; must divide the widths that have attention.
        text_dim: width of the text embedding.
        norm_groups: groups of the group normalisation; must divide every width.
        patch_size: p x p pixels folded into channels.
        neighbours: slices seen on either side (0 or 1).
        residual: predict the noise-scaled residual to the measured slice.
        fade_state: weigh the state x_t by 1 - t / (T - 1) on its way in; at t = T the estimate is then exactly a function of
            the measurement, the regression estimate that a zero-terminal-SNR schedule promises (Lin et al. 2024).
        grain: also show the output of :func:`grain` for the measured slices: group normalisation scales features by the
            anatomy's contrast, next to which weak noise is hard to see.
        informed: also show the regression network's answer and what it removes, and add the residual to that answer instead
            of to the measured slice; needs ``residual``.

    Raises:
        ValueError: when ``norm_groups`` does not divide every width, or ``informed`` comes without ``residual``.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        widths: tuple[int, ...] = (192, 192, 384, 576, 768),
        layers_per_block: int = 2,
        attention_levels: int = 2,
        heads_width: int = 64,
        text_dim: int = 1024,
        norm_groups: int = 32,
        patch_size: int = 1,
        neighbours: int = 0,
        residual: bool = False,
        fade_state: bool = False,
        grain: bool = False,
        informed: bool = False,
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        if informed and not residual:
            raise ValueError("an informed denoiser adds a residual to the regression network's answer: it must be residual")
        if any(width % norm_groups for width in widths):
            raise ValueError(f"norm_groups={norm_groups} does not divide every width of {widths}")
        channels = 1 + (2 * neighbours + 1) * (2 if grain else 1) + (2 if informed else 0)
        plain = len(widths) - attention_levels
        down = ["ResnetDownsampleBlock2D"] * plain + ["AttnDownBlock2D"] * attention_levels
        up = ["AttnUpBlock2D"] * attention_levels + ["ResnetUpsampleBlock2D"] * plain
        self.unet = UNet2DConditionModel(
            in_channels=channels * patch_size**2,
            out_channels=patch_size**2,
            block_out_channels=widths,
            layers_per_block=layers_per_block,
            down_block_types=tuple(down),
            up_block_types=tuple(up),
            mid_block_type="UNetMidBlock2DCrossAttn",
            cross_attention_dim=text_dim,
            attention_head_dim=heads_width,
            resnet_time_scale_shift="scale_shift",
            norm_num_groups=norm_groups,
            class_embed_type="projection",
            projection_class_embeddings_input_dim=2 * FREQUENCIES * NUMBERS,
        )
        self.unet.conv_out = LastConvolution(widths[0], patch_size**2, zero=residual)
        # diffusers reads attention_head_dim as channels per head in the attention levels but as the number of heads in the
        # middle block (its issue 2011); set the middle block's heads to the same channels.
        for layer in self.unet.mid_block.attentions:
            for block in layer.transformer_blocks:
                for attention in (block.attn1, block.attn2):
                    attention.heads = widths[-1] // heads_width
                    attention.scale = heads_width**-0.5
        # At the start the text has no effect; its effect is learned (tested in Testing/models/test_diffusion_denoiser.py).
        for layer in self.unet.mid_block.attentions:
            for block in layer.transformer_blocks:
                nn.init.zeros_(block.attn2.to_out[0].weight)
                nn.init.zeros_(block.attn2.to_out[0].bias)

    @property
    def multiple(self) -> int:
        """The multiple that height and width are padded to inside :meth:`forward`."""
        return int(self.config.patch_size * 2 ** (len(self.config.widths) - 1))

    def forward(
        self,
        state: Tensor,
        measured: Tensor | None,
        timestep: Tensor | int,
        conditioning: Conditioning,
        mean: Tensor | None = None,
    ) -> Tensor:
        """Estimate the clean slices.

        Args:
            state: B x 1 x H x W, x_t; range [-1, 1] plus noise.
            measured: B x N x H x W, the noisy slice in the centre channel and its neighbours around it, or None when
                the measurement is dropped (an unconditional prior).
            timestep: B or one number, 0 (clean) to T-1 (pure noise).
            conditioning: text and numbers of the B slices.
            mean: B x 1 x H x W, the regression network's answer m to ``measured``; only an informed denoiser uses it, and
                only where there is a measurement.

        Returns:
            B x 1 x H x W, the estimate of x_0.

        Raises:
            ValueError: an informed denoiser is given a measurement without its ``mean``.
        """
        neighbours = 2 * self.config.neighbours + 1
        if measured is None:
            measured = state.new_zeros(state.shape[0], neighbours, *state.shape[2:])
            base, unit = torch.zeros_like(state), torch.ones_like(conditioning.noise_level)
            taken = base
        else:
            unit = conditioning.noise_level
            centre = measured[:, self.config.neighbours : self.config.neighbours + 1]
            base = self._base(centre, mean)
            taken = _in_noise(centre - base, unit)
        if self.config.fade_state:
            # The nearer to pure noise, the less x_t shows, and the more it would hide the weak noise of the measurement.
            share = 1 - torch.as_tensor(timestep, device=state.device).expand(len(state)) / (TIMESTEPS - 1)
            state = state * share.to(state.dtype).view(-1, 1, 1, 1)
        given = [state, measured]
        if self.config.grain:
            given.append(grain(measured, unit))
        if self.config.informed:
            given += [base, taken]
        inputs, crop = pad_to_multiple(torch.cat(given, dim=1), self.multiple)
        folded = functional.pixel_unshuffle(inputs, self.config.patch_size)
        # A dropped text still needs one key to attend to: the first token, zeroed.
        mask = conditioning.text_mask.clone()
        mask[:, 0] = True
        text = conditioning.text * conditioning.text_mask.unsqueeze(-1)
        output = self.unet(
            folded,
            timestep,
            encoder_hidden_states=text,
            encoder_attention_mask=mask,
            class_labels=fourier_features(conditioning.numbers(), FREQUENCIES).to(folded.dtype),
        ).sample
        estimate = crop(functional.pixel_shuffle(output, self.config.patch_size))
        if not self.config.residual:
            return estimate
        return base + unit.view(-1, 1, 1, 1) * estimate

    def example_inputs(self, image: Tensor, conditioning: Conditioning) -> tuple[Tensor | Conditioning, ...]:
        """What :meth:`forward` takes for a slice (1 x 1 x H x W)."""
        measured = image.expand(-1, 2 * self.config.neighbours + 1, -1, -1)
        return image, measured, image.new_zeros(1), conditioning, image

    def _base(self, measured: Tensor, mean: Tensor | None) -> Tensor:
        """What the residual is added to: the measured slice itself, or the regression network's answer to it."""
        if not self.config.informed:
            return measured
        if mean is None:
            raise ValueError("an informed denoiser needs the regression network's answer to the slices it is given")
        return mean


def grain(measured: Tensor, noise_level: Tensor) -> Tensor:
    """B x N x H x W without its local mean (5 x 5), in units of the noise, within +-GRAIN_LIMIT where an edge is stronger."""
    reach = GRAIN_WINDOW // 2
    padded = functional.pad(measured, (reach, reach, reach, reach), mode="replicate")
    smooth = functional.avg_pool2d(padded, GRAIN_WINDOW, stride=1)
    return _in_noise(measured - smooth, noise_level)


def _in_noise(difference: Tensor, noise_level: Tensor) -> Tensor:
    """In units of the noise, within +-GRAIN_LIMIT."""
    return (difference / noise_level.clamp_min(1e-3).view(-1, 1, 1, 1)).clamp(-GRAIN_LIMIT, GRAIN_LIMIT)
