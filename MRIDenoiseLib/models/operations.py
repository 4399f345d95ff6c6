"""How large a network is and how many operations a call costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


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
