"""How a test works the panel: volumes for it, choices, pressing a button and waiting."""

from pathlib import Path

import numpy as np
import vtk

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MRIDenoise" / "MRIDenoise.py"


def add_volume(name: str, array: np.ndarray | None = None, spacing: float = 4.0):
    """A small head-like volume of int16 in thick oblique slices."""
    import slicer

    if array is None:
        rng = np.random.default_rng(len(name))
        array = np.zeros((6, 40, 36), np.float32)
        array[:, 6:-6, 6:-6] = 300
        array[:, 10:20, 10:20] = 700
        array = np.hypot(array + rng.normal(0, 40, array.shape), rng.normal(0, 40, array.shape))
    turn = np.array([[0.98, -0.199, 0], [0.199, 0.98, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn / np.linalg.norm(turn, axis=0) * [1, 1, spacing]
    return slicer.util.addVolumeFromArray(array.astype(np.int16), ijkToRAS=matrix, name=name)


def add_region(volume, middle: tuple[float, float, float], size: tuple[float, float, float]):
    """A box about a voxel (i, j, k), with its size in mm."""
    import slicer

    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(*(slicer.util.arrayFromVTKMatrix(to_ras) @ [*middle, 1])[:3])
    roi.SetSize(*size)
    return roi


def load(*files: Path):
    """A file, or the files of a series, as Slicer's own volumes logic reads them."""
    import slicer

    names = vtk.vtkStringArray()
    for file in files:
        names.InsertNextValue(str(file))
    return slicer.modules.volumes.logic().AddArchetypeVolume(str(files[0]), files[0].name.removesuffix(".nii.gz"), 0, names)


def choose(panel, volume, organ: str = "knee", contrast: str = "T1w") -> None:
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.organBox.setEditText(organ)
    panel.ui.contrastBox.setEditText(contrast)


def run(slicer_app, panel, button, seconds: float = 120.0) -> str:
    """Press a button, wait for its job, and give what the panel says then."""
    assert button.enabled, button.toolTip
    button.click()
    slicer_app.wait_until(lambda: not panel.engine.busy, seconds)
    return panel.ui.statusLabel.text


def slice_shown(volume) -> int:
    """Which slice the comparison's first view shows."""
    import slicer

    from MRIDenoiseLib.mrml.planes import index_of_plane

    view = slicer.mrmlScene.GetSingletonNode("MRIDenoiseNoisy", "vtkMRMLSliceNode")
    return index_of_plane(volume, 0, slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()))


def nodes(kind: str = "vtkMRMLScalarVolumeNode") -> list:
    import slicer

    return slicer.util.getNodesByClass(kind)


def pid(panel) -> int:
    return panel.engine._client.process.pids[-1]
