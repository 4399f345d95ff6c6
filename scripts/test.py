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
    environment.enter(extras=("train", "evaluate", "slicer", "docs", "test"))
    sys.exit(main(_given))
