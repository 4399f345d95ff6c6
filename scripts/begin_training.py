"""Starts or resumes a packed training: python begin_training.py RUN [--minutes M] [--out MODEL]

It lies beside the portions that pack_training.py made and needs nothing but Python: it joins and checks them, installs the wheels
among them into a folder of its own, and trains.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
UNPACKED = HERE / "unpacked"
LIST = "portions.json"
"""Of the portions with their hashes; the unpacked ones keep it."""


def main() -> int:
    """Unpack what is not unpacked yet, then hand over to ``mridenoise train``; gives its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of the training")
    parser.add_argument("--minutes", type=float, help="the time to be used, for all networks together")
    parser.add_argument("--steps", type=int, help="so many steps for each network instead")
    parser.add_argument("--out", type=Path, help="write the finished model here")
    given = parser.parse_args()
    if not _is_unpacked():
        _unpack()
    environment = dict(os.environ)
    places = [str(UNPACKED / name) for name in ("code", "libraries")]
    environment["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [environment.get("PYTHONPATH")])])
    environment["HF_HUB_OFFLINE"] = "1"
    words = ["train", str(UNPACKED / "recipe.yaml"), str(given.run), "--data", str(UNPACKED / "data")]
    for name in ("minutes", "steps", "out"):
        value = getattr(given, name)
        words += [] if value is None else [f"--{name}", str(value)]
    # A run that was started keeps what it started from.
    if (UNPACKED / "model").is_dir() and not (given.run / "run.json").is_file():
        words += ["--from-bundle", str(UNPACKED / "model")]
    program = "import sys; from MRIDenoiseLib.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", program, *words], env=environment).returncode


def _is_unpacked() -> bool:
    """Whether these very portions are; others may have been brought here since."""
    try:
        return (UNPACKED / LIST).read_bytes() == (HERE / LIST).read_bytes()
    except OSError:
        return False


def _unpack() -> None:
    """The portions joined, in a folder that only appears when it is whole."""
    unpacking = HERE / "unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    unpacking.mkdir()
    archive = unpacking / "training.tar"
    with archive.open("wb") as joined:
        for portion in json.loads((HERE / LIST).read_text(encoding="utf-8")):
            path = HERE / portion["name"]
            content = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(content).hexdigest() != portion["sha256"]:
                sys.exit(f"{path} is missing or damaged; bring it here again.")
            joined.write(content)
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(unpacking, filter="data")
        else:
            tar.extractall(unpacking)
    archive.unlink()
    wheels = sorted(str(wheel) for wheel in (unpacking / "wheels").glob("*.whl"))
    if wheels:
        target = ["--target", str(unpacking / "libraries")]
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *target, *wheels])
        if done.returncode != 0:
            sys.exit("The wheels could not be installed; pip's message above says why.")
    shutil.copy(HERE / LIST, unpacking)
    if UNPACKED.is_dir():
        shutil.rmtree(UNPACKED)
    unpacking.rename(UNPACKED)


if __name__ == "__main__":
    sys.exit(main())
