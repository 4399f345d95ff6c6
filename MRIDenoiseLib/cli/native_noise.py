"""Image libraries written in C print their own complaints straight to the terminal; ours is the one the user needs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def silenced() -> Iterator[None]:
    """Throw away what native code writes to standard error; what Python writes to ``sys.stderr`` still arrives.

    Native libraries know only the process's descriptor 2, so that one is pointed at nothing, and Python's stream, where
    it used the same descriptor, at a copy of it.
    """
    try:
        shared = sys.stderr.fileno() == STDERR
        copy = os.dup(STDERR)
    except (AttributeError, OSError, io.UnsupportedOperation):
        # No standard error at all, as in a windowed Python: nothing to silence.
        yield
        return
    python, ours = sys.stderr, None
    python.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, STDERR)
        if shared:
            ours = os.fdopen(os.dup(copy), "w", buffering=1, encoding=python.encoding, errors="backslashreplace")
            sys.stderr = ours
        yield
    finally:
        os.dup2(copy, STDERR)
        sys.stderr = python
        if ours is not None:
            ours.close()
        os.close(copy)
        os.close(nothing)
