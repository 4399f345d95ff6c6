"""Draws the documentation's screenshots from the real .ui, scene, worker and views: python Testing/panel/draw_screenshots.py [FOLDER]

The panel is drawn on stand-in widgets, so buttons and arrows look as this Qt draws them and not as Slicer does; the views are drawn
by Slicer's own libraries. What is shown is the sample volume, a patient of an open data set, with the noise of two-fold acceleration
simulated, in its middle slice, which holds a lesion.
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
import yaml  # noqa: E402
from offscreen import OffscreenView  # noqa: E402
from stand_in.desk import Desk  # noqa: E402
from vtk import vtkMatrix4x4  # noqa: E402

from MRIDenoiseLib.reader_study.running.creation import create_study  # noqa: E402

VIEW = 525
TALL_VIEW = 820
PANEL = 430
PATIENCE = 600
PAPER = 239

FORMS = {
    "single": [
        {"kind": "likert", "field": "image_quality"},
        {"kind": "fazekas"},
        {"kind": "text", "required": False},
    ],
    "side-by-side": [{"kind": "preference"}],
}
"""What the reader of the screenshot is asked."""


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
        _show_the_middle(volumes[0])
        panel.ui.compareFourButton.click()
        panel.ui.tissuesCollapsible.collapsed = False
        panel.ui.tissuesButton.click()
        desk.wait_until(lambda: not panel.engine.busy, PATIENCE)
        desk.grab(desk.modules.mridenoise.panel, folder / "panel.png", PANEL)
        comparison = panel._compare._comparison
        views = _views(desk, comparison, comparison.layout.rows)
        _write(_beside(_read(folder / "panel.png"), views), folder / "MRIDenoise.png")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 3, panel.ui.statusLabel.text


def _show_the_middle(volume) -> None:
    """Where Slicer itself opens a volume; the stand-in's views start at its edge."""
    import slicer

    to_ras = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    k, j, i = (size // 2 for size in slicer.util.arrayFromVolume(volume).shape)
    view = slicer.mrmlScene.GetSingletonNode("MRIDenoiseNoisy", "vtkMRMLSliceNode")
    view.JumpSliceByOffsetting(*(slicer.util.arrayFromVTKMatrix(to_ras) @ [i, j, k, 1])[:3])


def draw_reading(folder: Path) -> None:
    """Read the sample, clean and noisy, in two small studies: one image at a time, and side by side."""
    rows = [_reading(presentation) for presentation in FORMS]
    width = max(row.shape[1] for row in rows)
    _write(
        np.vstack([np.pad(row, ((0, 6), (0, width - row.shape[1]), (0, 0)), constant_values=PAPER) for row in rows]),
        folder / "reader-study.png",
    )


def _reading(presentation: str) -> np.ndarray:
    """Panel and views with a case on the screen."""
    with tempfile.TemporaryDirectory() as place, Desk(Path(place) / "desk") as desk:
        study = _study(Path(place), presentation)
        alone = presentation == "single"
        desk._inner.size = (2 * VIEW, TALL_VIEW) if alone else (VIEW, VIEW)
        panel = desk.load_module(ROOT / "MRIDenoise" / "MRIDenoise.py").open()
        panel.ui.readingCollapsible.collapsed = False
        desk.questions.answer(str(study))
        panel.ui.readingFolderButton.click()
        panel.ui.readingStartButton.click()
        room = panel._reading.room
        room.press("3" if alone else "2")
        picture = Path(place) / "panel.png"
        desk.grab(desk.modules.mridenoise.panel, picture, PANEL)
        views = _views(desk, room.views, (room.views.views,))
        room.finish()
        return _beside(_read(picture), views)


def _study(place: Path, presentation: str) -> Path:
    """A study of the sample, clean and noisy, under the codes of several patients."""
    samples = ROOT / "Resources" / "SampleData"
    values = {
        "name": "Fast T1w of the head",
        "seed": 4,
        "readers": ["R1", "R2"],
        "sessions": 2 if presentation == "single" else 1,
        "washout_days": 14,
        "presentation": presentation,
        "volumes": str(samples),
        "group": "head",
        "arms": {"clean": "head_T1w_clean.nii.gz", "noisy": "head_T1w_noisy.nii.gz"},
        "cases": [f"V{number}" for number in range(1, 7)],
        "forms": FORMS[presentation],
        "primary_outcome": "image_quality" if presentation == "single" else "preference",
    }
    (place / "study.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return create_study(place / "study.yaml", place / "study").root


def _views(desk: Desk, shown, rows) -> np.ndarray:
    """The views of a comparison or of a case as one picture, row by row."""
    drawn = {view: OffscreenView(desk._inner, view.tag) for row in rows for view in row}
    shown.fit()
    shown.draw_labels({view: one.renderer for view, one in drawn.items()})
    picture = np.vstack([np.hstack([drawn[view].picture() for view in row]) for row in rows])
    for one in drawn.values():
        one.close()
    return picture


def _beside(panel: np.ndarray, views: np.ndarray) -> np.ndarray:
    height = max(len(views), len(panel))
    return np.hstack([np.pad(one, ((0, height - len(one)), (0, 0), (0, 0)), constant_values=PAPER) for one in (panel, views)])


def _read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[..., :3]


def _write(picture: np.ndarray, path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(picture, np.uint8), isVector=True), str(path))


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots"
    out.mkdir(parents=True, exist_ok=True)
    draw_reading(out)
    draw(out)
    print(f"pictures: {out}")
