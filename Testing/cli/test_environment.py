"""The environment that both scripts share is installed anew when anything it depends on has changed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", Path(__file__).parents[2] / "scripts" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("what", ["ROOT", "DESCRIPTION", "CONSTRAINTS"])
def test_the_fingerprint_changes_with_the_folder_and_with_either_file(
    what: str, environment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = environment._fingerprint(Path(sys.executable))
    assert environment._fingerprint(Path(sys.executable)) == before
    other = tmp_path / "other"
    other.write_text("changed")
    monkeypatch.setattr(environment, what, other)
    assert environment._fingerprint(Path(sys.executable)) != before
