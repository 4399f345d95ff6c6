"""Runs every check of the repository: style, format, types, import directions and the tests.

``python3 scripts/test.py`` needs only Python 3.10 or newer: it makes ``.venv`` once and installs everything there.
Tests on real MR data run when ``--data DIR`` or the variable MRIDENOISE_DATA names a folder that holds them.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import environment
from environment import ROOT, say


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run every check of the repository.")
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder of real MR data (otherwise MRIDENOISE_DATA)")
    parser.add_argument("--fast", action="store_true", help="leave out the tests marked slow")
    given = parser.parse_args()
    if given.data is not None and not given.data.is_dir():
        parser.error(f"--data: there is no folder {given.data}")
    return given


def _checks(fast: bool) -> list[tuple[str, list[str]]]:
    """The name of each check, and its command."""
    python = sys.executable
    import_linter = str(Path(sysconfig.get_path("scripts")) / "lint-imports")
    tests = [python, "-m", "pytest", "--durations=10"]
    if fast:
        tests += ["-m", "not slow"]
    return [
        ("style", [python, "-m", "ruff", "check", "."]),
        ("format", [python, "-m", "ruff", "format", "--check", "."]),
        ("types", [python, "-m", "mypy"]),
        ("import directions", [import_linter, "--no-logo"]),
        ("tests", tests),
    ]


def main(given: argparse.Namespace) -> int:
    """Run all checks, each even when an earlier one failed; 0 when all passed."""
    variables = dict(os.environ)
    if given.data is not None:
        variables["MRIDENOISE_DATA"] = str(given.data.resolve())
    if "MRIDENOISE_DATA" not in variables:
        say("Tests on real MR data are skipped: neither --data DIR nor MRIDENOISE_DATA is given.")
    checks = _checks(given.fast)
    lines = []
    for number, (name, command) in enumerate(checks, start=1):
        say(f"\n[{number}/{len(checks)}] {name}")
        began = time.monotonic()
        status = subprocess.run(command, cwd=ROOT, env=variables).returncode
        lines.append((status, f"{'passed' if status == 0 else 'FAILED'}  {name} ({time.monotonic() - began:.0f} s)"))
    say("")
    for _, line in lines:
        say(line)
    return int(any(status != 0 for status, _ in lines))


if __name__ == "__main__":
    _given = _arguments()
    environment.enter(extras=("train", "evaluate", "slicer", "test"))
    sys.exit(main(_given))
