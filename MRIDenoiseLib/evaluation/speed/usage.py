"""The cost of a piece of work: wall-clock time, processor time, and memory. This module loads nothing that would count.

Processor time hardly changes when other programs keep the machine busy; so CPU methods are compared by it.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil

INTERVAL = 0.02
"""Seconds between two measurements of the memory; shorter peaks are missed."""


def peak_memory() -> float:
    """The largest resident size so far, MiB."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 2**20)
    if sys.platform == "linux":
        # The other count starts with the memory of the process that started this one.
        (line,) = (line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


class Usage:
    """Measures inside its ``with`` block; meant for one piece of work at a time in a process.

    Attributes:
        seconds: wall-clock time, from entering to leaving.
        processor: processor time in seconds of this process, over all its threads.
        megabytes: the most memory (resident, MiB) beyond that at the beginning.
    """

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0
        self.megabytes = 0.0
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Usage:
        self._before = self._process.memory_info().rss
        self._began, self._used = time.perf_counter(), time.process_time()
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.seconds, self.processor = time.perf_counter() - self._began, time.process_time() - self._used
        self._look()
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        self.megabytes = max(self.megabytes, (self._process.memory_info().rss - self._before) / 2**20)
