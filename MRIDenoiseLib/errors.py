"""The errors a user can meet: each is one sentence a radiologist understands.

They are raised where the cause is known and caught once, at the edge (command line, worker, panel), with :func:`explain`.
Anything else that escapes is a fault of the program, not of the input.
"""

from __future__ import annotations

import errno

FAULT = 1
WRONG_INPUT = 2
CANCELLED = 130

# The machine refuses, and the user can do something about it.
_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG}


class MRIDenoiseError(Exception):
    """Something outside the program is wrong; the message says what, in which file, and what to do. Exit status 2."""

    exit_status = WRONG_INPUT


class InputError(MRIDenoiseError):
    """The image, folder or header given cannot be used as it is."""


class AmbiguousInputError(InputError):
    """The input holds several images (series, echoes, time points) and the user has to choose one."""


class OutputError(MRIDenoiseError):
    """The result cannot be written where the user requested it."""


class BundleError(MRIDenoiseError):
    """A model bundle is incomplete, altered, or does not fit its own configuration."""


class SettingsError(MRIDenoiseError):
    """An option has a value that cannot work."""


class Cancelled(MRIDenoiseError):
    """The user requested a stop. Exit status 130."""

    exit_status = CANCELLED


class Paused(Cancelled):
    """The user requested a stop, what is done is kept, and the same command resumes it; the sentence says so."""


def explain(error: BaseException, for_a_fault: str) -> tuple[int, str]:
    """The exit status of an error, and the sentence for the user (one line, never empty).

    Args:
        error: what was caught.
        for_a_fault: what to do when the program itself is to blame.
    """
    if isinstance(error, Paused):
        return CANCELLED, one_line(error)
    if isinstance(error, (KeyboardInterrupt, Cancelled)):
        return CANCELLED, "Cancelled; nothing was written."
    if isinstance(error, MRIDenoiseError):
        return error.exit_status, one_line(error)
    if isinstance(error, MemoryError):
        return WRONG_INPUT, "There is not enough memory for this volume: close other programs, or denoise only some of its slices."
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f": {error.filename}" if error.filename else ""
        return WRONG_INPUT, f"The system refused with '{error.strerror}'{where}; choose a place with room that you may write to."
    return FAULT, f"A fault inside the program ({type(error).__name__}), not in your data; {for_a_fault}."


def one_line(error: BaseException) -> str:
    """An error's words without line breaks; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
