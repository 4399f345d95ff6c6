"""How long a user waits before the first slice: for a program to start, for a worker to be ready, and for a preview once it is.

Also how much memory a large volume takes, measured in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError
from MRIDenoiseLib.evaluation.speed.rows import phantom
from MRIDenoiseLib.evaluation.speed.usage import peak_memory
from MRIDenoiseLib.inference import Denoiser, Method, SliceBatch
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress, ShouldStop
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker import protocol
from MRIDenoiseLib.worker.client import Answer, WorkerClient
from MRIDenoiseLib.worker.process_tree import process_of

POLL = 0.005
"""Seconds between two checks for messages of the worker."""
PREVIEWED = {"256 x 256, 48 slices": (256, 48), "512 x 512, 100 slices": (512, 100)}
"""Name of a volume -> rows and columns of a slice, and slices."""


@dataclass(frozen=True)
class Spent:
    """Seconds that something took.

    Args:
        wall: wall-clock time, until the end.
        processor: processor time; on a machine that is also busy with other work, only this is meaningful.
    """

    wall: float
    processor: float


@dataclass(frozen=True)
class Wait:
    """One waiting time, or an amount of memory.

    Args:
        what: what was measured, in words.
        value: how much.
        unit: of the value.
    """

    what: str
    value: float
    unit: str


def waiting_times(progress: Progress, should_stop: ShouldStop) -> Iterator[Wait]:
    """Measure all waits with the bundled model on the processor. Nothing else should run on the machine.

    Args:
        progress: called before each.
        should_stop: called before each; True cancels.

    Raises:
        Cancelled: when ``should_stop`` returned True.
        MRIDenoiseError, CalledProcessError: a program or the worker that was measured failed.
    """

    def say(part: float, what: str) -> None:
        if should_stop():
            raise Cancelled("stopped; nothing was written")
        progress(part, None, f"Timing {what}")

    say(0.0, "the start of programs")
    yield Wait("import torch", import_seconds("torch").wall, "s")
    yield Wait("mridenoise --help", command_seconds(["--help"]).wall, "s")
    yield Wait("mridenoise denoise --help", command_seconds(["denoise", "--help"]).wall, "s")
    say(0.3, "the worker")
    yield Wait("worker started until the model is ready", ready_seconds().wall, "s")
    for part, (name, (size, slices)) in zip((0.4, 0.5), PREVIEWED.items(), strict=True):
        say(part, f"a preview of {name}")
        first, *later = preview_seconds(phantom(size, slices, seed=0))
        yield Wait(f"first preview of a slice of {name}", first.wall, "s")
        yield Wait(f"next preview of a slice of {name}", min(one.wall for one in later), "s")
    say(0.8, "a large volume")
    slices, size = LARGE
    name = f"{size} x {size} x {slices}"
    yield Wait(f"memory for {name} beyond the loaded volume and the networks'", streamed_memory().copies, "volumes")


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
    """How long Python takes to start and import a module: the least that every program that uses it needs."""
    return program_seconds(f"import {module}", repeats)


def _processor_of_children() -> float:
    times = psutil.Process().cpu_times()
    if not hasattr(times, "children_user"):
        return 0.0
    return float(times.children_user + times.children_system)


def ready_seconds(device: str = "cpu") -> Spent:
    """From starting a worker until it has the bundled model ready; the processor's time is the worker's.

    Raises:
        MRIDenoiseError: it cannot.
    """
    with _Conversation() as worker:
        return worker.seconds(lambda: worker.client.load(device=device))


def preview_seconds(volume: Volume, *, times: int = 3, device: str = "cpu", **settings: Any) -> list[Spent]:
    """How long previews of the middle slice take one after the other. The first one measures the volume; the others use its results.

    Args:
        volume: the noisy volume.
        times: how many previews.
        device: where to compute.
        settings: arguments of :class:`MRIDenoiseLib.inference.Settings`.

    Raises:
        MRIDenoiseError: the worker cannot do it.
    """
    middle = volume.voxels.shape[volume.slice_axis] // 2
    chosen = {**settings, "slices": (middle, middle + 1)}
    with _Conversation() as worker:
        worker.seconds(lambda: worker.client.load(device=device))
        return [worker.seconds(lambda: worker.client.denoise(volume, chosen, device=device)) for _ in range(times)]


@dataclass
class _Conversation:
    """A worker process that gets one request after the other."""

    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> _Conversation:
        self.client = WorkerClient([sys.executable], self.answers.append)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def seconds(self, ask: Callable[[], int]) -> Spent:
        """Seconds until the answer to a request arrives."""
        began, processor = time.perf_counter(), self._processor()
        ask()
        while not any(not isinstance(answer, protocol.Progress) for answer in self.answers):
            time.sleep(POLL)
            self.client.poll()
        spent = Spent(time.perf_counter() - began, self._processor() - processor)
        last = self.answers[-1]
        self.answers.clear()
        if isinstance(last, protocol.Failed):
            raise MRIDenoiseError(last.sentence)
        return spent

    def _processor(self) -> float:
        known = self.client.process and process_of(self.client.process.pids[-1])
        return sum(known.cpu_times()[:2]) if known else 0.0


LARGE = (300, 512)
"""Slices, and rows and columns of each, of the largest volume that the program promises to handle."""


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
        """The memory beyond the loaded volume, in volumes; the result itself is one."""
        return (self.peak - self.before) / self.volume


def streamed_memory(slices: int = LARGE[0], size: int = LARGE[1]) -> Streamed:
    """Memory for denoising a float32 volume with the bundled model, without that of its networks: a 3 x 3 mean replaces them.

    Args:
        slices: of the volume.
        size: rows and columns of a slice.

    Raises:
        CalledProcessError: the measuring process failed.
    """
    code = f"from MRIDenoiseLib.evaluation.speed.latency import print_streamed; print_streamed({slices}, {size})"
    answer = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Streamed(**json.loads(answer.splitlines()[-1]))


def print_streamed(slices: int, size: int) -> None:
    """Print the numbers of :func:`streamed_memory` for this process."""
    denoiser, method = Denoiser(Bundle.load(bundled_model()), "cpu"), Method("mean", _mean)
    # Libraries load and reserve memory on first use; that counts for the program and not for the volume.
    denoiser(phantom(size, 4, seed=0), method=method)
    volume = phantom(size, slices, seed=1)
    before = psutil.Process().memory_info().rss / 2**20
    denoiser(volume, method=method)
    print(json.dumps(asdict(Streamed(volume.voxels.nbytes / 2**20, before, peak_memory()))))


def _mean(batch: SliceBatch) -> Tensor:
    with torch.inference_mode():
        return functional.avg_pool2d(batch.stacks(1), 3, stride=1, padding=1)
