"""Sets up ``.venv`` once, with nothing but Python's own library, and continues inside it.

The lines before the version check, and the whole file's syntax, also work on Pythons too old for the rest, so that
those get a sentence and not a syntax error.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - this check is what tells the user
    sys.exit("MRI Denoise needs Python 3.10 or newer; this is Python %d.%d. Start the script with a newer one." % sys.version_info[:2])  # noqa: UP031

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"
STAMP = HOME / "installed.json"
DESCRIPTION = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "constraints.txt"

CONSTRAINED_FROM = (3, 11)
"""The oldest Python for which every version in constraints.txt exists."""


def say(text: str) -> None:
    """One line to the user, at once, even where the output is a file."""
    print(text, flush=True)


def enter(extras: Sequence[str]) -> None:
    """Make sure ``.venv`` holds the package with these extras, and continue the running script inside it.

    Returns only when the script already runs inside ``.venv``; otherwise the same script starts again there, with the
    same arguments. Ends the program with a sentence when the environment cannot be made.
    """
    python = _python_inside()
    if not _runs(python):
        _make(python)
    _install(python, extras)
    if Path(sys.prefix).resolve() == HOME.resolve():
        return
    command = [str(python), *sys.argv]
    sys.stdout.flush()
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def _python_inside() -> Path:
    return HOME / "Scripts" / "python.exe" if os.name == "nt" else HOME / "bin" / "python"


def _runs(python: Path) -> bool:
    """Whether the environment's Python starts, has pip and is new enough (it breaks when the Python it came from moves)."""
    if not python.exists():
        return False
    check = "import sys, pip; sys.exit(sys.version_info < (3, 10))"
    return subprocess.run([str(python), "-c", check], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _make(python: Path) -> None:
    if HOME.exists():
        say(f"The environment in {HOME} does not work any more and is made again.")
        shutil.rmtree(HOME)
    say(f"Making a Python environment in {HOME} (once) ...")
    made = subprocess.run([sys.executable, "-m", "venv", str(HOME)])
    if made.returncode != 0 or not _runs(python):
        shutil.rmtree(HOME, ignore_errors=True)
        sys.exit(
            "This Python cannot make an environment (its 'venv' or 'ensurepip' is missing). "
            "On Debian or Ubuntu install the package python3-venv, then start this again."
        )


def _fingerprint(python: Path) -> str:
    """What the installation depends on: both files, the Python it was made for, and the folder that it points to."""
    version = subprocess.run([str(python), "-c", "import sys; print(sys.version)"], capture_output=True, check=True).stdout
    return hashlib.sha256(DESCRIPTION.read_bytes() + CONSTRAINTS.read_bytes() + version + os.fsencode(ROOT)).hexdigest()


def _install(python: Path, extras: Sequence[str]) -> None:
    """Install what is missing; nothing happens when fingerprint and extras are those of the last time."""
    fingerprint = _fingerprint(python)
    before = json.loads(STAMP.read_text()) if STAMP.is_file() else {}
    there = set(before.get("extras", []))
    if before.get("fingerprint") == fingerprint and there.issuperset(extras):
        return
    # Both scripts share one environment: what the other one needed stays.
    wanted = sorted(there.union(extras))
    # Without compiling: most files of the large libraries are never imported, and Python compiles the others when they are.
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    if _version(python) >= CONSTRAINED_FROM:
        command += ["-c", str(CONSTRAINTS)]
    else:
        say("constraints.txt lists versions tested on Python 3.11 and newer; on this Python pip picks the newest that fit.")
    command += ["-e", f".[{','.join(wanted)}]"]
    say(f"Installing the package with the extras {', '.join(wanted)} (torch is large: minutes the first time) ...")
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        sys.exit(
            "The installation failed; pip's message above says why. Check the network and the room on the disk, then start this again."
        )
    STAMP.write_text(json.dumps({"fingerprint": fingerprint, "extras": wanted}))
    say("The environment is ready.")


def _version(python: Path) -> tuple[int, int]:
    answer = subprocess.run([str(python), "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, check=True, text=True)
    major, minor = answer.stdout.split()
    return int(major), int(minor)
