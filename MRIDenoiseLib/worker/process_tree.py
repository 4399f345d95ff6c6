"""Ending processes with everything they have started: a launcher's child does not end with the launcher.

psutil is imported where it is used: a Slicer in which nothing is installed yet has to load the panel without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

PATIENCE = 1.0
"""Seconds that processes get to be gone after they were killed."""


def end_children() -> None:
    """End all that this process has started."""
    import psutil

    _kill(psutil.Process().children(recursive=True))


def end_trees(processes: Iterable[psutil.Process]) -> None:
    """End processes and all that they have started, and wait until they are gone.

    A number that another process has got since is not touched: psutil compares when the process was started.
    """
    import psutil

    victims: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.Error):
            if process.is_running():
                victims += [*process.children(recursive=True), process]
    _kill(victims)
    psutil.wait_procs(victims, timeout=PATIENCE)


def process_of(pid: int) -> psutil.Process | None:
    """A running process, known by more than its number; None where it is gone already."""
    import psutil

    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def is_running(pid: int) -> bool:
    """Whether a process still does anything: one whose threads are on their way out (a zombie) does not."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(victims: Iterable[psutil.Process]) -> None:
    import psutil

    for victim in victims:
        with suppress(psutil.Error):
            victim.kill()
