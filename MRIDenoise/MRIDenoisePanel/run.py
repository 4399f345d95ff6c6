"""A job that was started: how far it is, a way to stop it, and what it gave."""

import time
from collections.abc import Callable
from typing import Any

import slicer

from MRIDenoiseLib.errors import Cancelled
from MRIDenoisePanel.engine import Engine

SECONDS_BETWEEN_LOOKS = 0.005


class Run:
    """What the logic gives with ``wait=False``.

    Args:
        engine: does the job.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: list[Callable[[Run], None]] = []
        self._done = False
        self._result: Any = None
        self._error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self._done

    @property
    def progress(self) -> float:
        """How far it is, from 0 to 1."""
        if self._done:
            return 1.0
        progress = self._engine.progress
        return progress.fraction if progress is not None else 0.0

    @property
    def secondsLeft(self) -> float | None:
        """An estimate, or None where it is not known yet."""
        progress = None if self._done else self._engine.progress
        return progress.seconds_left if progress is not None else None

    def cancel(self) -> None:
        """Stop it: within a second it is done, and :meth:`wait` raises ``Cancelled``. An export is not stopped half-way."""
        if not self._done:
            self._engine.cancel()

    def wait(self) -> Any:
        """The result, once it is done; Slicer handles its events meanwhile.

        Raises:
            Cancelled: it was stopped.
            MRIDenoiseError: something is wrong; the message is one sentence.
        """
        while not self._done:
            slicer.app.processEvents()
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if self._error is not None:
            raise self._error
        return self._result

    def whenDone(self, listener: Callable[["Run"], None]) -> None:
        """Call this with the run when it has ended; at once where it has."""
        if self._done:
            listener(self)
        else:
            self._listeners.append(listener)

    def end(self, give: Callable[[], Any]) -> None:
        """For the logic: the job has ended, and this makes of its answer what it gave."""
        try:
            self._result = give()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self._error = error
        self._done = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(self)

    def giveUp(self) -> None:
        """For the logic: everything was closed, and there will be no answer. No listener is called any more."""
        self._listeners = []

        def cancelled() -> None:
            raise Cancelled("cancelled, because the scene or the module was closed")

        self.end(cancelled)
