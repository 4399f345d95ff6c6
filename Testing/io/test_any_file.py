"""Whatever file it is, whole or damaged: what is read is what it holds, or one sentence says why not.

A few of every kind are tried in the test run; ``python -m pytest Testing/io/test_any_file.py --hypothesis-profile=whole`` tries
a thousand, other ones every time.
"""

from __future__ import annotations

import tempfile
import warnings
import zlib
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from any_file import DAMAGES, Damage, Made, meta, nifti, nrrd, put
from any_series import MadeSeries, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.volume import Volume

WHOLE = settings().max_examples > 100
"""Whether the thousand was asked for."""

few = settings(
    max_examples=250 if WHOLE else 12,
    derandomize=not WHOLE,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def same_place(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether two grids put the outermost voxels of an array (z, y, x) within 0.01 mm of each other."""
    corners = np.array([[i, j, k, 1] for i in (0, shape[2] - 1) for j in (0, shape[1] - 1) for k in (0, shape[0] - 1)])
    return bool(np.abs(corners @ (one - other).T).max() < 0.01)


def holds(volume: Volume, voxels: np.ndarray) -> bool:
    """Whether a volume's voxels are these, as float32 holds them."""
    return volume.voxels.shape == voxels.shape and np.array_equal(volume.voxels, voxels.astype(np.float32))


@pytest.mark.parametrize("kind", [nifti, nrrd, meta], ids=lambda kind: kind.__name__)
def test_a_whole_file_is_read_voxel_for_voxel_where_it_lies_and_written_back_there(kind: type) -> None:
    @few
    @given(kind())
    def check(made: Made) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = put(made.content, made.ending, Path(folder))
            volume = io.read(path)
            assert holds(volume, made.voxels)
            assert same_place(volume.ijk_to_ras, made.ijk_to_ras, made.voxels.shape)
            result = Path(folder) / f"result{made.ending}"
            io.write(volume, result)
            again = io.read(result)
            assert holds(again, made.voxels)
            assert same_place(again.ijk_to_ras, made.ijk_to_ras, made.voxels.shape)
            assert {one.name for one in Path(folder).iterdir()} <= {path.name, result.name, "result.json"}

    check()


@pytest.mark.parametrize("kind", [nifti, nrrd, partial(meta, sized=True)], ids=["nifti", "nrrd", "meta"])
def test_a_damaged_file_is_refused_in_one_sentence_or_read_as_others_read_it(kind: type) -> None:
    @few
    @given(kind(), DAMAGES)
    def check(made: Made, damage: Damage) -> None:
        content = damage.of(made.content)
        with tempfile.TemporaryDirectory() as folder:
            path = put(content, made.ending, Path(folder))
            try:
                volume = io.read(path)
            except MRIDenoiseError as error:
                said = str(error)
                assert "\n" not in said and folder not in said and len(said) < 300, said
                return
            if holds(volume, made.voxels):
                return
            assert not made.compressed or _still_sound(made, content), "damage under a checksum was not noticed"
            assert _others_read(path, volume), f"{damage} gave voxels that nobody else reads"

    check()


def _still_sound(made: Made, content: bytes) -> bool:
    """Whether the bytes under the checksum are the ones they were, so that only the header was hit."""
    if made.ending == ".nii.gz":
        return False
    packed = made.content[made.payload :]
    return content.endswith(packed) or zlib.crc32(packed) == zlib.crc32(content[made.payload :])


def _others_read(path: Path, volume: Volume) -> bool:
    """Whether ITK or nibabel (for NIfTI) finds the same voxels; the one is stricter here, the other there."""
    readers = [lambda: sitk.GetArrayFromImage(sitk.ReadImage(str(path)))]
    if path.name.endswith((".nii", ".nii.gz")):
        readers.append(lambda: np.asanyarray(nibabel.load(path).dataobj).T)
    for reader in readers:
        try:
            theirs = reader().ravel()
        except (RuntimeError, OSError, ValueError, nibabel.spatialimages.HeaderDataError):
            continue
        if theirs.size == volume.voxels.size and np.allclose(theirs, volume.voxels.ravel(), rtol=1e-6, equal_nan=True):
            return True
    return False


def slices_found(volume: Volume, made: MadeSeries) -> list[int | None]:
    """For each slice of a volume the number of the made one that lies at its place and holds its values, or None."""
    found: list[int | None] = []
    for k, voxels in enumerate(volume.voxels):
        place = (volume.ijk_to_ras @ [0, 0, k, 1])[:3]
        right = [n for n, one in enumerate(made.slices) if np.abs(one.position - place).max() < 0.01]
        same = [n for n in right if np.allclose(voxels, made.slices[n].values, rtol=1e-6)]
        found.append(same[0] if same else None)
    return found


@few
@given(series())
def test_a_whole_series_is_read_slice_for_slice_where_each_lies_and_derived_from_there(made: MadeSeries) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        made.put(source)
        volume = io.read(source)
        assert sorted(map(str, slices_found(volume, made))) == sorted(map(str, range(len(made.slices))))
        io.write(volume, Path(folder) / "out")
        again = io.read(Path(folder) / "out")
        assert slices_found(again, made) == slices_found(volume, made)
        assert {one.name for one in Path(folder).iterdir()} == {"in", "out"}


@few
@given(series(), DAMAGES, st.integers(0, 5))
def test_a_series_with_a_damaged_file_is_refused_or_read_without_a_wrong_voxel(made: MadeSeries, damage: Damage, which: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = made.put(Path(folder))
        hit = paths[which % len(paths)]
        hit.write_bytes(damage.of(hit.read_bytes()))
        try:
            volume = io.read(folder)
        except MRIDenoiseError as error:
            said = str(error)
            assert "\n" not in said and str(Path(folder).parent) not in said and len(said) < 400, said
            return
        found = slices_found(volume, made)
        wrong = [k for k, number in enumerate(found) if number is None]
        if wrong:
            # A byte of plain pixels or of a place in the header that nothing checks: then it is as others read this very file.
            assert len(wrong) == 1 and _as_pydicom_reads(hit, volume.voxels[wrong[0]])
        if len(found) < len(made.slices):
            assert volume.notes, "a slice was left out without a word"


def _as_pydicom_reads(path: Path, voxels: np.ndarray) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pydicom.dcmread(path, force=True)
        values = file.pixel_array * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0))
    return bool(values.shape == voxels.shape and np.allclose(values, voxels, rtol=1e-6))


def test_the_generator_covers_what_it_promises() -> None:
    seen: set[tuple] = set()

    @settings(max_examples=200, derandomize=True, database=None, deadline=None)
    @given(st.one_of(nifti(), nrrd(), meta()))
    def look(made: Made) -> None:
        left_handed = bool(np.linalg.det(made.ijk_to_ras[:3, :3]) < 0)
        seen.add((made.ending, made.compressed, left_handed))

    look()
    assert len(seen) >= 12
