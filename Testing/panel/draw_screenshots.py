"""Draws the README's screenshots from the real .ui, scene, worker and views: python Testing/panel/draw_screenshots.py [FOLDER]

The panel is drawn on stand-in widgets, so buttons and arrows look as this Qt draws them and not as Slicer does; the views are drawn
by Slicer's own libraries. The sample volume is what is shown: a volunteer of an open data set, simulated fast scan.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing" / "mrml"), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from offscreen import OffscreenView  # noqa: E402
from stand_in.desk import Desk  # noqa: E402

VIEW = 525
PANEL = 430
PATIENCE = 600


def draw(folder: Path) -> None:
    """Denoise the sample in the panel and write pictures of panel and views."""
    with tempfile.TemporaryDirectory() as place, Desk(Path(place) / "desk") as desk:
        import slicer

        desk._inner.size = (VIEW, VIEW)
        panel = desk.load_module(ROOT / "MRIDenoise" / "MRIDenoise.py").open()
        volumes = [
            desk.modules.volumes.logic().AddArchetypeVolume(str(ROOT / "Resources" / "SampleData" / f"{name}.nii.gz"), name, 0)
            for name in ("head_T1w_noisy", "head_T1w_clean")
        ]
        panel.ui.inputSelector.setCurrentNode(volumes[0])
        panel.ui.referenceSelector.setCurrentNode(volumes[1])
        panel.ui.vendorBox.setEditText("Philips")
        panel.ui.denoiseButton.click()
        desk.wait_until(lambda: not panel.engine.busy and panel.ui.compareTwoButton.checked, PATIENCE)
        panel.ui.compareFourButton.click()
        panel.ui.tissuesCollapsible.collapsed = False
        panel.ui.tissuesButton.click()
        desk.wait_until(lambda: not panel.engine.busy, PATIENCE)
        desk.grab(desk.modules.mridenoise.panel, folder / "panel.png", PANEL)
        views, shown = _views(desk, panel), sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "panel.png")))[..., :3]
        height = max(len(views), len(shown))
        side_by_side = [np.pad(one, ((0, height - len(one)), (0, 0), (0, 0)), constant_values=239) for one in (shown, views)]
        _write(np.hstack(side_by_side), folder / "MRIDenoise.png")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 3, panel.ui.statusLabel.text


def _views(desk: Desk, panel) -> np.ndarray:
    """The comparison's views as one picture, row by row."""
    comparison = panel._compare._comparison
    drawn = {view: OffscreenView(desk._inner, view.tag) for view in comparison.layout.views}
    comparison.fit()
    comparison.draw_labels({view: one.renderer for view, one in drawn.items()})
    picture = np.vstack([np.hstack([drawn[view].picture() for view in row]) for row in comparison.layout.rows])
    for one in drawn.values():
        one.close()
    return picture


def _write(picture: np.ndarray, path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(picture, np.uint8), isVector=True), str(path))


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots"
    out.mkdir(parents=True, exist_ok=True)
    draw(out)
    print(f"pictures: {out}")
