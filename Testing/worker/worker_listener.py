"""A client of a real worker process, and small volumes to send it."""

import sys
import time
from collections.abc import Callable

import numpy as np

from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume
from MRIDenoiseLib.worker.client import Answer, WorkerClient
from MRIDenoiseLib.worker.protocol import Progress

PATIENCE = 90.0


class Listener:
    """A worker's client with everything it was told; ``Listener.answer()`` polls as a window's timer does."""

    def __init__(self, command: list[str] | None = None) -> None:
        self.told: list[Answer] = []
        self.longest_poll = 0.0
        self.client = WorkerClient(command or [sys.executable], self.told.append)

    def until(self, happened: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not happened():
            assert time.monotonic() - began < PATIENCE, "the worker did not answer"
            # The processor's time: other programs on this machine are no fault of the client's.
            before = time.process_time()
            self.client.poll()
            self.longest_poll = max(self.longest_poll, time.process_time() - before)
            time.sleep(0.01)

    def answer(self) -> Answer:
        """The next answer that ends a job."""
        before = len(self.ends)
        self.until(lambda: len(self.ends) > before)
        return self.ends[-1]

    @property
    def ends(self) -> list[Answer]:
        return [answer for answer in self.told if not isinstance(answer, Progress)]

    @property
    def pid(self) -> int:
        """Of the worker itself."""
        self.until(lambda: self.client.state.value not in ("starting", "stopped"))
        return self.client.process.pids[-1]


def head(shape: tuple[int, int, int] = (6, 40, 36), seed: int = 0) -> Volume:
    """A bright box of three levels in noise, thick axial slices, oblique."""
    rng = np.random.default_rng(seed)
    voxels = np.zeros(shape, np.float32)
    voxels[:, 6:-6, 6:-6] = 300
    voxels[:, 10:20, 10:20] = 600
    voxels[:, 22:30, 12:24] = 900
    voxels = np.hypot(voxels + rng.normal(0, 30, shape), rng.normal(0, 30, shape)).astype(np.float32)
    turn = np.array([[0.98, -0.199, 0], [0.199, 0.98, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn / np.linalg.norm(turn, axis=0) * [1, 1, 4]
    matrix[:3, 3] = [-20, 10, 5]
    facts = Acquisition(organ=AcquisitionField("head", "user", "high"), contrast=AcquisitionField("T1w", "user", "high"))
    return Volume(voxels, matrix, "int16", facts)
