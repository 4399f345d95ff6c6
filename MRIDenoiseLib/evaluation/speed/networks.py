"""Parameters and operations of every network of a named size, by counting: nothing is computed and no weight is stored."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from transformers import CLIPTextModel

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import CONFIGS, flops, parameter_count
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.models.text_encoder import add_lora, build_compact_text_encoder, build_tokenizer, stable_diffusion_text_config


@dataclass(frozen=True)
class Cost:
    """Of one network.

    Args:
        part: its name.
        parameters: how many.
        operations: of a call for one slice, 2 per multiply-add; None where it is not called for slices.
        with_gradient: the same with the backward pass to the image, where a method needs it.
    """

    part: str
    parameters: int
    operations: int | None = None
    with_gradient: int | None = None


def network_costs(config: str, size: int) -> list[Cost]:
    """The networks of a named size, for a slice of ``size`` x ``size``."""
    # A warning of transformers about an attribute that peft reads.
    warnings.simplefilter("ignore", FutureWarning)
    sizes = CONFIGS[config]()
    # Shapes only, so that the paper's networks do not need gigabytes and minutes.
    with torch.device("meta"):
        conditioning = Conditioning(
            text=torch.zeros(1, 16, sizes.text_width),
            text_mask=torch.ones(1, 16, dtype=torch.bool),
            acceleration=torch.ones(1),
            noise_level=torch.ones(1),
            slice_spacing=torch.ones(1),
        )
        image = torch.zeros(1, 1, size, size)

        def cost(name: str) -> Cost:
            network: Any = sizes.build(name)
            inputs = network.example_inputs(image, conditioning)
            # Methods need gradients through the degradation network; the other networks are only called.
            both = flops(network, *inputs, input_gradient=True) if name == "degradation" else None
            return Cost(name.replace("_", " "), parameter_count(network), flops(network, *inputs), both)

        found = [cost(name) for name in NETWORKS]
        if config != "paper":
            encoder = build_compact_text_encoder(build_tokenizer(), sizes.text_width, sizes.text_layers)
            return [*found, Cost("text encoder", parameter_count(encoder))]
        tower = CLIPTextModel(stable_diffusion_text_config())
        frozen = parameter_count(tower)
        adapters = parameter_count(add_lora(tower)) - frozen
        return [*found, Cost("LoRA adapters", adapters), Cost("Stable Diffusion 2.1 text tower (frozen, its output kept)", frozen)]
