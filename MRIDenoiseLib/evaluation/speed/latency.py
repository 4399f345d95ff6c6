"""How long a user waits before anything is computed, and how much memory a large volume takes: each in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psutil
import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.speed.machine import peak_memory
from MRIDenoiseLib.evaluation.speed.volumes import phantom
from MRIDenoiseLib.inference import Denoiser, Method, SliceBatch
from MRIDenoiseLib.models.bundle.bundle import Bundle

LARGE = (300, 512)
"""Slices, and rows and columns of each, of the largest volume that users are promised."""


@dataclass(frozen=True)
class Spent:
    """Seconds that a program took.

    Args:
        wall: until it had ended.
        processor: of the processor's time; on a machine that does other things as well, this is what says something.
    """

    wall: float
    processor: float


@dataclass(frozen=True)
class Streamed:
    """Memory that denoising a volume took, MiB.

    Args:
        volume: one copy of the volume, float32.
        before: the process with libraries, networks and the volume loaded.
        peak: the most it needed at any time.
    """

    volume: float
    before: float
    peak: float

    @property
    def copies(self) -> float:
        """What was needed beyond the loaded volume, in volumes; the result itself is one."""
        return (self.peak - self.before) / self.volume


def program_seconds(code: str, repeats: int = 3) -> Spent:
    """The medians over some runs of a Python program, from starting the interpreter to its end.

    Raises:
        CalledProcessError: it failed.
    """
    runs = []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), _processor_of_children()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        runs.append((time.perf_counter() - wall, _processor_of_children() - processor))
    return Spent(*(statistics.median(values) for values in zip(*runs, strict=True)))


def command_seconds(arguments: Sequence[str] = ("--help",), repeats: int = 3) -> Spent:
    """How long ``mridenoise`` takes with some arguments; by default, to show its help."""
    return program_seconds(f"import sys; from MRIDenoiseLib.cli import main; sys.exit(main({list(arguments)!r}))", repeats)


def import_seconds(module: str = "torch", repeats: int = 3) -> Spent:
    """How long Python takes to start and import a module: what no program that uses it can do without."""
    return program_seconds(f"import {module}", repeats)


def streamed_memory(slices: int = LARGE[0], size: int = LARGE[1]) -> Streamed:
    """Memory for denoising a float32 volume with the bundled model, but for its networks' own: a 3 x 3 mean stands in for them.

    Args:
        slices: of the volume.
        size: rows and columns of a slice.
    """
    code = f"from MRIDenoiseLib.evaluation.speed import latency; latency.tell_streamed({slices}, {size})"
    answer = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Streamed(**json.loads(answer.splitlines()[-1]))


def tell_streamed(slices: int, size: int) -> None:
    """Print what :func:`streamed_memory` gives, of this process."""
    denoiser, method = Denoiser(Bundle.load(bundled_model()), "cpu"), Method("mean", _mean)
    # Libraries load and reserve on first use; that belongs to the program and not to the volume.
    denoiser(phantom(size, 4, seed=0), method=method)
    volume = phantom(size, slices, seed=1)
    before = psutil.Process().memory_info().rss / 2**20
    denoiser(volume, method=method)
    print(json.dumps(asdict(Streamed(volume.voxels.nbytes / 2**20, before, peak_memory()))))


def _mean(batch: SliceBatch) -> Tensor:
    with torch.inference_mode():
        return functional.avg_pool2d(batch.stacks(1), 3, stride=1, padding=1)


def _processor_of_children() -> float:
    times = psutil.Process().cpu_times()
    if not hasattr(times, "children_user"):
        return 0.0
    return float(times.children_user + times.children_system)
