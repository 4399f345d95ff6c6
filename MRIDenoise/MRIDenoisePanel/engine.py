"""What does the jobs of Slicer's logic, and the worker as such an engine: polled by a timer, answered by a call."""

import time
from collections.abc import Callable
from typing import Protocol

import qt

from MRIDenoiseLib.worker.client import BUSY, Answer, State, WorkerClient, WorkerError
from MRIDenoiseLib.worker.protocol import Progress

MILLISECONDS_BETWEEN_POLLS = 40


class Engine(Protocol):
    """Does the logic's jobs, one at a time, while the user interface stays responsive.

    Attributes:
        progress: of the current job, as far as it has reported any.
        onChange: called when a job starts, moves on or ends.
    """

    progress: Progress | None
    onChange: Callable[[], None]

    @property
    def busy(self) -> bool:
        """Whether a job is being done."""

    @property
    def cancelling(self) -> bool:
        """Whether the job has been requested to stop."""

    @property
    def lasting(self) -> bool:
        """Whether the job is one that is to end by itself."""

    def ask(self, job: Callable[[WorkerClient], int], done: Callable[[Answer], None], *, lasting: bool = False) -> None:
        """Start a job.

        Args:
            job: requests it from the client.
            done: gets the answer, which is ``Failed`` when there is no result.
            lasting: the job must run to its end: it needs nothing from the scene, and half of it is of no use.

        Raises:
            WorkerError: a job is being done, or the worker cannot be started.
        """

    def cancel(self) -> None:
        """Request the job to stop; its answer comes within a second. A job that must run to its end continues."""

    def finish(self, seconds: float) -> None:
        """Wait for a job that is to end by itself, before everything goes."""

    def close(self) -> None:
        """End everything; a job being done gets no answer."""


class WorkerEngine:
    """An :class:`Engine` that sends jobs to the worker and passes each answer to the caller.

    Args:
        makeClient: gives a client that calls what it is given with every answer.
    """

    def __init__(self, makeClient: Callable[[Callable[[Answer], None]], WorkerClient]) -> None:
        self.progress: Progress | None = None
        self.onChange: Callable[[], None] = _nobody
        self._client = makeClient(self._answered)
        self._done: Callable[[Answer], None] | None = None
        self._answer: Answer | None = None
        self._lasting = False
        # Reading an answer takes time; it is handled in a separate event, so that the user interface responds in between.
        self._delivery = qt.QTimer()
        self._delivery.setSingleShot(True)
        self._delivery.timeout.connect(self._deliver)
        self._timer = qt.QTimer()
        self._timer.interval = MILLISECONDS_BETWEEN_POLLS
        self._timer.timeout.connect(self._client.poll)

    @property
    def busy(self) -> bool:
        """Whether a job is being done."""
        return self._done is not None

    @property
    def cancelling(self) -> bool:
        """Whether the job has been requested to stop."""
        return self._client.state is State.CANCELLING

    @property
    def lasting(self) -> bool:
        """Whether the job is one that is to end by itself."""
        return self.busy and self._lasting

    def ask(self, job: Callable[[WorkerClient], int], done: Callable[[Answer], None], *, lasting: bool = False) -> None:
        """Start a job, see :meth:`Engine.ask`."""
        if self.busy:
            # Its answer may be here and not yet handed over, when the client would take another job.
            raise WorkerError(BUSY)
        job(self._client)
        self._done, self.progress, self._lasting = done, None, lasting
        self._timer.start()
        self.onChange()

    def cancel(self) -> None:
        """Request the job to stop; its answer comes within a second. A job that must run to its end continues."""
        if not self._lasting:
            self._client.cancel()
        self.onChange()

    def finish(self, seconds: float) -> None:
        """Wait for a job that is to end by itself, before everything goes."""
        end = time.monotonic() + seconds
        while self.lasting and self._answer is None and time.monotonic() < end:
            self._client.poll()
            time.sleep(MILLISECONDS_BETWEEN_POLLS / 1000)

    def close(self) -> None:
        """End the worker; a job being done gets no answer."""
        self._timer.stop()
        self._delivery.stop()
        self._done = self._answer = self.progress = None
        self._client.close()

    def _answered(self, answer: Answer) -> None:
        if isinstance(answer, Progress):
            self.progress = answer
            self.onChange()
        else:
            self._timer.stop()
            self._answer = answer
            self._delivery.start(0)

    def _deliver(self) -> None:
        done, answer = self._done, self._answer
        self._done = self._answer = self.progress = None
        try:
            if done is not None and answer is not None:
                done(answer)
        finally:
            self.onChange()


def _nobody() -> None:
    """Do nothing: the default where nobody listens."""


def sentenceOf(text: str) -> str:
    """An error's words as a sentence."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
