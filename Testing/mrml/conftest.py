"""Real scenes on slicer-core, one a test; without slicer-core the tests of this folder are skipped and say so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from desktop import Desktop

HERE = Path(__file__).parent

# Before anything loads VTK: drawing needs neither a screen nor a graphics card.
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")

WITHOUT_SLICER = ("test_boundaries.py",)
"""Tests that look at the source only."""


class _NeedsSlicer(pytest.Module):
    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip("slicer-core is not installed (pip install slicer-core)", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if module_path.parent == HERE and module_path.name not in WITHOUT_SLICER and find_spec("slicer") is None:
        return _NeedsSlicer.from_parent(parent, path=module_path)
    return None


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    """A scene with its logics and the user's layout of slice views."""
    from desktop import Desktop

    made = Desktop(tmp_path / "cache")
    yield made
    made.close()


@pytest.fixture
def another_desktop(tmp_path: Path) -> Iterator[Desktop]:
    """A second scene, to load in what was saved from the first."""
    from desktop import Desktop

    made = Desktop(tmp_path / "another-cache")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_error_in_a_callback(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """An exception in a callback never reaches its caller: VTK prints it and goes on."""
    yield
    assert "Traceback" not in capfd.readouterr().err
