"""Wherever the project introduces itself it says what the default really is, who made it and which version it is."""

import re
import sys
from pathlib import Path

import pytest
import yaml

import MRIDenoiseLib
from MRIDenoiseLib.card import bundled_model, card_of
from MRIDenoiseLib.cli import main

WORDS = {"regression": "regression network", "fidelity-guided": "diffusion", "posterior-mean": "diffusion", "ddim": "diffusion"}
"""Default method of the bundled model -> what has to be said first."""


def _project(root: Path) -> dict:
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return toml.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _introductions(root: Path, help_text: str) -> dict[str, str]:
    readme = (root / "README.md").read_text(encoding="utf-8").split("\n\n")[1]
    cmake = re.search(r'EXTENSION_DESCRIPTION "([^"]+)"', (root / "CMakeLists.txt").read_text(encoding="utf-8"))
    module = (root / "MRIDenoise" / "MRIDenoise.py").read_text(encoding="utf-8").partition("helpText = _(")[2].partition(")")[0]
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))["abstract"]
    assert cmake is not None
    return {
        "README": readme,
        "pyproject.toml": _project(root)["description"],
        "CMakeLists.txt": cmake[1],
        "the module's help": module,
        "CITATION.cff": citation,
        "mridenoise --help": help_text,
        "the package": MRIDenoiseLib.__doc__ or "",
    }


def test_what_the_default_is_is_said_first(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--help"]) == 0
    word = WORDS[card_of(bundled_model()).default_method]
    for place, text in _introductions(root, capsys.readouterr().out).items():
        said = " ".join(text.split())
        assert word in said, f"{place} does not say what the default is: a {word}"
        assert "diffusion" not in said.partition(word)[0], f"{place} names diffusion first"


def test_version_changelog_and_citation_agree(root: Path) -> None:
    newest = re.search(r"^## (\d+\.\d+\.\d+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert newest is not None
    assert newest[1] == citation["version"] == MRIDenoiseLib.__version__


def test_the_makers_are_called_the_same_everywhere(root: Path) -> None:
    makers = "The MRI Denoise developers"
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in _project(root)["authors"]] == [makers]
    assert f'EXTENSION_CONTRIBUTORS "{makers}"' in (root / "CMakeLists.txt").read_text(encoding="utf-8")
    assert makers in (root / "MRIDenoise" / "MRIDenoise.py").read_text(encoding="utf-8")


def test_other_peoples_integration_calls_the_one_script_on_every_python_that_is_supported(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert f">={job['strategy']['matrix']['python'][0]}" == _project(root)["requires-python"]


@pytest.mark.parametrize("form", ["fault.yml", "idea.yml", "config.yml"])
def test_the_forms_of_issues_can_be_read(root: Path, form: str) -> None:
    assert yaml.safe_load((root / ".github" / "ISSUE_TEMPLATE" / form).read_text(encoding="utf-8"))
