"""What the panel asks pip for: what its worker imports, in step with pyproject.toml, and nothing that could harm Slicer."""

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# In pyproject.toml but not here, and why.
LEFT_OUT = {
    "torch": "comes through the PyTorch extension, which chooses the build for the GPU",
    "simpleitk": "is part of Slicer, which has it loaded",
    "rich": "the command line alone prints",
    "typer": "the command line alone reads arguments",
    "pyyaml": "training recipes and the configurations of studies alone are YAML",
}
IMPORTED_AS = {"yaml": "pyyaml"}
SLICERS_OWN = {"ctk", "qt", "slicer", "vtk", "vtkmodules"}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def required(root: Path) -> dict[str, Requirement]:
    """The file as ``slicer.packaging.load_requirements`` reads it: whole lines, except comments and options for pip."""
    lines = [line.strip() for line in (root / "MRIDenoise" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    return {_plain(one.name): one for one in found}


@pytest.fixture(scope="module")
def core(root: Path) -> dict[str, Requirement]:
    """The library's core dependencies."""
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    lines = toml.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return {_plain(one.name): one for one in map(Requirement, lines)}


def test_they_are_the_core_dependencies_less_those_left_out_for_a_reason(
    required: dict[str, Requirement], core: dict[str, Requirement]
) -> None:
    assert set(LEFT_OUT) <= set(core), "a reason is given for something that is no dependency any more"
    assert {name: str(one) for name, one in required.items()} == {name: str(one) for name, one in core.items() if name not in LEFT_OUT}


def test_they_are_lower_bounds(required: dict[str, Requirement]) -> None:
    assert required
    for one in required.values():
        assert [part.operator for part in one.specifier] == [">="], f"{one} may fight with another extension's"
        assert not one.extras and one.url is None and one.marker is None, one


def test_they_stand_one_a_line_in_alphabetical_order(root: Path, required: dict[str, Requirement]) -> None:
    assert list(required) == sorted(required)
    text = (root / "MRIDenoise" / "Resources" / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^-", text, re.MULTILINE), "Slicer passes over options for pip"


def test_they_cover_all_that_the_panel_s_part_of_the_library_imports(
    root: Path, required: dict[str, Requirement], library_scripts: list[str]
) -> None:
    unknown = set()
    for path in (root / name for name in library_scripts):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for top in (name.partition(".")[0] for name in names):
                known = top in sys.stdlib_module_names or top in SLICERS_OWN or top == "MRIDenoiseLib"
                if not known and _plain(IMPORTED_AS.get(top, top)) not in required.keys() | {"torch", "simpleitk"}:
                    unknown.add(f"{path.relative_to(root)} imports {top}")
    assert not unknown, "\n".join(sorted(unknown))
