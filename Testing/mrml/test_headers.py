"""Headers behind a node: read as the command line reads them, and given to the slices only where they belong to them."""

from pathlib import Path

import dicom_factory as factory
import nodes
import numpy as np
import pytest
import slicer
import vtk
from pydicom import dcmread

from MRIDenoiseLib import io
from MRIDenoiseLib.mrml import source_files, to_volume


class Database:
    """What is known about files, by SOP Instance UID; an unknown one has no file."""

    def __init__(self, *paths: Path) -> None:
        self.files = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): str(path) for path in paths}

    def __call__(self, uid: str) -> str:
        return self.files.get(uid, "")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A series whose first slice differs from the others in what can be read from it."""
    for place, name in enumerate(["d", "a", "e", "b", "c"]):
        changes = {"NumberOfAverages": 1 if place == 0 else 3, "Manufacturer": "SIEMENS", "BodyPartExamined": "KNEE"}
        factory.save(factory.slice_header(place, **changes), tmp_path / "series" / name)
    return tmp_path / "series"


def load(desktop, folder: Path):
    """The series as Slicer's DICOM module loads it: files in the order of their slices, and their identifiers as an attribute."""
    paths = sorted(folder.iterdir(), key=lambda path: float(np.array(dcmread(path).ImagePositionPatient, float) @ factory.NORMAL))
    names = vtk.vtkStringArray()
    for path in paths:
        names.InsertNextValue(str(path))
    node = desktop.modules["Volumes"].AddArchetypeVolume(str(paths[0]), "7: t2 sag", 0, names)
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(dcmread(path).SOPInstanceUID) for path in paths))
    return node


def positions(volume) -> np.ndarray:
    """RAS of the first voxel of every slice, as its header says."""
    return np.array([np.array(header.ImagePositionPatient, float) * [-1, -1, 1] for header in volume.headers])


def first_voxels(volume) -> np.ndarray:
    """RAS of the first voxel of every slice, as the grid says."""
    return np.array([(volume.ijk_to_ras @ [0, 0, k, 1])[:3] for k in range(len(volume.voxels))])


def backwards(node, scene):
    """The same image in the scene with its slices counted from the other end."""
    array, grid = slicer.util.arrayFromVolume(node), nodes.array_of(node)
    flip = np.diag([1.0, 1.0, -1.0, 1.0])
    flip[2, 3] = len(array) - 1
    other = nodes.add_volume(scene, array[::-1].copy(), grid @ flip, "backwards")
    other.SetAttribute("DICOM.instanceUIDs", node.GetAttribute("DICOM.instanceUIDs"))
    return other


def test_a_loaded_series_has_the_headers_and_the_acquisition_that_reading_its_folder_gives(desktop, series: Path) -> None:
    volume, read = to_volume(load(desktop, series), Database(*series.iterdir())), io.read(series)
    assert volume.acquisition == read.acquisition
    assert (volume.acquisition.organ.value, volume.acquisition.vendor.value, volume.acquisition.averages.value) == ("knee", "Siemens", 1)
    assert sorted(h.SOPInstanceUID for h in volume.headers) == sorted(h.SOPInstanceUID for h in read.headers)
    assert np.allclose(positions(volume), first_voxels(volume), atol=1e-3)
    for k, header in enumerate(volume.headers):
        assert np.array_equal(volume.voxels[k], dcmread(Database(*series.iterdir())(header.SOPInstanceUID)).pixel_array)
    assert all("PixelData" not in header for header in volume.headers)


def test_slices_that_count_from_the_other_end_keep_their_own_headers(desktop, series: Path) -> None:
    forwards = load(desktop, series)
    database = Database(*series.iterdir())
    one, other = to_volume(forwards, database), to_volume(backwards(forwards, desktop.scene), database)
    assert [h.SOPInstanceUID for h in other.headers] == [h.SOPInstanceUID for h in one.headers][::-1]
    assert np.allclose(positions(other), first_voxels(other), atol=1e-3)
    assert other.acquisition == one.acquisition == io.read(series).acquisition


def test_an_image_that_is_no_longer_on_the_files_grid_gets_the_acquisition_and_no_headers(desktop, series: Path) -> None:
    node = load(desktop, series)
    grid = nodes.array_of(node)
    for name, change in {"moved": (0, 3, 9.0), "other slices": (2, 2, 1.5)}.items():
        changed = grid.copy()
        changed[change[0], change[1]] += change[2]
        if name == "other slices":
            changed[:3, :3] = grid[:3, :3][:, [2, 0, 1]]
        node.SetIJKToRASMatrix(nodes.matrix_of(changed))
        volume = to_volume(node, Database(*series.iterdir()))
        assert volume.headers == (), name
        assert volume.acquisition == io.read(series).acquisition, name


def test_a_cropped_image_gets_no_headers(desktop, series: Path) -> None:
    node = load(desktop, series)
    slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[:, :-2].copy())
    volume = to_volume(node, Database(*series.iterdir()))
    assert volume.headers == () and volume.acquisition.organ.value == "knee"


def test_files_that_are_gone_damaged_or_unknown_are_left_out(desktop, series: Path) -> None:
    node, paths = load(desktop, series), sorted(series.iterdir())
    database = Database(*paths)
    assert sorted(source_files(node, database)) == paths
    paths[1].unlink()
    del database.files[next(uid for uid, path in database.files.items() if path == str(paths[2]))]
    assert sorted(source_files(node, database)) == [paths[0], paths[3], paths[4]]
    first = Path(database(node.GetAttribute("DICOM.instanceUIDs").split()[0]))
    first.write_bytes(first.read_bytes()[:200])
    volume = to_volume(node, database)
    assert volume.headers == () and volume.acquisition.vendor.value == "Siemens"


def test_without_any_file_the_name_is_read(desktop) -> None:
    node = nodes.add_volume(desktop.scene, nodes.voxels(), name="knee_PDw")
    for database in (Database(), None):
        volume = to_volume(node, database)
        assert volume.headers == () and volume.acquisition.organ.value == "knee"
        assert volume.acquisition.contrast.value == "PDw"


def test_the_frames_of_an_enhanced_file_are_described_by_one_header_as_in_the_library(desktop, tmp_path: Path) -> None:
    path = factory.enhanced(tmp_path / "e.dcm", [2, 0, 1, 3])
    read = io.read(path)
    node = nodes.add_volume(desktop.scene, read.voxels, read.ijk_to_ras)
    node.SetAttribute("DICOM.instanceUIDs", str(read.headers[0].SOPInstanceUID))
    volume = to_volume(node, Database(path))
    assert volume.headers == read.headers and volume.acquisition == read.acquisition
    assert to_volume(backwards(node, desktop.scene), Database(path)).headers == ()
