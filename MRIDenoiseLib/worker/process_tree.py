"""Ending processes with everything they have started: a launcher's child does not end with the launcher."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil


def end_children() -> None:
    """End all that this process has started."""
    _kill(psutil.Process().children(recursive=True))


def end_trees(pids: Iterable[int]) -> None:
    """End processes and all that they have started; those that are gone already are no matter."""
    victims: list[psutil.Process] = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            victims += [*process.children(recursive=True), process]
    _kill(victims)


def is_running(pid: int) -> bool:
    """Whether a process still does anything: one whose threads are on their way out (a zombie) does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(victims: list[psutil.Process]) -> None:
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
