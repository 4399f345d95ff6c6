"""Named sizes of the whole set of networks: ``compact`` ships with the program, ``paper`` is the paper's, ``tiny`` is for tests.

Also how large a network is in numbers, and how many operations a call costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.models.text_encoder import build_compact_text_encoder, build_tokenizer

DRAWN_FIRST = ("denoiser", "degradation", "restoration")
"""Random weights are drawn for these, then for the text encoder, then for the other networks in the order of the table, so that a
seed always gives the same weights."""


@dataclass(frozen=True)
class ModelConfig:
    """How large every network of a bundle is.

    Args:
        networks: name -> arguments of its constructor, without defaults and without the width of the texts.
        text_width: of the text encoder's embeddings.
        text_layers: of a text encoder that is built together with the networks.
    """

    networks: Mapping[str, Mapping[str, Any]]
    text_width: int
    text_layers: int

    def arguments(self, name: str) -> dict[str, Any]:
        """The arguments of a network's constructor."""
        read = {"text_dim": self.text_width} if NETWORKS[name].reads_text else {}
        return {**self.networks.get(name, {}), **read}

    def build(self, name: str) -> nn.Module:
        """A network with random weights, drawn from torch's global generator."""
        return NETWORKS[name].kind(**self.arguments(name))


def compact() -> ModelConfig:
    """Runs on a CPU: about twelve million parameters, five input slices, residual in units of the noise, diffusion after regression."""
    return ModelConfig(
        {
            "denoiser": {
                "widths": (48, 64, 64),
                "layers_per_block": 1,
                "attention_levels": 1,
                "heads_width": 32,
                "norm_groups": 16,
                "patch_size": 2,
                "neighbours": 1,
                "residual": True,
                "fade_state": True,
                "grain": True,
                "informed": True,
            },
            "degradation": {"channels": (16, 32, 32, 32, 32), "mid_channels": 16, "subspace_dim": 8, "film_width": 64},
            "restoration": {
                "in_channels": 5,
                "channels": (96, 160, 224, 256),
                "mid_channels": 64,
                "subspace_dim": 8,
                "film_width": 64,
                "residual_unit": "noise",
                "patch_size": 2,
            },
        },
        text_width=64,
        text_layers=2,
    )


def paper() -> ModelConfig:
    """The paper's size: U-Net (192, 192, 384, 576, 768) x 2, NBNet 128-64-32-16-8, text 1024 wide; single slices."""
    nbnet = {"channels": (128, 64, 32, 16, 8), "mid_channels": 128, "subspace_dim": 16}
    flow = {"channels": (96, 128, 192), "film_width": 256, "patch_size": 1}
    uncertainty = {"in_channels": 1, "channels": (48, 64, 96), "film_width": 64, "patch_size": 1}
    networks = {"degradation": nbnet, "restoration": nbnet, "flow": flow, "uncertainty": uncertainty}
    return ModelConfig(networks, text_width=1024, text_layers=23)


def tiny() -> ModelConfig:
    """A few thousand parameters in the shape of ``compact``, for tests of the code path."""
    nbnet = {"channels": (4, 4, 4), "mid_channels": 4, "subspace_dim": 2, "film_width": 8}
    return ModelConfig(
        {
            "denoiser": {
                "widths": (8, 16),
                "layers_per_block": 1,
                "attention_levels": 1,
                "heads_width": 8,
                "norm_groups": 4,
                "patch_size": 2,
                "neighbours": 1,
                "residual": True,
                "fade_state": True,
                "grain": True,
            },
            "degradation": nbnet,
            "restoration": nbnet | {"in_channels": 3, "residual_unit": "noise"},
            "noise_estimator": {"filters": 4, "channels": 8, "layers": 1},
            "flow": {"channels": (4, 4), "film_width": 8},
            "uncertainty": {"channels": (4, 4), "film_width": 8},
        },
        text_width=16,
        text_layers=1,
    )


CONFIGS = {"compact": compact, "paper": paper, "tiny": tiny}


@dataclass(eq=False)
class Networks(MutableMapping[str, nn.Module]):
    """The networks of one bundle by their names, ready to be trained, with text encoder and schedule; some may be missing.

    Args:
        networks: those of :data:`.networks.NETWORKS` that exist.
        text_encoder, tokenizer, scheduler: see :func:`MRIDenoiseLib.models.bundle.writing.write_bundle`.
    """

    networks: dict[str, nn.Module]
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerBase
    scheduler: DDIMScheduler

    def __getitem__(self, name: str) -> nn.Module:
        return self.networks[name]

    def __setitem__(self, name: str, network: nn.Module) -> None:
        self.networks[name] = network

    def __delitem__(self, name: str) -> None:
        del self.networks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.networks)

    def __len__(self) -> int:
        return len(self.networks)

    def builds_on(self, name: str) -> tuple[str, ...]:
        """The networks whose answers another existing network works on."""
        config: Any = self[name].config
        return NETWORKS[name].builds_on(config)


def build_networks(config: ModelConfig, text: tuple[PreTrainedTokenizerBase, CLIPTextModel] | None = None) -> Networks:
    """Networks with random weights, drawn from torch's global generator.

    Args:
        config: their sizes.
        text: a tokenizer and its trained text model, see :func:`.text_encoder.load_text_tower`; without them a small text
            model with a word-level tokenizer is built.

    Raises:
        SettingsError: the text model's embeddings do not have the width that the networks take.
    """
    networks = {name: config.build(name) for name in DRAWN_FIRST}
    if text is None:
        tokenizer = build_tokenizer()
        text = tokenizer, build_compact_text_encoder(tokenizer, config.text_width, config.text_layers)
    tokenizer, text_encoder = text
    if text_encoder.config.hidden_size != config.text_width:
        raise SettingsError(
            f"the text encoder's embeddings are {text_encoder.config.hidden_size} wide, but the networks take them {config.text_width} wide"
        )
    networks |= {name: config.build(name) for name in NETWORKS if name not in networks}
    return Networks(networks, text_encoder, tokenizer, build_scheduler())


def build_scheduler() -> DDIMScheduler:
    """Linear betas 1e-4..2e-2 over 1000 steps, rescaled so that the last step is pure noise (Lin et al. 2024)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        rescale_betas_zero_snr=True,
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="linspace",
    )


def parameter_count(module: nn.Module) -> int:
    """How many numbers the module learns or could learn."""
    return sum(parameter.numel() for parameter in module.parameters())


def flops(module: nn.Module, *inputs: Any, input_gradient: bool = False) -> int:
    """Floating point operations of one call: 2 for each multiply-add of convolutions and matrix products.

    Args:
        module: the network; its parameters get no gradient while counting.
        inputs: what it is called with.
        input_gradient: count also the backward pass to the first input, as fidelity guidance needs it.
    """
    trained = [parameter.requires_grad for parameter in module.parameters()]
    module.requires_grad_(False)
    first = inputs[0].detach().clone().requires_grad_(input_gradient)
    try:
        with torch.set_grad_enabled(input_gradient), FlopCounterMode(display=False) as counter:
            output: Tensor = module(first, *inputs[1:])
            if input_gradient:
                output.sum().backward()
    finally:
        for parameter, was_trained in zip(module.parameters(), trained, strict=True):
            parameter.requires_grad_(was_trained)
    return counter.get_total_flops()
