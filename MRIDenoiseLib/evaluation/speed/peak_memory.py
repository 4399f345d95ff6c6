"""How much memory this process has needed at most. It loads nothing that would count."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil


def peak_memory() -> float:
    """The largest resident size so far, MiB."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 2**20)
    if sys.platform == "linux":
        # The other count begins with what the process had that started this one.
        (line,) = (line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
