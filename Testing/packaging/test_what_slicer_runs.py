"""Slicer gets of the library what its module can reach, by whole folders, and nothing else."""

import ast
from pathlib import Path

import pytest

PACKAGE = "MRIDenoiseLib"
ENTRANCES = ("worker", "mrml")
"""Started by name, in a process of their own or by the panel."""


def _modules(root: Path) -> dict[str, Path]:
    found = {}
    for path in (root / PACKAGE).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imported(path: Path, modules: dict[str, Path]) -> set[str]:
    """The library's modules that a file imports anywhere, in functions, too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names & modules.keys()


@pytest.fixture(scope="module")
def reached(root: Path) -> set[Path]:
    """Every file of the library that the module, the scene or the worker comes to, however far."""
    modules = _modules(root)
    # The face names modules for type checkers; nobody in Slicer goes through it.
    face = modules[PACKAGE]
    waiting = {name for name in modules if name.split(".")[1:2] and name.split(".")[1] in ENTRANCES}
    for path in (root / "MRIDenoise").rglob("*.py"):
        waiting |= _imported(path, modules)
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        done.add(name)
        package = name.rpartition(".")[0]
        waiting |= ({package} if package else set()) | (set() if modules[name] == face else _imported(modules[name], modules))
        waiting -= done
    return {modules[name] for name in done}


def test_all_that_is_reached_is_installed(reached: set[Path], root: Path, library_scripts: list[str]) -> None:
    missing = sorted({path.relative_to(root).as_posix() for path in reached} - set(library_scripts))
    assert not missing, f"not in the folders that {PACKAGE}/CMakeLists.txt installs: {', '.join(missing)}"


def test_no_folder_is_installed_that_nothing_reaches(reached: set[Path], root: Path, library_folders: list[str]) -> None:
    assert library_folders
    for folder in library_folders:
        here = set((root / PACKAGE / folder).glob("*.py"))
        assert here & reached, f"{folder} is installed, but Slicer never needs it"
