"""The only place where every error becomes one sentence and an exit status.

Image libraries written in C print their own complaints straight to the terminal; ours is the one the user needs.

Also how the scripts of the repository are started.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

import typer
from typer.exceptions import TyperException

from MRIDenoiseLib import errors
from MRIDenoiseLib.errors import FAULT, WRONG_INPUT, Cancelled, MRIDenoiseError, one_line

STDERR = 2


FOR_A_FAULT = "run again with --debug to see where, and report it"


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


def explain(error: BaseException, options: Collection[str] = ()) -> tuple[int, str]:
    """The exit status of an error, and the sentence to print (one line, never empty); see :func:`.errors.explain`."""
    if isinstance(error, typer.Abort):
        error = Cancelled()
    if isinstance(error, TyperException):
        return WRONG_INPUT, f"{one_line(error).rstrip('.')}; see mridenoise --help."
    return errors.explain(error, FOR_A_FAULT, options)


class ExitStatus:
    """Context manager around a whole command: afterwards ``status`` holds the exit status and the sentence is printed.

    Inside it, Ctrl-C and SIGTERM alike end the command (130) through its clean-up code, so that no half-written file
    stays; the libraries' own warnings are silenced, because each of our messages is given on purpose.

    Args:
        debug: print the traceback and everything that libraries say as well.

    Attributes:
        status: the exit status.
        options: gives the options of the command that the user typed; errors name no others.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self.debug = debug
        self.status = 0
        self.options: Callable[[], Collection[str]] = tuple
        self._undo = ExitStack()

    def __enter__(self) -> ExitStatus:
        self._undo.enter_context(warnings.catch_warnings())
        if not self.debug:
            warnings.simplefilter("ignore")
            # Read when transformers and diffusers are imported: only errors.
            os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
            os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
            self._undo.enter_context(silenced())
        if threading.current_thread() is threading.main_thread():
            self._undo.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _interrupt))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self._undo.close()
        if error is None:
            try:
                sys.stdout.flush()
            except (OSError, ValueError) as last:
                error = last
            else:
                return False
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            self.status = error.code if isinstance(error.code, int) else FAULT
            return True
        if isinstance(error, BrokenPipeError | SystemExit):
            # Whoever read our output (head, less) has gone, for which rich ends the process; nothing is wrong.
            give_up_output()
            self.status = 0
            return True
        self.status, sentence = explain(error, self.options())
        with suppress(OSError, ValueError):
            if self.debug:
                traceback.print_exception(kind, error, trace)
            end = "" if sentence.endswith("?") else "."
            print(f"mridenoise: {sentence.rstrip('.')}{end}", file=sys.stderr, flush=True)
        if isinstance(error, OSError):
            give_up_output()
        return True


def give_up_output() -> None:
    """Send nowhere what cannot be printed, because the interpreter tries again when it ends, and would complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Make standard streams that never fail because of a character, and that are there.

    A terminal or log that cannot show a character gets its number. Where a stream was closed, the next file to be opened would
    take its place, and whatever is printed would end in that file.
    """
    if os.name == "posix":
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process lives
        elif isinstance(stream, io.TextIOWrapper):
            # It flushes the stream, which may be one that takes nothing more.
            with suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def command_line(function: Callable[..., Any]) -> typer.Typer:
    """The command whose options are the function's parameters."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    return app


def run(function: Callable[..., Any]) -> None:
    """Run it as this process's command; an error of the library is a sentence and its exit status, not a traceback."""
    try:
        command_line(function)()
    except MRIDenoiseError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
