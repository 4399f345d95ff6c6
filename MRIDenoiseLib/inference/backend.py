"""How networks are run on a device: memory layout, number format, and whether they are compiled. The image stays the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from MRIDenoiseLib.inference.device import is_out_of_memory
from MRIDenoiseLib.inference.settings import Precision
from MRIDenoiseLib.models.conditioning import Conditioning

BUCKET = 64
"""Rows and columns of compiled networks are multiples of this, so that few sizes are ever compiled."""

NOT_COMPILED = "The networks could not be compiled on this computer and ran as they are; the result is the same."


def choose_precision(wanted: Precision, device: torch.device) -> torch.dtype:
    """The number format for products and convolutions.

    ``auto`` takes bfloat16 on GPUs that compute with it, and float32 elsewhere: on processors the same volume then gives the same
    result on all of them. Either way float32 stays where digits matter: in the subspace projection, in the statistics of
    normalisations, in the last convolution of every network and in everything between network calls.
    """
    if wanted == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


@dataclass(frozen=True, eq=False)
class Backend:
    """Makes networks ready to be called; it is kept as long as the networks, because compiling takes long.

    Every switch exists to be measured against the others; the values below are the fastest ones that change nothing.

    Args:
        device: where the networks run.
        precision: ``torch.float32`` or ``torch.bfloat16``, see :func:`choose_precision`.
        channels_last: keep the channels of a pixel next to each other in memory, which is faster for convolutions on CPUs and GPUs.
        inference_mode: leave out what automatic differentiation needs, wherever no gradient is computed.
        compiled: let torch compile the networks. The first call of each size takes up to minutes; where compiling fails, they run
            as they are.
        notes: sentences for the user, added while the networks run.
    """

    device: torch.device
    precision: torch.dtype = torch.float32
    channels_last: bool = True
    inference_mode: bool = True
    compiled: bool = False
    notes: list[str] = field(default_factory=list)
    _compiled: dict[nn.Module, Callable[..., Tensor]] = field(default_factory=dict, repr=False)

    def ready(self, network: nn.Module) -> Callable[..., Any]:
        """A network, frozen, set to inference and brought to the device where it runs.

        The callable takes what the network takes and gives its float32 output; it is differentiable where gradients are enabled.
        """
        # Apple's backend has had wrong results with the other layout.
        layout = torch.channels_last if self.channels_last and self.device.type != "mps" else torch.contiguous_format
        network.eval().requires_grad_(False).to(self.device, memory_format=layout)  # type: ignore[call-overload]
        run = self._compile(network) if self.compiled else network

        def call(*arguments: Any) -> Any:
            half = self.precision != torch.float32
            with (
                torch.inference_mode(self.inference_mode and not torch.is_grad_enabled()),
                torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half),
                # Otherwise a GPU's float32 convolutions keep ten of their 23 binary digits.
                torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            ):
                answer = run(*arguments)
            return answer.float() if isinstance(answer, Tensor) else answer

        return call

    def _compile(self, network: nn.Module) -> Callable[..., Tensor]:
        if network not in self._compiled:
            # A GPU also records its launches (CUDA graphs), which otherwise cost more than the work of a small network.
            mode = "reduce-overhead" if self.device.type == "cuda" else "default"
            self._compiled[network] = _FullBatches(network, torch.compile(network, mode=mode, dynamic=False), self.notes)
        return self._compiled[network]


class _FullBatches:
    """A compiled network that sees as many slices of a size as at first: a smaller batch is filled up, so nothing is compiled again."""

    def __init__(self, network: nn.Module, compiled: Callable[..., Tensor], notes: list[str]) -> None:
        self._network = network
        self._compiled: Callable[..., Tensor] | None = compiled
        self._notes = notes
        self._rows: dict[torch.Size, int] = {}

    def __call__(self, *arguments: Any) -> Tensor:
        if self._compiled is not None:
            try:
                return self._full(self._compiled, arguments)
            except torch._dynamo.exc.TorchDynamoException:
                # Mostly because there is no C++ compiler; torch's own message fills pages.
                self._compiled = None
                if NOT_COMPILED not in self._notes:
                    self._notes.append(NOT_COMPILED)
        answer: Tensor = self._network(*arguments)
        return answer

    def _full(self, compiled: Callable[..., Tensor], arguments: tuple[Any, ...]) -> Tensor:
        rows, size = len(arguments[0]), arguments[0].shape[1:]
        full = max(self._rows.get(size, 0), rows)
        # The last slice again stands for those that are missing.
        places = torch.arange(full, device=arguments[0].device).clamp_max(rows - 1)
        try:
            answer = compiled(*(a[places] if isinstance(a, (Tensor, Conditioning)) else a for a in arguments))
        except RuntimeError as error:
            if is_out_of_memory(error):
                # Fewer slices are tried next; they must not be filled up to the number that did not fit.
                self._rows.pop(size, None)
            raise
        self._rows[size] = full
        # A copy: the next call of a recorded graph writes to the same place.
        return answer[:rows].clone()
