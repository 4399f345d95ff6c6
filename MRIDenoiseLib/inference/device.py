"""Which device computes, how many slices it takes at once, and what its running out of memory looks like."""

from __future__ import annotations

import torch

from MRIDenoiseLib.errors import SettingsError

WORKING_MEMORY = 2 * 2**30
"""Bytes of GPU memory for the intermediate results of a call; with the weights of networks of the paper's size, below 3 GB in all."""
LARGEST_BATCH = 32
"""Slices; a larger number is not faster."""
COMPILED_BATCH = 8
"""Slices in every call of compiled networks on a GPU."""


def choose_device(wanted: str = "auto") -> torch.device:
    """The device to compute on; ``auto`` takes cuda, then mps, then cpu.

    Raises:
        SettingsError: the device named is unknown or not on this computer.
    """
    has_mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    kind, _, index = wanted.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(has_mps)}.get(kind)
    if count is None or (index and not index.isdecimal()):
        raise SettingsError(f"unknown device {wanted!r}: choose auto, cpu, cuda or mps")
    if int(index or 0) >= count:
        raise SettingsError(f"this computer has no {wanted} device: choose auto or cpu")
    return torch.device(wanted)


def default_batch(device: torch.device, pixels: int, *, compiled: bool = False) -> int:
    """Slices in the first network call: few on a CPU, so that a cancel takes effect soon; one on a GPU, to measure its memory.

    Args:
        device: where the networks run.
        pixels: of one slice after cropping.
        compiled: whether the networks are compiled; another number of slices later would compile them again.
    """
    if device.type == "cuda":
        return COMPILED_BATCH if compiled else 1
    limit, largest = (4, 192**2) if device.type == "cpu" else (16, 16 * 320**2)
    return max(1, min(limit, largest // pixels))


def next_batch(device: torch.device, batch: int, *, compiled: bool = False) -> int:
    """Slices in later calls: on a GPU as many as fit, from the memory that one slice has needed since :func:`forget_peak`."""
    if device.type != "cuda" or compiled:
        return batch
    synchronise(device)
    held = torch.cuda.memory_allocated(device)
    free, _ = torch.cuda.mem_get_info(device)
    return slices_that_fit(torch.cuda.max_memory_allocated(device) - held, free)


def forget_peak(device: torch.device) -> None:
    """Start again to record the most memory that is used on the device."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def slices_that_fit(a_slice: int, free: int) -> int:
    """How many slices a call may have: one slice needs ``a_slice`` bytes, and ``free`` bytes are free."""
    return max(1, min(LARGEST_BATCH, min(WORKING_MEMORY, free // 2) // max(1, a_slice)))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch reports that the device's memory is full (each backend has its own words for it)."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def release_memory(device: torch.device) -> None:
    """Free the memory that torch keeps in reserve on the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


class KeepUp:
    """Called after every network call, lets the processor run one call ahead of a GPU and no further.

    The GPU then always has work, and a cancel takes effect after two calls at most.

    Args:
        device: the one that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last: torch.cuda.Event | None = None

    def __call__(self) -> None:
        """Wait for the call before the last."""
        if self._device.type != "cuda":
            synchronise(self._device)
            return
        before, self._last = self._last, torch.cuda.Event()
        self._last.record(torch.cuda.current_stream(self._device))
        if before is not None:
            before.synchronize()


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work, so that a clock read now is meaningful."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
