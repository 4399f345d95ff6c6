"""What the user sees while a command works, and how they stop it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from MRIDenoiseLib.progress import time_left

SECONDS_BETWEEN_LINES = 15.0
"""How often progress is printed where standard error is a file, which a bar would only fill."""


class ProgressDisplay:
    """A progress bar with the time left on standard error, or a line now and then where that is not a terminal.

    Used as a context manager; the object itself is the ``progress(fraction, seconds_left, what)`` that long work calls.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("Starting", total=1.0, left="")
        self._said = time.monotonic()

    def __enter__(self) -> ProgressDisplay:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, fraction: float, seconds_left: float | None, what: str) -> None:
        """Show that ``fraction`` (0 to 1) of the work is done and what is being done now.

        Long work does not end because nobody can be told about it.
        """
        with suppress(OSError, UnicodeError):
            self._tell(fraction, seconds_left, what)

    def _tell(self, fraction: float, seconds_left: float | None, what: str) -> None:
        self._bar.update(self._task, completed=fraction, description=what, left=time_left(seconds_left))
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said > SECONDS_BETWEEN_LINES:
            self._said = now
            print(f"{what}: {fraction:.0%} {time_left(seconds_left)}".rstrip(), file=sys.stderr, flush=True)


class StopRequest:
    """Ctrl-C or SIGTERM as a request that long work checks for, so that it stops between two network calls, not within one.

    Used as a context manager; the object itself is the ``should_stop()`` that long work calls. A second signal does not
    wait any longer: it raises ``KeyboardInterrupt`` at once. Outside the main thread, where Python hands out no signals,
    it never requests a stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._earlier: dict[int, Any] = {}

    def __call__(self) -> bool:
        """True once the user has asked to stop."""
        return self.requested

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
