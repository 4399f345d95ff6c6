"""How long a user in front of the window waits: for a worker to be ready, and for a preview once it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker.client import Answer, WorkerClient
from MRIDenoiseLib.worker.process_tree import process_of
from MRIDenoiseLib.worker.protocol import Failed, Progress

POLL = 0.005
"""Seconds between two looks at what the worker has said."""


@dataclass(frozen=True)
class Waited:
    """Seconds until an answer.

    Args:
        wall: by the clock.
        processor: of the worker's processor time; on a machine that does other things as well, this is what says something.
    """

    wall: float
    processor: float


def ready_seconds(device: str = "cpu") -> Waited:
    """From starting a worker until it has the bundled model ready.

    Raises:
        MRIDenoiseError: it cannot.
    """
    with _Conversation() as worker:
        return worker.seconds(lambda: worker.client.load(device=device))


def preview_seconds(volume: Volume, *, times: int = 3, device: str = "cpu", **settings: Any) -> list[Waited]:
    """How long previews of the middle slice take one after the other: the first measures the volume, the others find it measured.

    Args:
        volume: the noisy volume.
        times: how many previews.
        device: where to compute.
        settings: arguments of :class:`MRIDenoiseLib.inference.Settings`.

    Raises:
        MRIDenoiseError: the worker cannot do it.
    """
    middle = volume.voxels.shape[volume.slice_axis] // 2
    asked = {**settings, "slices": (middle, middle + 1)}
    with _Conversation() as worker:
        worker.seconds(lambda: worker.client.load(device=device))
        return [worker.seconds(lambda: worker.client.denoise(volume, asked, device=device)) for _ in range(times)]


@dataclass
class _Conversation:
    """A worker of our own, asked one thing after the other."""

    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> _Conversation:
        self.client = WorkerClient([sys.executable], self.answers.append)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def seconds(self, ask: Callable[[], int]) -> Waited:
        """Until the answer to a request is there."""
        began, processor = time.perf_counter(), self._processor()
        ask()
        while not any(not isinstance(answer, Progress) for answer in self.answers):
            time.sleep(POLL)
            self.client.poll()
        waited = Waited(time.perf_counter() - began, self._processor() - processor)
        last = self.answers[-1]
        self.answers.clear()
        if isinstance(last, Failed):
            raise MRIDenoiseError(last.sentence)
        return waited

    def _processor(self) -> float:
        known = self.client.process and process_of(self.client.process.pids[-1])
        return sum(known.cpu_times()[:2]) if known else 0.0
