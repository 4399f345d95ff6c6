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
"""The shortest time for which each limit is measured."""
COPIED = 2**28
"""Bytes: more than any cache holds."""
SIDE = {"cpu": 2048, "mps": 4096, "cuda": 8192}
"""Of the square matrices."""
SMALL_SIDE = 512
"""Side of the matrices that show whether a number format is emulated, which may take a hundred times as long."""
WORTH = 1.25
"""Times as fast as float32 must another number format be to count as fast."""


@dataclass(frozen=True)
class Limits:
    """The limits of the machine.

    Args:
        operations: per second, of a large matrix product in the number format.
        traffic: bytes per second read and written by a large copy.
    """

    operations: float
    traffic: float

    def seconds(self, operations: float, traffic: float) -> float:
        """The roofline: the time of the work if only its operations or its bytes limit it (Williams et al. 2009)."""
        return max(operations / self.operations, traffic / self.traffic)

    def bound_by(self, operations: float, traffic: float) -> str:
        """Which of the two limits it: ``operations`` or ``memory``."""
        return "operations" if operations / self.operations >= traffic / self.traffic else "memory"


def limits_of(device: torch.device, precision: torch.dtype, threads: int) -> Limits:
    """Measured now on some threads of the processor, or on another device: the best of what :data:`SECONDS` of trying give."""
    use_threads(threads)
    side = SIDE[device.type]
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    copy = _fastest(lambda: target.copy_(source), device)
    return Limits(2 * side**3 / _product_seconds(device, precision, side), 2 * COPIED / copy)


def _product_seconds(device: torch.device, precision: torch.dtype, side: int) -> float:
    left, right = (torch.randn(side, side, device=device).to(precision) for _ in range(2))
    return _fastest(lambda: left @ right, device)


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
    """The facts about the machine without which a speed has no meaning."""
    described = {
        "processor": _processor(),
        "threads": f"{threads} of {os.cpu_count()}",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "diffusers": version("diffusers"),
        "MRI Denoise": __version__,
    }
    if device.type == "cuda":
        described |= {"GPU": torch.cuda.get_device_name(device), "CUDA": str(torch.version.cuda)}
    return described


def use_threads(threads: int) -> None:
    """Let torch compute with this number of threads from now on.

    Nothing is done where it does so already. Once torch is given a number, it lets the Intel MKL share even the smallest systems of
    equations among threads, which fails on AMD processors (seen with torch 2.13 and MKL 2024.2: ``linalg.solve`` of batches of
    small complex matrices fails with pivots below 1).
    """
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def fast_bfloat16(threads: int) -> bool:
    """Whether this processor has instructions for it, measured now: others emulate it, which is hardly faster than float32 or slower."""
    use_threads(threads)
    processor = torch.device("cpu")
    single, half = (_product_seconds(processor, precision, SMALL_SIDE) for precision in (torch.float32, torch.bfloat16))
    return half < single / WORTH


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
