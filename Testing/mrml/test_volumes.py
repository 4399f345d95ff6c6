"""Node to Volume: the same image at the same places, whatever the orientation and type, and everything that is refused."""

from pathlib import Path

import nodes
import numpy as np
import pytest
import slicer
import vtk

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.mrml import to_volume
from MRIDenoiseLib.volume import Volume


@pytest.mark.parametrize("kind", nodes.GRIDS)
def test_a_file_that_slicer_loads_is_the_same_in_patient_space_as_one_that_the_library_reads(desktop, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "head_T1w.nii.gz"
    io.write(Volume(nodes.voxels().astype(np.float32), nodes.GRIDS[kind], "int16"), path)
    node = desktop.modules["Volumes"].AddArchetypeVolume(str(path), "head_T1w", 0)
    scene, library = to_volume(node), io.read(path)
    points = nodes.centres(scene.voxels.shape, scene.ijk_to_ras)
    assert np.array_equal(scene.voxels.ravel(), nodes.at_points(library.voxels, library.ijk_to_ras, points))
    assert scene.pixel_type == library.pixel_type == "int16" and scene.name == "head_T1w"
    assert scene.acquisition == library.acquisition and scene.acquisition.contrast.value == "T1w"


@pytest.mark.parametrize("kind", nodes.GRIDS)
def test_voxels_are_a_float_copy_on_the_grid_of_the_node(desktop, kind: str) -> None:
    array = nodes.voxels()
    node = nodes.add_volume(desktop.scene, array, nodes.GRIDS[kind])
    volume = to_volume(node)
    assert np.array_equal(volume.voxels, array) and volume.voxels.dtype == np.float32
    assert np.allclose(volume.ijk_to_ras, nodes.GRIDS[kind]) and volume.ijk_to_ras.dtype == np.float64


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_the_pixel_type_is_the_scalar_type_of_the_node(desktop, kind: str) -> None:
    array = (nodes.voxels() // 2).astype(kind)
    node = nodes.add_volume(desktop.scene, array)
    volume = to_volume(node)
    assert volume.pixel_type == kind and np.array_equal(volume.voxels, array.astype(np.float32))
    volume.voxels[:] = 0
    assert np.array_equal(slicer.util.arrayFromVolume(node), array)


def test_a_transform_that_the_node_lies_under_does_not_reach_the_volume(desktop) -> None:
    node = nodes.add_volume(desktop.scene, nodes.voxels(), nodes.GRIDS["oblique"])
    node.SetAndObserveTransformNodeID(nodes.add_shift(desktop.scene).GetID())
    assert np.allclose(to_volume(node).ijk_to_ras, nodes.GRIDS["oblique"])


def _no_image(scene):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "head T1w")


def _no_voxels(scene):
    node = _no_image(scene)
    node.SetAndObserveImageData(vtk.vtkImageData())
    return node


def _of_class(kind: str):
    return lambda scene: scene.AddNewNodeByClass(kind, "head T1w")


def _three_components(scene):
    image = vtk.vtkImageData()
    image.SetDimensions(3, 4, 5)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node = _no_image(scene)
    node.SetAndObserveImageData(image)
    return node


def _sheared(scene):
    # An image of Slicer's own keeps its axes perpendicular unless it is told otherwise.
    grid = nodes.GRIDS["RAS"].copy()
    grid[0, 1] = 0.2
    node = nodes.add_volume(scene, nodes.voxels(), nodes.GRIDS["RAS"])
    node.SetIJKToRASMatrix(nodes.matrix_of(grid))
    return node


def _with_nan(scene):
    array = np.full_like(nodes.voxels().astype(np.float32), np.nan)
    return nodes.add_volume(scene, array)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (_no_image, "holds no image"),
        (_no_voxels, "holds no voxels"),
        (_three_components, "3 values a voxel"),
        (_of_class("vtkMRMLLabelMapVolumeNode"), "is a label map"),
        (_of_class("vtkMRMLVectorVolumeNode"), "colour or vector"),
        (_of_class("vtkMRMLSequenceNode"), "is a sequence"),
        (_of_class("vtkMRMLModelNode"), "is not an image"),
        (_sheared, "sheared grid"),
        (_with_nan, "NaN"),
        (lambda scene: nodes.add_volume(scene, np.full(nodes.SHAPE, 7, np.int16)), "same value"),
    ],
)
def test_what_is_no_grey_volume_is_refused_in_one_sentence(desktop, make, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        to_volume(make(desktop.scene))
    sentence = str(caught.value)
    assert sentence.startswith("head T1w ") or sentence.startswith("head T1w: ")
    assert "\n" not in sentence and not sentence.endswith(".")
