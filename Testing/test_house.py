"""The house rules that no single part can hold alone: what imports what, and what the two commands rely on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "module", ["", ".volume", ".errors", ".io", ".prompt", ".reader_study.reading", ".reader_study.running.creation", ".cli"]
)
def test_importing_it_pulls_in_no_torch(module: str) -> None:
    code = f"import sys, MRIDenoiseLib{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert len(set(lines)) == len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), line


@pytest.mark.parametrize("extra", ["", "train", "evaluate", "slicer", "docs", "test"])
def test_every_dependency_has_a_tested_version_above_its_lower_bound(extra: str) -> None:
    tested = _constraints()
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["optional-dependencies"][extra] if extra else project["dependencies"]
    assert needed
    for line in needed:
        need = Requirement(line)
        name = re.sub(r"[-_.]+", "-", need.name).lower()
        assert name in tested, f"constraints.txt lacks {name}"
        assert need.specifier.contains(tested[name]), f"{need} excludes the tested {tested[name]}"


@pytest.mark.parametrize("script", ["demo.py", "test.py"])
def test_the_two_commands_start_on_a_python_with_nothing_installed(script: str) -> None:
    done = subprocess.run([sys.executable, "-S", "-E", str(ROOT / "scripts" / script), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_continuous_integration_is_a_script_that_can_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
