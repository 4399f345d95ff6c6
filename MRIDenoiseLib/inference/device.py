"""Which device computes, how many slices it takes at once, and what its running out of memory looks like."""

from __future__ import annotations

import torch

from MRIDenoiseLib.errors import SettingsError


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


def default_batch(device: torch.device, pixels: int) -> int:
    """Slices a network call: few on a CPU, so that a call stays short and a cancel is heard; many elsewhere.

    Args:
        device: where the networks run.
        pixels: of one slice after cropping.
    """
    limit, largest = (4, 192**2) if device.type == "cpu" else (16, 16 * 320**2)
    return max(1, min(limit, largest // pixels))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says that the device's memory is full (each backend has its own words for it)."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def release_memory(device: torch.device) -> None:
    """Hand back what torch keeps in reserve on the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


class KeepUp:
    """Called after every network call, lets the processor run one call ahead of a GPU and no further.

    The GPU then always has work, and a cancel is heard after two calls at most.

    Args:
        device: that computes.
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
    """Wait until the device has done what it was given, so that a clock read now means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
