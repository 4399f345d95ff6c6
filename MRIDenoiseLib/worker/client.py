"""The panel's side of the worker: starts it, sends requests, polls for its answers, and ends it. Plain Python, without Qt or threads.

Nothing here waits: :meth:`WorkerClient.poll` reads what has come, and a window's timer calls it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from MRIDenoiseLib.result import Result
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker.exchange import remove_exchange, share_volume, take_array
from MRIDenoiseLib.worker.process import WorkerError, WorkerProcess
from MRIDenoiseLib.worker.protocol import (
    VERSION,
    Cancel,
    Denoise,
    Denoised,
    Event,
    Failed,
    Hello,
    Load,
    Loaded,
    Progress,
    ProtocolError,
    Request,
    Save,
    Saved,
    Segment,
    Segmented,
    SharedClass,
    Shutdown,
    decode_event,
    encode,
)

PATIENCE = 0.7
"""Seconds a cancelled job gets to stop by itself; then the worker is ended, and the next job starts another."""
START_PATIENCE = 120.0
"""Seconds a worker has to report that it is ready."""
BUSY = "the worker is busy; wait for it or cancel"


class State(Enum):
    """What the worker is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    CANCELLING = "cancelling"


@dataclass(frozen=True, eq=False)
class Tissues:
    """The segmentation of one image: its name, uint8 labels (z, y, x), classes, and Dice with the reference (None: no such)."""

    name: str
    labels: np.ndarray
    classes: list[SharedClass]
    dice: list[float | None]


@dataclass(frozen=True)
class SegmentedImages:
    """The tissues of all requested images. ``anatomical``: whether the classes are tissues; ``mask``: the region they lie in."""

    job: int
    images: list[Tissues]
    anatomical: bool
    mask: str


Answer = Progress | Loaded | Result | SegmentedImages | Saved | Failed


