"""The panel's side of the worker: starts it, asks it, polls for its answers, and ends it. Plain Python, without Qt or threads.

Nothing here waits: :meth:`WorkerClient.poll` reads what has come, and a window's timer calls it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MRIDenoiseLib.card import ROOT
from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker.exchange import make_exchange, remove_exchange, share_volume, take_array, take_volume
from MRIDenoiseLib.worker.process_tree import end_trees, is_running, process_of
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

if TYPE_CHECKING:
    import psutil

PATIENCE = 0.7
"""Seconds a cancelled job gets to stop by itself; then the worker is ended, and the next job starts another."""
START_PATIENCE = 120.0
"""Seconds a worker gets to say that it is there."""
GOODBYE = 0.5
"""Seconds an idle worker gets to leave by itself."""
STDERR = "stderr.txt"


class State(Enum):
    """What the worker is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    CANCELLING = "cancelling"


class WorkerError(MRIDenoiseError):
    """The worker cannot be started, or is asked for two things at once."""


@dataclass(frozen=True)
class DenoisedVolume:
    """What denoising gave; see :class:`MRIDenoiseLib.inference.Result`."""

    job: int
    volume: Volume
    residual: Volume
    noise_level: float
    report: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Tissues:
    """The segmentation of one image: its name, uint8 labels (z, y, x), classes, and Dice with the reference (None: no such)."""

    name: str
    labels: np.ndarray
    classes: list[SharedClass]
    dice: list[float | None]


@dataclass(frozen=True)
class SegmentedImages:
    """The tissues of all images asked for; ``anatomical`` tells whether the classes are tissues, ``mask`` in what."""

    job: int
    images: list[Tissues]
    anatomical: bool
    mask: str


Answer = Progress | Loaded | DenoisedVolume | SegmentedImages | Saved | Failed


