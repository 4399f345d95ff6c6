"""Small mistakes in the real panel, each of which must make it fail: what the other tests rest on."""

import shutil
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "MRIDenoise"
UI, WIDGET, MODEL = "Resources/UI/MRIDenoise.ui", "MRIDenoisePanel/widget.py", "MRIDenoisePanel/model.py"

MISTAKES = {
    "a renamed widget": (UI, '"denoiseButton"', '"runButton"'),
    "a widget of a parameter renamed": (UI, '"seedSpin"', '"seedBox"'),
    "a dropped scene connection": (UI, "<receiver>inputSelector", "<receiver>referenceSelector"),
    "a misspelt parameter in the .ui": (UI, ">inputVolume<", ">inputVolum<"),
    "a misspelt parameter in the code": (MODEL, "choices.seed", "choices.sead"),
    "a misspelt attribute": (WIDGET, "denoiseButton.toolTip =", "denoiseButton.toolTp ="),
    "a misspelt attribute of a bar": (WIDGET, "bar.visible =", "bar.visibel ="),
    "a misspelt signal": (WIDGET, 'denoiseButton.connect("clicked(bool)"', 'denoiseButton.connect("clickd(bool)"'),
    "a button that is connected to nothing": (WIDGET, "self.ui.denoiseButton.connect", "(lambda *_: None)"),
    "a type that does not fit its widget": ("MRIDenoisePanel/parameters.py", "seed: Annotated[int", "seed: Annotated[float"),
    "an observer that is forgotten": (WIDGET, "self.addObserver(volume, vtk", "(lambda *_: None)(volume, vtk"),
    "a job that the client does not know": ("MRIDenoisePanel/logic.py", "client.denoise(", "client.denoize("),
    "torch in the module": ("MRIDenoisePanel/engine.py", "import qt", "import qt\nimport torch"),
}


def works(slicer_app, module: Path) -> None:
    """Open the panel, give it a volume, start denoising and cancel."""
    import slicer
    from panel_driving import add_volume

    loaded = set(sys.modules)
    panel = slicer_app.load_module(module).open()
    try:
        names = {name for name in set(sys.modules) - loaded if name.startswith("MRIDenoisePanel")}
        assert not any(hasattr(sys.modules[name], "torch") for name in names), "torch has no place in the window's process"
        volume = add_volume("noisy")
        panel.ui.inputSelector.setCurrentNode(volume)
        assert panel.logic.getParameterNode().inputVolume is volume
        assert panel.ui.denoiseButton.enabled, panel.ui.denoiseButton.toolTip
        panel.ui.seedSpin.value = 7
        assert panel.logic.getParameterNode().seed == 7
        panel.ui.denoiseButton.click()
        assert panel.engine.busy and panel.ui.denoiseButton.text == "Cancel"
        slicer.mrmlScene.RemoveNode(volume)
    finally:
        if hasattr(panel, "engine"):
            panel.engine.close()
    assert not slicer_app.errors, slicer_app.errors


def spoilt(folder: Path, file: str, right: str, wrong: str) -> Path:
    copy = folder / "MRIDenoise"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text()
    assert right in text, "the mistake has no place any more"
    (copy / file).write_text(text.replace(right, wrong))
    return copy / "MRIDenoise.py"


def test_the_right_panel_works(slicer_app, tmp_path):
    works(slicer_app, spoilt(tmp_path, UI, "denoiseButton", "denoiseButton"))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(slicer_app, tmp_path, mistake):
    with pytest.raises(Exception):  # noqa: B017 - which error it is depends on the mistake
        works(slicer_app, spoilt(tmp_path, *MISTAKES[mistake]))
    slicer_app.errors.clear()
