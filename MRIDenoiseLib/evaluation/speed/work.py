"""What a piece of work asks of the machine: its operations, and the bytes that they read and write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Work:
    """Operations (2 for each multiply-add of convolutions and matrix products) and bytes."""

    operations: int
    traffic: int


class _Traffic(TorchDispatchMode):
    """Adds up the tensors that go into and come out of every operation, but for those that only look at a tensor anew."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, answer)) if isinstance(leaf, Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return answer


def work_of(run: Callable[[], Any]) -> Work:
    """Do it once and count.

    Bytes are counted operation by operation. A compiled network that does several at once moves fewer, and values that stay in a
    cache cost less than the count says.
    """
    # Outside of inference mode: there, operations do not pass where they are counted.
    with FlopCounterMode(display=False) as counter, _Traffic() as traffic:
        run()
    return Work(counter.get_total_flops(), traffic.bytes)


def clear_of(device: torch.device) -> None:
    """Begin to count the device's memory anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def device_memory(device: torch.device) -> float:
    """The most that was needed on a GPU since, MiB; 0 elsewhere."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
