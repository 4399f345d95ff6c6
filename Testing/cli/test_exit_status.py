"""Errors become one sentence and an exit status; time is said as a person says it."""

import errno
import os
import sys

import pytest

from MRIDenoiseLib.cli.exit_status import ExitStatus, explain
from MRIDenoiseLib.cli.outputs import after_the_result
from MRIDenoiseLib.cli.progress import ProgressDisplay
from MRIDenoiseLib.errors import AmbiguousInputError, Cancelled
from MRIDenoiseLib.progress import time_left


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AmbiguousInputError("several series:\n  1\n  2"), 2),
        (Cancelled("stopped"), 130),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "out.nii"), 2),
        (MemoryError(), 2),
        (OSError(errno.EBADF, "Bad file descriptor"), 1),
        (ZeroDivisionError("division by zero"), 1),
    ],
)
def test_every_error_has_a_status_and_one_line(error: BaseException, status: int) -> None:
    found, sentence = explain(error)
    assert found == status
    assert sentence.strip() and "\n" not in sentence


def test_a_fault_of_the_program_shows_its_traceback_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for debug in (False, True):
        with ExitStatus(debug=debug) as outcome:
            raise ZeroDivisionError("secret name in a message")
        complaint = capsys.readouterr().err
        assert outcome.status == 1
        assert ("Traceback" in complaint) is debug
        assert ("secret" in complaint) is debug


def test_what_native_code_prints_is_silent_and_what_we_say_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    for debug in (False, True):
        with ExitStatus(debug=debug):
            os.write(2, b"from a library\n")
            print("from us", file=sys.stderr)
        os.write(2, b"afterwards\n")
        said = capfd.readouterr().err.splitlines()
        assert ("from a library" in said) is debug
        assert {"from us", "afterwards"} <= set(said)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.2, "about 1 s left"), (89, "about 89 s left"), (200, "about 3 min left"), (7500, "about 2 h 05 min left")],
)
def test_time_left_is_said_as_a_person_says_it(seconds: float | None, words: str) -> None:
    assert time_left(seconds) == words


def test_where_there_is_no_terminal_short_work_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay() as progress:
        for step in range(10):
            progress(step / 10, 5.0, "Denoising")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("message", "options", "said", "absent"),
    [
        ("a.nii holds 3 volumes; choose one with --volume N (1 to 3)", ["--volume"], "--volume N", "="),
        ("a.nii holds 3 volumes; choose one with --volume N (1 to 3)", ["--echo"], "holds 3 volumes", "--volume"),
        ("a holds 2 series; choose one with --series N (1 = x; 2 = y)", [], "(1 = x; 2 = y)", "--series"),
        ("x exists already; choose another name or allow it to be replaced with --overwrite", [], "choose another name", "overwrite"),
    ],
)
def test_a_sentence_names_only_options_that_the_command_has(message: str, options: list[str], said: str, absent: str) -> None:
    sentence = explain(AmbiguousInputError(message), options)[1]
    assert said in sentence and absent not in sentence.replace("1 = x; 2 = y", "")


def test_in_python_a_choice_is_an_argument() -> None:
    error = AmbiguousInputError("a.nii holds 3 volumes; choose one with --volume N (1 to 3)")
    assert str(error) == "a.nii holds 3 volumes; choose one with volume=N (1 to 3)"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), BrokenPipeError(), UnicodeEncodeError("ascii", "\u25a0", 0, 1, "no")])
def test_what_cannot_be_printed_after_the_result_is_no_failure(error: Exception) -> None:
    with ExitStatus() as outcome, after_the_result():
        raise error
    assert outcome.status == 0


def test_a_reader_that_has_gone_is_no_failure() -> None:
    with ExitStatus() as outcome:
        try:
            raise BrokenPipeError
        except BrokenPipeError:
            # As rich does.
            raise SystemExit(1)  # noqa: B904
    assert outcome.status == 0
