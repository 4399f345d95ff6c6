"""What this layer may touch, read from its source: MRML and a few helpers, and nothing that needs the application or torch."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).resolve().parents[2] / "MRIDenoiseLib" / "mrml").glob("*.py"))

HELPERS = {
    *("arrayFromVolume", "arrayFromVolumeModified", "updateVolumeFromArray", "arrayFromVTKMatrix", "updateVTKMatrixFromArray"),
    *("NodeModify", "VTKObservationMixin"),
}
"""Of ``slicer.util``: what works without the application."""

OURS = ("errors", "volume", "prompt", "io", "segmentation.dice", "worker.client", "worker.protocol", "reader_study", "mrml")
OTHERS = {"numpy", "vtk", "slicer"} | sys.stdlib_module_names


def trespasses(source: str) -> list[str]:
    """What a piece of source imports or takes from Slicer without being allowed to."""
    found = []
    tree = ast.parse(source)
    whole = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if not _may_import(name.name) or (name.name == "slicer" and name.asname)]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module] if node.module != "MRIDenoiseLib" else [f"MRIDenoiseLib.{name.name}" for name in node.names]
            found += [str(module) for module in modules if node.level or not _may_import(str(module)) or module == "slicer"]
        elif isinstance(node, ast.Attribute):
            parts = ast.unparse(node).split(".")
            if parts[0] == "slicer" and len(parts) == 2 and not parts[1].startswith("vtk") and parts[1] != "util":
                found.append(ast.unparse(node))
            if parts[:2] == ["slicer", "util"] and len(parts) == 3 and parts[2] not in HELPERS:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Name) and node.id == "slicer" and id(node) not in whole:
            found.append("slicer itself, as a value")
    return found


def _may_import(module: str) -> bool:
    if module == "slicer" or not module.startswith(("slicer.", "MRIDenoiseLib")):
        return module.split(".")[0] in OTHERS
    inside = module.removeprefix("MRIDenoiseLib").removeprefix(".")
    return inside == "RESEARCH_USE_ONLY" or any(inside == own or inside.startswith(f"{own}.") for own in OURS)


def test_there_is_something_to_look_at() -> None:
    assert {"volumes.py", "results.py", "comparison.py"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_source_keeps_to_mrml(path: Path) -> None:
    assert trespasses(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "import qt",
        "from ctk import ctkSliderWidget",
        "import slicer.packaging",
        "from slicer.util import getNode",
        "from slicer import app",
        "import slicer as other",
        "slicer.app.processEvents()",
        "x = slicer.modules.volumes",
        "slicer.mrmlScene.Clear()",
        "slicer.util.getNode('x')",
        "slicer.util.loadVolume('x')",
        "slicer.qMRMLWidget()",
        "getattr(slicer, 'app')",
        "y = slicer",
        "from MRIDenoiseLib.inference import Denoiser",
        "from MRIDenoiseLib import models",
        "from MRIDenoiseLib.segmentation.tissues import segment",
        "from MRIDenoiseLib.worker.server import serve",
        "from . import volumes",
    ],
)
def test_a_line_that_goes_further_is_caught(line: str) -> None:
    assert trespasses(f"import slicer\nimport numpy\nslicer.util.arrayFromVolume(1)\n{line}\n")


def test_what_the_layer_needs_is_no_trespass() -> None:
    assert not trespasses(
        "from __future__ import annotations\nfrom vtk.util.numpy_support import numpy_to_vtk\nimport slicer\n"
        "slicer.vtkMRMLScene.NodeAddedEvent\nwith slicer.util.NodeModify(x): pass\nfrom MRIDenoiseLib.prompt import describe"
    )


@pytest.mark.skipif(find_spec("slicer") is None, reason="slicer-core is not installed")
def test_importing_the_layer_loads_no_torch() -> None:
    code = "import sys, MRIDenoiseLib.mrml; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
