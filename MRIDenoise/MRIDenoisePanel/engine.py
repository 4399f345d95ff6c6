"""The worker as a window sees it: one job at a time, polled by a timer, answered by a call."""

from collections.abc import Callable

import qt

from MRIDenoiseLib.worker.client import Answer, State, WorkerClient
from MRIDenoiseLib.worker.protocol import Failed, Progress

MILLISECONDS_BETWEEN_POLLS = 40


class Engine:
    """Asks the worker and hands its answer to whoever asked.

    Args:
        makeClient: gives a client that calls what it is given with every answer.
        onChange: called when a job starts, moves on or ends.
    """

    def __init__(self, makeClient: Callable[[Callable[[Answer], None]], WorkerClient], onChange: Callable[[], None]) -> None:
        self.progress: Progress | None = None
        self._client = makeClient(self._answered)
        self._onChange = onChange
        self._done: Callable[[Answer], None] | None = None
        self._timer = qt.QTimer()
        self._timer.interval = MILLISECONDS_BETWEEN_POLLS
        self._timer.timeout.connect(self._client.poll)

    @property
    def busy(self) -> bool:
        """Whether a job is being done."""
        return self._done is not None

    @property
    def cancelling(self) -> bool:
        """Whether the job has been told to stop."""
        return self._client.state is State.CANCELLING

    @property
    def starting(self) -> bool:
        """Whether the worker itself is being started."""
        return self._client.state is State.STARTING

    def ask(self, job: Callable[[WorkerClient], int], done: Callable[[Answer], None]) -> None:
        """Start a job.

        Args:
            job: asks the client for it.
            done: gets the answer, which is ``Failed`` when there is no result.

        Raises:
            WorkerError: a job is being done, or the worker cannot be started.
        """
        job(self._client)
        self._done, self.progress = done, None
        self._timer.start()
        self._onChange()

    def cancel(self) -> None:
        """Tell the job to stop; its answer comes within a second."""
        self._client.cancel()
        self._onChange()

    def close(self) -> None:
        """End the worker; a job being done gets no answer."""
        self._timer.stop()
        self._done = None
        self._client.close()

    def _answered(self, answer: Answer) -> None:
        if isinstance(answer, Progress):
            self.progress = answer
            self._onChange()
        else:
            self._timer.stop()
            # Reading the answer has taken its time; what is done with it gets a turn of its own, so that the window moves between.
            qt.QTimer.singleShot(0, lambda: self._deliver(answer))

    def _deliver(self, answer: Answer) -> None:
        done, self._done, self.progress = self._done, None, None
        if done is not None:
            done(answer)
            self._onChange()


def sentenceOf(failed: Failed) -> str:
    """What to tell the user."""
    return failed.sentence[:1].upper() + failed.sentence[1:].rstrip(".") + "."
