"""The errors a user can meet: each is one sentence a radiologist understands.

They are raised where the cause is known and caught once, at the edge (command line, worker, panel), with :func:`explain`.
Anything else that escapes is a fault of the program, not of the input.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Collection

FAULT = 1
WRONG_INPUT = 2
CANCELLED = 130

# The machine refuses, and the user can do something about it.
_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.EFBIG}


_OPTION = re.compile(r"--([a-z][a-z-]*)(?: ([A-Z]\b|[0-9]+))?")
_CHOICE = re.compile(r"[;,:] choose \w+ with (--[a-z-]+) [A-Z]\b")
_ADVICE = re.compile(r"(; to go on without it, add|, or go on with a part by) (--[a-z-]+).*")
_PERMISSION = " or allow it to be replaced with --overwrite"


class MRIDenoiseError(Exception):
    """Something outside the program is wrong; the message says what, in which file, and what to do. Exit status 2.

    A message names choices as the command line does (``--volume N``); whoever shows it says them in words that its reader can
    follow, see :meth:`words`.
    """

    exit_status = WRONG_INPUT

    def __str__(self) -> str:
        """The message for who calls the library: choices as arguments, ``volume=N``."""
        return _OPTION.sub(
            lambda match: f"{match[1].replace('-', '_')}={match[2] or 'True'}" if _is_argument(match) else match[0], self._said
        )

    def words(self, options: Collection[str]) -> str:
        """The message for who typed a command that has these options (``--volume``); it names no others."""
        said = self._said if "--overwrite" in options else self._said.replace(_PERMISSION, "")
        said = _CHOICE.sub(
            lambda match: match[0] if match[1] in options else "; give the one you mean as a file or folder of its own", said
        )
        said = _ADVICE.sub(lambda match: match[0] if match[2] in options else "", said)
        return _OPTION.sub(lambda match: match[0] if f"--{match[1]}" in options else match[1], said)

    @property
    def _said(self) -> str:
        return super().__str__()


_ARGUMENTS = {"series", "echo", "volume", "stack", "overwrite"}
"""Of reading and writing, by the names that the library gives them."""


def _is_argument(match: re.Match[str]) -> bool:
    return match[1] in _ARGUMENTS


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


def explain(error: BaseException, for_a_fault: str, options: Collection[str] = ()) -> tuple[int, str]:
    """The exit status of an error, and the sentence for the user (one line, never empty).

    Args:
        error: what was caught.
        for_a_fault: what to do when the program itself is to blame.
        options: those of the command that the user typed; the sentence names no others.
    """
    if isinstance(error, Paused):
        return CANCELLED, one_line(error, options)
    if isinstance(error, (KeyboardInterrupt, Cancelled)):
        return CANCELLED, "Cancelled; nothing was written."
    if isinstance(error, MRIDenoiseError):
        return error.exit_status, one_line(error, options)
    if isinstance(error, MemoryError):
        return WRONG_INPUT, "There is not enough memory for this volume: close other programs, or denoise only some of its slices."
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f": {error.filename}" if error.filename else ""
        return WRONG_INPUT, f"The system refused with '{error.strerror}'{where}; choose a place with room that you may write to."
    return FAULT, f"A fault inside the program ({type(error).__name__}), not in your data; {for_a_fault}."


def one_line(error: BaseException, options: Collection[str] | None = None) -> str:
    """An error's words without line breaks; its type where it has none. ``options`` as :meth:`MRIDenoiseError.words` takes them."""
    said = error.words(options) if isinstance(error, MRIDenoiseError) and options is not None else str(error)
    return " ".join(said.split()) or type(error).__name__
