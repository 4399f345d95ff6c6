"""How much memory a large volume takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

import psutil
import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.speed.peak_memory import peak_memory
from MRIDenoiseLib.evaluation.speed.volumes import phantom
from MRIDenoiseLib.inference import Denoiser, Method, SliceBatch
from MRIDenoiseLib.models.bundle.bundle import Bundle

LARGE = (300, 512)
"""Slices, and rows and columns of each, of the largest volume that users are promised."""


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


def streamed_memory(slices: int = LARGE[0], size: int = LARGE[1]) -> Streamed:
    """Memory for denoising a float32 volume with the bundled model, but for its networks' own: a 3 x 3 mean stands in for them.

    Args:
        slices: of the volume.
        size: rows and columns of a slice.

    Raises:
        CalledProcessError: the measuring process failed.
    """
    code = f"from MRIDenoiseLib.evaluation.speed import memory; memory.tell_streamed({slices}, {size})"
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