class WorkerClient:
    """Owns one worker process, which is started when it is first needed and stays warm.

    Args:
        command: what runs Python: ``[PythonSlicer]`` in Slicer, ``[sys.executable]`` elsewhere.
        on_answer: called from :meth:`poll` with everything the worker says about a job.
        environment: variables for the process; this process's own when not given.
    """

    def __init__(self, command: Sequence[str], on_answer: Callable[[Answer], None], environment: Mapping[str, str] | None = None) -> None:
        self.state = State.STOPPED
        self._command = list(command)
        self._on_answer = on_answer
        self._environment = dict(os.environ if environment is None else environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._processes: list[psutil.Process] = []
        self._left: list[Path] = []
        self._folder: Path | None = None
        self._unread = b""
        self._unsent = b""
        self._jobs = 0
        self._current: int | None = None
        self._deadline: float | None = None

    @property
    def pids(self) -> list[int]:
        """Numbers of the process that was started and, behind a launcher, of the worker itself."""
        return [process.pid for process in self._processes]

    def load(self, bundle: Path | None = None, device: str = "auto") -> int:
        """Ask for a model to be made ready; the number of the job.

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
        """Ask for a volume to be denoised; the number of the job.

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
        return self._ask(
            lambda job, folder: Denoise(job, _text(bundle), device, share_volume(volume, folder, f"{job}-noisy"), options, box)
        )

    def segment(self, images: Sequence[tuple[str, Volume]], *, reference: int | None = None, classes: int = 3) -> int:
        """Ask for the tissues of images on one grid; the number of the job.

        Args:
            images: name and volume of each.
            reference: which of them the others are held against; its mask counts for all, else the first's.
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
        """Ask for a result to be written; the number of the job.

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
        """Stop the job that is being done: the worker is asked, and ended if it does not stop soon. Its answer is ``Failed``."""
        if self._current is not None and self.state is not State.CANCELLING:
            self.state = State.CANCELLING
            self._deadline = time.monotonic() + PATIENCE
            self._send(encode(Cancel(self._current)))

    def poll(self) -> None:
        """Read what the worker has said, call ``on_answer``, and notice when it is gone or deaf. Returns at once."""
        if self._process is None:
            return
        self._flush()
        ended = self._process.poll() is not None
        for line in self._lines():
            try:
                event = decode_event(line)
            except ProtocolError:
                self._stop("The worker said something that cannot be understood and was ended; try again.")
                return
            self._handle(event)
            if self._process is None:
                return
        if ended:
            self._stop(f"The worker ended unexpectedly{self._last_words()}; try again.")
        elif self._deadline is not None and time.monotonic() > self._deadline:
            cancelled = self.state is State.CANCELLING
            self._stop("Cancelled; nothing was written." if cancelled else "The worker did not start in time; try again.", cancelled)

    def close(self) -> None:
        """End the worker with all it has started and remove the arrays. The job being done, if any, gets no answer."""
        if self._process is not None and self.state is State.READY:
            self._send(encode(Shutdown()))
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GOODBYE)
        self._current = None
        self._stop("")

    def _ask(self, request: Callable[[int, Path], Request]) -> int:
        if self._current is not None:
            raise WorkerError("the worker is busy; wait for it or cancel")
        if self._process is not None and not is_running(self._process.pid):
            self._stop("")  # it died while it had nothing to do
        if self._process is None:
            self._start()
        assert self._folder is not None
        self._jobs += 1
        try:
            line = encode(request(self._jobs, self._folder))
        except OSError as error:
            raise WorkerError(f"there is no room for the voxels in the folder for temporary files ({error.strerror})") from error
        except ValueError as error:
            raise WorkerError("the volume's position, its report or a setting holds a value that is no number") from error
        self._current = self._jobs
        if self.state is State.READY:
            self.state = State.BUSY
        self._send(line)
        return self._jobs

    def _start(self) -> None:
        try:
            self._folder = make_exchange()
        except OSError as error:
            raise WorkerError(f"there is no room in the folder for temporary files ({error.strerror})") from error
        # Safe: what lies in the folder that Slicer was started in must not be imported.
        environment = self._environment | {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), self._environment.get("PYTHONPATH"))))
        try:
            with (self._folder / STDERR).open("wb") as complaints:
                self._process = subprocess.Popen(
                    [*self._command, "-m", "MRIDenoiseLib.worker", str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    bufsize=0,
                    env=environment,
                    cwd=self._folder,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            remove_exchange(self._folder)
            raise WorkerError(f"the worker cannot be started: {error.strerror or error}") from error
        for pipe in (self._process.stdin, self._process.stdout):
            os.set_blocking(_given(pipe).fileno(), False)
        self._processes = [process for process in (process_of(self._process.pid),) if process is not None]
        self._unread = self._unsent = b""
        self.state, self._deadline = State.STARTING, time.monotonic() + START_PATIENCE

    def _send(self, line: bytes) -> None:
        self._unsent += line
        self._flush()

    def _flush(self) -> None:
        """Write what the pipe takes; the rest goes at the next poll."""
        pipe = _given(_given(self._process).stdin)
        while self._unsent:
            try:
                written = pipe.write(self._unsent)
            except OSError:
                return  # its reader has gone: poll says so
            if not written:
                return
            self._unsent = self._unsent[written:]

    def _lines(self) -> list[bytes]:
        pipe = _given(_given(self._process).stdout)
        while piece := pipe.read(1 << 16):
            self._unread += piece
        *lines, self._unread = self._unread.split(b"\n")
        return lines

    def _handle(self, event: Event) -> None:
        if isinstance(event, Hello):
            if event.protocol != VERSION:
                self._stop("The worker is of another version than the panel; install the extension again.")
                return
            # Behind a launcher it is another process than the one that was started.
            worker = process_of(event.pid)
            if worker is not None and worker not in self._processes:
                self._processes.append(worker)
            if self.state is State.STARTING:
                self.state, self._deadline = (State.READY if self._current is None else State.BUSY), None
            return
        if event.job != self._current and event.job is not None:
            return  # of a job that was given up
        assert self._folder is not None
        if isinstance(event, Progress):
            self._on_answer(event)
            return
        answer: Answer
        try:
            answer = _arrived(event, self._folder)
        except ProtocolError as error:
            answer = Failed(event.job, str(error), fault=True)
        self._current, self._deadline, self.state = None, None, State.READY
        self._on_answer(answer)

    def _stop(self, sentence: str, cancelled: bool = False) -> None:
        """End the process and forget it; tell about the job that was being done."""
        process, folder, job = self._process, self._folder, self._current
        self._process = self._folder = self._current = self._deadline = None
        self.state = State.STOPPED
        if process is not None:
            end_trees(self._processes)
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    _given(pipe).close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GOODBYE)
        # What the system does not let go yet goes with the next.
        self._left = [place for place in (*self._left, folder) if place is not None and _is_there_after_removal(place)]
        if job is not None:
            self._on_answer(Failed(job, sentence, cancelled=cancelled, fault=not cancelled))

    def _last_words(self) -> str:
        """The last line the worker complained with, in brackets; nothing where it said none."""
        assert self._folder is not None
        try:
            lines = (self._folder / STDERR).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({last.rstrip('.')})" if last else ""


def _arrived(event: Loaded | Denoised | Segmented | Saved | Failed, folder: Path) -> Answer:
    """An answer with its voxels read."""
    if isinstance(event, Denoised):
        volume, residual = take_volume(event.volume, folder), take_volume(event.residual, folder)
        return DenoisedVolume(event.job, volume, residual, event.noise_level, event.report)
    if isinstance(event, Segmented):
        images = [Tissues(one.name, take_array(folder, one.labels, np.uint8), one.classes, one.dice) for one in event.tissues]
        return SegmentedImages(event.job, images, event.anatomical, event.mask)
    return event


def _is_there_after_removal(folder: Path) -> bool:
    remove_exchange(folder)
    return folder.exists()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _given(thing: Any) -> Any:
    assert thing is not None
    return thing
