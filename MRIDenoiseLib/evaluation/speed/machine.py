"""This machine and its limits: what it is, how fast it multiplies matrices and how fast it copies."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from MRIDenoiseLib import __version__
from MRIDenoiseLib.inference.device import synchronise

SECONDS = 0.5
"""How long each limit is tried at least."""
COPIED = 2**28
"""Bytes: more than any cache holds."""
SIDE = {"cpu": 2048, "mps": 4096, "cuda": 8192}
"""Of the square matrices."""


@dataclass(frozen=True)
class Limits:
    """What the machine can do at best.

    Args:
        operations: a second, of a large matrix product in the number format.
        traffic: bytes a second read and written by a large copy.
    """

    operations: float
    traffic: float

    def seconds(self, operations: float, traffic: float) -> float:
        """The roofline: what the work takes where nothing but its operations or its bytes holds it up (Williams et al. 2009)."""
        return max(operations / self.operations, traffic / self.traffic)

    def bound_by(self, operations: float, traffic: float) -> str:
        """Which of the two it is: ``operations`` or ``memory``."""
        return "operations" if operations / self.operations >= traffic / self.traffic else "memory"


def limits_of(device: torch.device, precision: torch.dtype, threads: int) -> Limits:
    """Measured now on some threads of the processor, or on another device: the best of what :data:`SECONDS` of trying give."""
    torch.set_num_threads(threads)
    side = SIDE[device.type]
    left, right = (torch.randn(side, side, device=device).to(precision) for _ in range(2))
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    product = _fastest(lambda: left @ right, device)
    copy = _fastest(lambda: target.copy_(source), device)
    return Limits(2 * side**3 / product, 2 * COPIED / copy)


def _fastest(run: Callable[[], object], device: torch.device) -> float:
    run()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        synchronise(device)
        before = time.perf_counter()
        run()
        synchronise(device)
        best = min(best, time.perf_counter() - before)
    return best


def facts(device: torch.device, threads: int) -> dict[str, str]:
    """What a figure of speed is worth nothing without."""
    told = {
        "processor": _processor(),
        "threads": f"{threads} of {os.cpu_count()}",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "diffusers": version("diffusers"),
        "MRI Denoise": __version__,
    }
    if device.type == "cuda":
        told |= {"GPU": torch.cuda.get_device_name(device), "CUDA": str(torch.version.cuda)}
    return told


def fast_bfloat16() -> bool:
    """Whether this processor has instructions for it; others only imitate it, which is slower than float32."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
