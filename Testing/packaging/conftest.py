"""What the CMake files list and what the tree holds, side by side: what every test of the package compares with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVIDENCE = "Resources/Models/compact/evidence/"
"""Taken by a pattern: adopting new weights may change which files there are."""


@dataclass(frozen=True)
class FileList:
    """One list of files in a CMake file.

    Args:
        cmake_file: the file it stands in, from the repository's root.
        variable: its name there.
        base: the folder that its entries count from. They lie at the same place beside the module once installed.
        listed: its entries, in their order.
        in_tree: what it has to hold, sorted.
    """

    cmake_file: str
    variable: str
    base: Path
    listed: list[str]
    in_tree: list[str]

    @property
    def faults(self) -> list[str]:
        """Sentences; none when the list is right."""
        where = f"{self.variable} in {self.cmake_file}"
        return [
            *(f"{name} lies in the tree but not in {where}" for name in self.in_tree if name not in self.listed),
            *(f"{name} stands in {where} but there is no such file" for name in self.listed if name not in self.in_tree),
            *(f"{name} stands twice in {where}" for name in sorted({n for n in self.listed if self.listed.count(n) > 1})),
            *([f"{where} is not sorted"] if self.listed != sorted(self.listed) else []),
        ]


def _entries(cmake_file: Path, variable: str) -> list[str]:
    text = re.sub(r"#.*", "", cmake_file.read_text(encoding="utf-8"))
    found = re.findall(rf"^set\({variable}\s([^)]*)\)", text, re.MULTILINE)
    assert len(found) == 1, f"{cmake_file.name} sets {variable} {len(found)} times"
    return found[0].split()


def _files(folder: Path, base: Path) -> list[str]:
    """Every file in a folder but CMake's own and what Python, editors and file browsers leave behind."""
    names = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        left_behind = "__pycache__" in parts or path.suffix == ".pyc" or any(part.startswith(".") for part in parts)
        if path.is_file() and not left_behind and path.name != "CMakeLists.txt":
            names.append(path.relative_to(base).as_posix())
    return names


def installed_folders(root: Path) -> list[str]:
    """The folders of the library that Slicer gets, from ``MRIDenoiseLib``."""
    return _entries(root / "MRIDenoiseLib" / "CMakeLists.txt", "MRIDenoiseLib_FOLDERS")


def installed_scripts(root: Path) -> list[str]:
    """Their Python files, from the repository's root."""
    library = root / "MRIDenoiseLib"
    return sorted(path.relative_to(root).as_posix() for folder in installed_folders(root) for path in (library / folder).glob("*.py"))


def read_file_lists(root: Path) -> list[FileList]:
    """The lists of a checkout: what the library and the module find beside them, module and its resources."""
    library = _files(root / "MRIDenoiseLib", root)
    beside = [name for part in ("Models", "SampleData") for name in _files(root / "Resources" / part, root) if EVIDENCE not in name]
    module = _files(root / "MRIDenoise", root / "MRIDenoise")
    belong = [
        ("MRIDenoiseLib", "MRIDenoiseLib_RESOURCES", root, [name for name in library if not name.endswith(".py")] + beside),
        ("MRIDenoise", "MRIDenoise_SCRIPTS", root / "MRIDenoise", [name for name in module if name.endswith(".py")]),
        ("MRIDenoise", "MRIDenoise_RESOURCES", root / "MRIDenoise", [name for name in module if not name.endswith(".py")]),
    ]
    return [
        FileList(f"{folder}/CMakeLists.txt", variable, base, _entries(root / folder / "CMakeLists.txt", variable), sorted(names))
        for folder, variable, base, names in belong
    ]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def file_lists_of() -> Callable[[Path], list[FileList]]:
    """Reads the lists of a checkout."""
    return read_file_lists


@pytest.fixture(scope="session")
def file_lists() -> list[FileList]:
    """The lists of this checkout."""
    return read_file_lists(ROOT)


@pytest.fixture(scope="session")
def library_folders() -> list[str]:
    """The folders of the library that Slicer gets."""
    return installed_folders(ROOT)


@pytest.fixture(scope="session")
def library_scripts() -> list[str]:
    """Their Python files, from the repository's root."""
    return installed_scripts(ROOT)