class WorkerClient:
    """Owns one worker process, which is started when it is first needed and stays warm.

    Args:
        command: what runs Python: ``[PythonSlicer]`` in Slicer, ``[sys.executable]`` elsewhere.
        on_answer: called from :meth:`poll` with everything the worker reports about a job.
        environment: variables for the process; this process's own when not given.
    """

    def __init__(self, command: Sequence[str], on_answer: Callable[[Answer], None], environment: Mapping[str, str] | None = None) -> None:
        self.state = State.STOPPED
        self._command = list(command)
        self._on_answer = on_answer
        self._environment = dict(os.environ if environment is None else environment)
        self._process: WorkerProcess | None = None
        self._left: list[Path] = []
        self._jobs = 0
        self._current: int | None = None
        self._noisy: Volume | None = None
        self._deadline: float | None = None

    @property
    def process(self) -> WorkerProcess | None:
        """The worker, while there is one."""
        return self._process

    def load(self, bundle: Path | None = None, device: str = "auto") -> int:
        """Request that a model be loaded; returns the number of the job.

        Raises:
            WorkerError: a job is being done, or the process cannot be started.
        """
        return self._ask(lambda job, folder: Load(job, _text(bundle), device))

    def denoise(
        self,
        volume: Volume,
        settings: Mapping[str, Any] | None = None,
        *,
        bundle: Path | None = None,
        device: str = "auto",
        region: Sequence[tuple[int, int]] | None = None,
    ) -> int:
        """Request that a volume be denoised; returns the number of the job.

        Args:
            volume: the noisy volume.
            settings: arguments of :class:`MRIDenoiseLib.inference.Settings`; one slice only with ``slices=(k, k + 1)``.
            bundle: folder of the model; None is the bundled one.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            region: [first, last) along each axis of the voxels; outside it the image stays as it is.

        Raises:
            WorkerError: a job is being done, or the process cannot be started.
        """
        box = None if region is None else [list(side) for side in region]
        options = {name: value for name, value in (settings or {}).items() if value is not None}
        number = self._ask(
            lambda job, folder: Denoise(job, _text(bundle), device, share_volume(volume, folder, f"{job}-noisy"), options, box)
        )
        self._noisy = volume
        return number

    def segment(self, images: Sequence[tuple[str, Volume]], *, reference: int | None = None, classes: int = 3) -> int:
        """Request the tissues of images on one grid; returns the number of the job.

        Args:
            images: name and volume of each.
            reference: which of them the others are compared with; its mask counts for all, else the first's.
            classes: 2 to 6.

        Raises:
            WorkerError: a job is being done, or the process cannot be started.
        """

        def request(job: int, folder: Path) -> Segment:
            shared = [share_volume(volume, folder, f"{job}-image-{number}") for number, (_, volume) in enumerate(images)]
            return Segment(job, [name for name, _ in images], shared, reference, classes)

        return self._ask(request)

    def save(
        self,
        volume: Volume,
        target: Path,
        report: Mapping[str, Any],
        *,
        sources: Sequence[Path] = (),
        suffix: str = "denoised",
        overwrite: bool = False,
    ) -> int:
        """Request that a result be written; returns the number of the job.

        Args:
            volume: a denoised volume or a residual.
            target: an image file, or a folder for a derived DICOM series.
            report: the account of the run that made it.
            sources: the DICOM files of the noisy slices, for a series.
            suffix: ``denoised`` or ``residual``.
            overwrite: whether an earlier result there may be replaced.

        Raises:
            WorkerError: a job is being done, or the process cannot be started.
        """
        names = [str(path) for path in sources]
        return self._ask(
            lambda job, folder: Save(
                job, share_volume(volume, folder, f"{job}-result"), names, str(target), dict(report), suffix, overwrite
            )
        )

    def cancel(self) -> None:
        """Stop the current job: the worker is requested to stop, and ended if it does not do so soon. Its answer is ``Failed``."""
        if self._process is not None and self._current is not None and self.state is not State.CANCELLING:
            self.state = State.CANCELLING
            self._deadline = time.monotonic() + PATIENCE
            self._process.send(encode(Cancel(self._current)))

    def poll(self) -> None:
        """Read the worker's messages, call ``on_answer``, and notice when it has ended or hangs. Returns at once."""
        process = self._process
        if process is None:
            return
        ended = process.ended
        for line in process.receive():
            try:
                event = decode_event(line)
            except ProtocolError:
                self._stop("The worker sent something that cannot be understood and was ended; try again.")
                return
            self._handle(event, process)
            if self._process is not process:
                return
        if ended:
            last = process.last_words().rstrip(".")
            self._stop(f"The worker ended unexpectedly{f' ({last})' if last else ''}; try again.")
        elif self._deadline is not None and time.monotonic() > self._deadline:
            cancelled = self.state is State.CANCELLING
            self._stop("Cancelled; nothing was written." if cancelled else "The worker did not start in time; try again.", cancelled)

    def close(self) -> None:
        """End the worker with all it has started and remove the arrays. The job being done, if any, gets no answer."""
        if self._process is not None and self.state is State.READY:
            self._process.send(encode(Shutdown()))
            self._process.wait_a_little()
        self._current = None
        self._stop("")

    def _ask(self, request: Callable[[int, Path], Request]) -> int:
        if self._current is not None:
            raise WorkerError(BUSY)
        if self._process is not None and not self._process.running:
            self._stop("")  # it died while it had nothing to do
        if self._process is None:
            self._process = WorkerProcess(self._command, self._environment)
            self.state, self._deadline = State.STARTING, time.monotonic() + START_PATIENCE
        self._jobs += 1
        try:
            line = encode(request(self._jobs, self._process.folder))
        except OSError as error:
            raise WorkerError(f"there is no room for the voxels in the folder for temporary files ({error.strerror})") from error
        except (TypeError, ValueError) as error:
            raise WorkerError("the volume's position, its report or a setting holds a value that is not a number") from error
        self._current = self._jobs
        if self.state is State.READY:
            self.state = State.BUSY
        self._process.send(line)
        return self._jobs

    def _handle(self, event: Event, process: WorkerProcess) -> None:
        if isinstance(event, Hello):
            if event.protocol != VERSION:
                self._stop("The worker and the panel have different versions; install the extension again.")
                return
            process.add_member(event.pid)
            if self.state is State.STARTING:
                self.state, self._deadline = (State.READY if self._current is None else State.BUSY), None
            return
        if event.job != self._current and event.job is not None:
            return  # of a job that was given up
        if isinstance(event, Progress):
            self._on_answer(event)
            return
        answer: Answer
        try:
            answer = _arrived(event, process.folder, self._noisy)
        except ProtocolError as error:
            answer = Failed(event.job, str(error), fault=True)
        self._current, self._deadline, self._noisy, self.state = None, None, None, State.READY
        self._on_answer(answer)

    def _stop(self, sentence: str, cancelled: bool = False) -> None:
        """End the process and forget it; report the job that was being done as failed."""
        process, job = self._process, self._current
        self._process = self._current = self._deadline = self._noisy = None
        self.state = State.STOPPED
        if process is not None:
            process.end()
            self._left.append(process.folder)
        # What the system did not let go at once goes with the next.
        self._left = [folder for folder in self._left if _is_there_after_removal(folder)]
        if job is not None:
            self._on_answer(Failed(job, sentence, cancelled=cancelled, fault=not cancelled))


def _arrived(event: Loaded | Denoised | Segmented | Saved | Failed, folder: Path, noisy: Volume | None) -> Answer:
    """An answer with its voxels read; of a denoised volume those that were computed, put into a copy of the noisy one."""
    if isinstance(event, Denoised):
        box = tuple(slice(*side) for side in event.box)
        parts = {kind: take_array(folder, name) for kind, name in {"": event.array, **event.maps}.items()}
        if noisy is None or len(box) != 3 or any(noisy.voxels[box].shape != part.shape for part in parts.values()):
            raise ProtocolError("the worker's answer does not fit the volume that it was sent; start again")
        voxels = noisy.voxels.copy()
        voxels[box] = parts.pop("")
        maps = {kind.replace(" ", "_"): _map_of(noisy, box, part) for kind, part in parts.items()}
        return Result(noisy.with_voxels(voxels), noisy, event.noise_level, event.report, **maps)
    if isinstance(event, Segmented):
        images = [Tissues(one.name, take_array(folder, one.labels, np.uint8), one.classes, one.dice) for one in event.tissues]
        return SegmentedImages(event.job, images, event.anatomical, event.mask)
    return event


def _map_of(noisy: Volume, box: tuple[slice, ...], part: np.ndarray) -> Volume:
    """A map on the volume's grid, 0 where it was not computed."""
    voxels = np.zeros_like(noisy.voxels)
    voxels[box] = part
    return replace(noisy.with_voxels(voxels), pixel_type="float32", unmeasured=None)


def _is_there_after_removal(folder: Path) -> bool:
    remove_exchange(folder)
    return folder.exists()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
