"""What the module may import, and that every text it shows can be translated: read from its syntax trees."""

import ast
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "MRIDenoise"
FILES = sorted(MODULE.rglob("*.py"))
OF_THE_LIBRARY = {
    *("card", "errors", "image.kind", "io", "methods", "mrml", "progress", "prompt", "reader_study", "segmentation.dice", "volume"),
    *("inference.settings", "result", "worker.client", "worker.protocol"),
}
OTHERS = {"qt", "ctk", "vtk", "slicer", "numpy", "packaging", "psutil", "SampleData", "PyTorchUtils", "MRIDenoise", "MRIDenoisePanel"}
"""packaging comes with Slicer; psutil and PyTorchUtils may be missing and are imported where they are used."""
SHOWN = {"text", "toolTip", "title", "helpText", "acknowledgementText", "placeholderText", "windowTitle"}
SPOKEN = {"_say", "addItem", "errorDisplay", "warningDisplay", "infoDisplay", "confirmOkCancelDisplay"}
LIBRARY = "MRIDenoiseLib."


def wrong_imports(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.startswith(LIBRARY):
                inside = name.removeprefix(LIBRARY)
                right = any(inside == allowed or inside.startswith(f"{allowed}.") for allowed in OF_THE_LIBRARY)
            else:
                right = name.split(".")[0] in OTHERS | set(sys.stdlib_module_names)
            found += [] if right else [name]
    return found


def untranslated(tree: ast.AST) -> list[str]:
    """Texts with letters that are shown as they stand in the code."""

    def bare(value: ast.AST) -> list[str]:
        if isinstance(value, ast.IfExp):
            return bare(value.body) + bare(value.orelse)
        if isinstance(value, ast.BoolOp):
            return [text for one in value.values for text in bare(one)]
        letters = isinstance(value, ast.Constant) and isinstance(value.value, str) and any(map(str.isalpha, value.value))
        return [value.value] if letters else []

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Attribute) and t.attr in SHOWN for t in node.targets):
            found += bare(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SPOKEN and node.args:
            found += bare(node.args[0])
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_module_imports_what_works_in_slicers_process_and_nothing_else(file):
    assert not wrong_imports(ast.parse(file.read_text()))


# What the self-test says is for developers.
@pytest.mark.parametrize("file", [file for file in FILES if file.stem != "selftest"], ids=lambda file: file.stem)
def test_every_text_that_is_shown_can_be_translated(file):
    assert not untranslated(ast.parse(file.read_text()))


@pytest.mark.parametrize(
    "line", ["import torch", "from MRIDenoiseLib.inference import Denoiser", "import MRIDenoiseLib.models.bundle.bundle", "import requests"]
)
def test_an_import_that_has_no_place_there_is_noticed(line):
    assert wrong_imports(ast.parse(line))


@pytest.mark.parametrize(
    "line", ['label.text = "Denoise"', 'button.toolTip = why or "Denoise"', 'self._say("Done")', 'x.text = "" if on else "Off"']
)
def test_a_text_that_cannot_be_translated_is_noticed(line):
    assert untranslated(ast.parse(line))
