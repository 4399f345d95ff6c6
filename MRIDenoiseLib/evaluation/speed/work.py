"""What a piece of work asks of the machine: its operations, and the bytes that they read and write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop, sdpa_flop

_FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    # torch's table has those of GPUs only.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda query, key, value, *_, out_val=None, **__: sdpa_flop(
        query.shape, key.shape, value.shape
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, query, key, value, *_, out_val=None, **__: sdpa_backward_flop(gradient.shape, query.shape, key.shape, value.shape)
    ),
}


@dataclass(frozen=True)
class Work:
    """Operations (2 for each multiply-add of convolutions and matrix products) and bytes."""

    operations: int
    traffic: int


class _Count(TorchDispatchMode):
    """Adds up what every operation computes, and the tensors that go in and come out unless it only looks at them anew.

    torch's own counter of operations (whose formulas these are) does not work where ``autograd.grad`` is called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.traffic = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        answer = func(*args, **named)
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, named, answer)) if isinstance(leaf, Tensor)]
            self.traffic += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        formula = _FORMULAS.get(func.overloadpacket)
        if formula is not None:
            self.operations += int(formula(*args, **named, out_val=answer))
        return answer


def work_of(run: Callable[[], Any]) -> Work:
    """Do it once and count; not in inference mode, where some operations pass by in one piece with those they are made of.

    Bytes are counted operation by operation. A compiled network that does several at once moves fewer, and values that stay in a
    cache cost less than the count says.
    """
    with _Count() as count:
        run()
    return Work(count.operations, count.traffic)


def clear_of(device: torch.device) -> None:
    """Begin to count the device's memory anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def device_memory(device: torch.device) -> float:
    """The most that was needed on a GPU since, MiB; 0 elsewhere."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
