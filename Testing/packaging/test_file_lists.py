"""What a CMake file does not list is missing from the package, and shows only on a user's computer."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Read = Callable[[Path], list[Any]]


def test_every_file_of_the_package_is_listed_and_every_file_listed_is_there(file_lists: list[Any]) -> None:
    faults = [fault for one in file_lists for fault in one.faults]
    assert not faults, "\n".join(faults)


@pytest.fixture
def copied(tmp_path: Path, root: Path, file_lists: list[Any]) -> Path:
    """The tree in names only, with the real lists."""
    for one in file_lists:
        cmake_file = tmp_path / one.cmake_file
        cmake_file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / one.cmake_file, cmake_file)
        for name in one.in_tree:
            file = tmp_path / one.base.relative_to(root) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tmp_path


@pytest.mark.parametrize(
    "forgotten",
    [
        "MRIDenoise/MRIDenoisePanel/forgotten.py",
        "MRIDenoise/Resources/UI/Forgotten.ui",
        "MRIDenoiseLib/models/forgotten/table.json",
        "Resources/Models/compact/denoiser/forgotten.safetensors",
        "Resources/SampleData/forgotten.nii.gz",
    ],
)
def test_a_forgotten_file_is_named(copied: Path, file_lists_of: Read, forgotten: str) -> None:
    before = {fault for one in file_lists_of(copied) for fault in one.faults}
    (copied / forgotten).parent.mkdir(parents=True, exist_ok=True)
    (copied / forgotten).touch()
    new = {fault for one in file_lists_of(copied) for fault in one.faults} - before
    assert len(new) == 1
    assert f"{Path(forgotten).name} lies in the tree but not in" in new.pop()


@pytest.mark.parametrize(
    "gone", ["MRIDenoise/MRIDenoise.py", "Resources/Models/compact/card.json", "MRIDenoise/Resources/requirements.txt"]
)
def test_a_file_that_is_listed_but_gone_is_named(copied: Path, file_lists_of: Read, gone: str) -> None:
    before = {fault for one in file_lists_of(copied) for fault in one.faults}
    (copied / gone).unlink()
    new = {fault for one in file_lists_of(copied) for fault in one.faults} - before
    assert len(new) == 1
    assert f"{Path(gone).name} stands in" in new.pop()


def test_what_python_and_editors_leave_behind_is_not_asked_for(copied: Path, file_lists_of: Read) -> None:
    before = [one.in_tree for one in file_lists_of(copied)]
    for name in ("MRIDenoise/__pycache__/MRIDenoise.cpython-312.pyc", "MRIDenoise/.MRIDenoise.py.swp", "Resources/SampleData/.DS_Store"):
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).touch()
    assert [one.in_tree for one in file_lists_of(copied)] == before


def test_the_models_evidence_is_taken_whatever_was_measured(root: Path) -> None:
    """Without a file of it the installed model would be refused."""
    text = (root / "MRIDenoiseLib" / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "${MRIDenoise_SOURCE_DIR}/Resources/Models/compact/evidence/*.json" in text
    assert "list(APPEND MRIDenoiseLib_RESOURCES ${MRIDenoiseLib_EVIDENCE})" in text.split("ctkMacroCompilePythonScript(")[0]
    assert {path.suffix for path in (root / "Resources/Models/compact/evidence").iterdir()} == {".json"}
