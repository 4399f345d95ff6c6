"""Label files that the command line writes are read by Slicer with their names and colours."""

from pathlib import Path

import nodes
import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from MRIDenoiseLib.io.images import Derivation
from MRIDenoiseLib.io.labels import write_colour_table, write_labels
from MRIDenoiseLib.segmentation import TissueClass
from MRIDenoiseLib.volume import Volume

CLASSES = (
    TissueClass(1, "cerebrospinal fluid", (85, 188, 255), 10.0, 1.0),
    TissueClass(2, "grey matter", (200, 200, 235), 20.0, 2.0),
    TissueClass(3, "white matter", (250, 250, 225), 30.0, 3.0),
)
DONE = Derivation("HMRF-EM tissue classes", "none", 0, suffix="tissues")


def labels() -> np.ndarray:
    array = np.zeros((4, 6, 5), np.uint8)
    array[1:3, 1:3], array[1:3, 3:4], array[2, 4] = 1, 2, 3
    return array


def test_a_segmentation_file_opens_with_names_colours_and_voxels_in_place(desktop, tmp_path: Path) -> None:
    grid = nodes.GRIDS["oblique"]
    path = tmp_path / "tissues.seg.nrrd"
    write_labels(labels(), Volume(labels().astype(np.float32), grid), CLASSES, path, DONE)
    node = desktop.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segments = [node.GetSegmentation().GetNthSegment(n) for n in range(node.GetSegmentation().GetNumberOfSegments())]
    assert [segment.GetName() for segment in segments] == [kind.name for kind in CLASSES]
    for segment, kind in zip(segments, CLASSES, strict=True):
        assert np.allclose(np.array(segment.GetColor()) * 255, kind.colour, atol=0.51) and segment.GetLabelValue() == kind.value
    image = node.GetBinaryLabelmapInternalRepresentation(node.GetSegmentation().GetNthSegmentID(2))
    counted = vtk_to_numpy(image.GetPointData().GetScalars())
    assert [int((counted == kind.value).sum()) for kind in CLASSES] == [int((labels() == kind.value).sum()) for kind in CLASSES]


def test_a_colour_table_names_and_colours_a_label_map(desktop, tmp_path: Path) -> None:
    path = tmp_path / "tissues.ctbl"
    write_colour_table(CLASSES, path)
    node = desktop.modules["Colors"].LoadColorFile(str(path))
    assert node is not None
    for kind in CLASSES:
        colour = [0.0] * 4
        node.GetColor(kind.value, colour)
        assert node.GetColorName(kind.value) == kind.name
        assert np.allclose(np.array(colour[:3]) * 255, kind.colour, atol=1)
