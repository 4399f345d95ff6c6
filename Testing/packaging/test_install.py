"""The extension built and installed by CMake: what a user's computer gets is complete, unchanged, and finds its model.

Slicer itself is replaced by ``stand_in/``, which copies and installs as Slicer's own calls do.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

STAND_IN = Path(__file__).resolve().parent / "stand_in"
MODULES = Path("lib", "Slicer-5.12", "qt-scripted-modules")


def _program(name: str) -> str | None:
    """A program of this environment, or one on the search path."""
    return shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build tree."""
    cmake, ninja, make = (_program(name) for name in ("cmake", "ninja", "make"))
    if cmake is None or (ninja or make) is None:
        pytest.skip("CMake, or Ninja or Make for it, is not installed: pip install cmake ninja")
    build = tmp_path_factory.mktemp("build")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else ["-G", "Unix Makefiles"]
    # Nothing is compiled: CMake is told not to try whether it could be, so that a computer without a compiler can run this.
    no_compiler = [f"-DCMAKE_{language}_COMPILER{end}" for language in ("C", "CXX") for end in (f"={cmake}", "_FORCED=ON", "_ID_RUN=ON")]
    _run(cmake, "-S", root, "-B", build, *generator, *no_compiler, f"-DSlicer_DIR={STAND_IN}", "-DBUILD_TESTING=ON")
    _run(cmake, "--build", build)
    return build


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed package's folder of modules."""
    prefix = tmp_path_factory.mktemp("installed")
    _run(str(_program("cmake")), "--install", built, "--prefix", prefix)
    return prefix / MODULES


def _contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_package_holds_every_file_unchanged_and_nothing_else(
    installed: Path, root: Path, file_lists: list[Any], library_scripts: list[str]
) -> None:
    expected = {name: one.base / name for one in file_lists for name in one.in_tree} | {name: root / name for name in library_scripts}
    expected |= {path.relative_to(root).as_posix(): path for path in (root / "Resources/Models/compact/evidence").iterdir()}
    expected["MRIDenoiseLib/LICENSE"] = root / "LICENSE"
    assert _contents(installed) == set(expected)
    assert [name for name, source in expected.items() if (installed / name).read_bytes() != source.read_bytes()] == []


def test_the_package_is_what_slicer_can_run_and_about_a_third_of_the_library(library_scripts: list[str], root: Path) -> None:
    assert len(library_scripts) < 0.45 * len([path for path in (root / "MRIDenoiseLib").rglob("*.py")])


def test_the_build_tree_runs_as_the_package_does(built: Path, installed: Path) -> None:
    assert _contents(built / MODULES) == _contents(installed) - {"MRIDenoiseLib/LICENSE"}


def test_what_slicer_looks_for_lies_where_it_looks(installed: Path) -> None:
    for name in ("MRIDenoise.py", "Resources/Icons/MRIDenoise.png", "Resources/UI/MRIDenoise.ui", "Resources/requirements.txt"):
        assert (installed / name).is_file(), name


def _in_the_package(installed: Path, folder: Path, code: str) -> list[str]:
    """What Python prints that sees the installed library before any other."""
    before = "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", f"{before}\n{code}", installed], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_installed_library_finds_the_installed_model(installed: Path, tmp_path: Path) -> None:
    code = "import MRIDenoiseLib; from MRIDenoiseLib.card import bundled_model; print(MRIDenoiseLib.__file__); print(bundled_model())"
    library, model = _in_the_package(installed, tmp_path, code)
    assert Path(library) == installed / "MRIDenoiseLib" / "__init__.py"
    assert Path(model) == installed / "Resources" / "Models" / "compact"


@pytest.mark.slow
def test_the_installed_model_is_whole(installed: Path, root: Path, tmp_path: Path) -> None:
    code = """
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.models.bundle.bundle import Bundle
print(Bundle.load(bundled_model()).hash)
"""
    card = root / "Resources" / "Models" / "compact" / "card.json"
    assert _in_the_package(installed, tmp_path, code)[-1] == hashlib.sha256(card.read_bytes()).hexdigest()


def test_the_self_test_is_registered(built: Path) -> None:
    assert "py_MRIDenoise" in _run(str(_program("ctest")), "--test-dir", built, "-N")
