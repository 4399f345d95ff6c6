"""Runs every check of the repository: style, format, types, import directions and the tests.

``python3 scripts/test.py`` needs only Python 3.10 or newer: it makes ``.venv`` once and installs everything there.
Tests on real MR data run when ``--data DIR`` or the variable MRIDENOISE_DATA names a folder that holds them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from ctypes.util import find_library
from pathlib import Path

import environment
from environment import ROOT, say

DRAWING = ("libosmesa6", "libegl1", "libgl1", "libxkbcommon0", "libdbus-1-3", "libfontconfig1", "fonts-dejavu-core")
"""Debian's names of what draws views (OSMesa) and the panel (Qt) without a screen."""

MOST_WORKERS = 4
"""Test processes at most: each may take 2 GB."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run every check of the repository.")
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder of real MR data (otherwise MRIDENOISE_DATA)")
    parser.add_argument("--fast", action="store_true", help="leave out the tests marked slow")
    parser.add_argument("--coverage", action="store_true", help="measure which lines the tests run too, which takes half as long again")
    given = parser.parse_args()
    if given.data is not None and not given.data.is_dir():
        parser.error(f"--data: there is no folder {given.data}")
    if given.fast and given.coverage:
        parser.error("--coverage is that of all tests: leave --fast out")
    return given


def _workers() -> int:
    """Test processes beside each other, one a core; 0, which is pytest's word for none but its own, where there is one core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS) if cores > 1 else 0


def _files_of_alone() -> list[str]:
    """The files that hold tests marked ``alone``: to read all the others once more would take half as long as these tests."""
    files = sorted((ROOT / "Testing").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "mark.alone" in file.read_text(encoding="utf-8")]


def _checks(fast: bool, coverage: bool) -> list[tuple[str, list[str]]]:
    """The name of each check, and its command."""
    python = sys.executable
    import_linter = str(Path(sysconfig.get_path("scripts")) / "lint-imports")
    tests = [python, "-m", "pytest", "--durations=10"]
    marked = "not slow and " if fast else ""
    if coverage:
        tests += ["--cov", "--cov-report="]
    # A worker takes its half of the tests as they stand, so that a file's fixtures are made once, and helps the others at its end.
    beside = ["-n", str(_workers()), "--dist", "worksteal", "-m", f"{marked}not alone"]
    after = ["-m", f"{marked}alone", *(["--cov-append"] if coverage else []), *_files_of_alone()]
    checks = [
        ("style", [python, "-m", "ruff", "check", "."]),
        ("format", [python, "-m", "ruff", "format", "--check", "."]),
        ("types", [python, "-m", "mypy"]),
        ("import directions", [import_linter, "--no-logo"]),
        ("tests", [*tests, *beside]),
        ("tests that need the machine alone", [*tests, *after]),
    ]
    if coverage:
        checks.append(("part of the lines that the tests run, in percent", [python, "-m", "coverage", "report", "--format=total"]))
    return checks


def _get_what_draws() -> None:
    """The libraries with which views and panel are drawn without a screen: installed where that is allowed, else named."""
    if not sys.platform.startswith("linux") or find_library("OSMesa"):
        return
    command = ["apt-get", "install", "-y", "-q", *DRAWING]
    if shutil.which("apt-get") and os.geteuid() == 0:
        say(f"Installing {' '.join(DRAWING)}, with which pictures are drawn without a screen ...")
        for step in (["apt-get", "update", "-q"], command):
            subprocess.run(step, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not find_library("OSMesa"):
        say(f"The tests that draw are skipped; for them: sudo {' '.join(command)}")


def main(given: argparse.Namespace) -> int:
    """Run all checks, each even when an earlier one failed; 0 when all passed."""
    variables = dict(os.environ)
    if given.data is not None:
        variables["MRIDENOISE_DATA"] = str(given.data.resolve())
    if "MRIDENOISE_DATA" not in variables:
        say("Tests on real MR data are skipped: neither --data DIR nor MRIDENOISE_DATA is given.")
    _get_what_draws()
    checks = _checks(given.fast, given.coverage)
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
    environment.enter(extras=("train", "evaluate", "slicer", "docs", "test"))
    sys.exit(main(_given))
