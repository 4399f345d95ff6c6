"""Vessels in a maximum projection are found where they are, and a method that blurs them away is told apart from one that does not."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.through_plane import ThinStructures, maximum_projection, three_dimensional_scans

POINTS = [(50, 60), (70, 90), (95, 65), (100, 100)]


@pytest.fixture(scope="module")
def slab() -> tuple[np.ndarray, np.ndarray]:
    """Clean slices and the body of their projection: a bright rim, a broad bright organ, four vessels two pixels wide across slices."""
    y, x = np.mgrid[0:150, 0:150]
    radius = np.hypot(y - 75, x - 75)
    image = np.where(radius < 65, 0.4, 0.0) + np.where((radius > 61) & (radius < 65), 0.6, 0.0)
    image[np.hypot(y - 60, x - 120) < 9] = 0.9
    slices = np.stack([image] * 8)
    for number, (row, column) in enumerate(POINTS):
        slices[2 * number : 2 * number + 2, row : row + 2, column : column + 2] = 0.9
    return slices, radius < 65


@pytest.fixture(scope="module")
def noisy(slab) -> np.ndarray:
    return slab[0] + np.random.default_rng(0).normal(0, 0.02, slab[0].shape)


def test_the_strongest_are_the_vessels_and_neither_the_rim_nor_the_organ(slab, noisy):
    found = ThinStructures.of(maximum_projection(noisy), slab[1])
    assert len(found.places) == len(POINTS)
    for row, column in POINTS:
        assert np.hypot(*(found.places - (row + 0.5, column + 0.5)).T).min() <= 1


def test_their_contrast_is_the_peak_over_the_surroundings(slab):
    projection = maximum_projection(slab[0])
    found = ThinStructures.of(projection, slab[1])
    assert found.contrasts(projection)[: len(POINTS)] == pytest.approx(0.5)


def test_what_is_kept_is_what_was_left(slab):
    projection = maximum_projection(slab[0])
    vessels = ThinStructures(ThinStructures.of(projection, slab[1]).places[: len(POINTS)])
    assert vessels.kept(projection, projection) == 1
    background = np.where(slab[1], 0.4, 0.0)
    assert vessels.kept(projection, background + 0.3 * (projection - background)) == pytest.approx(0.3)
    blurred = maximum_projection(ndimage.gaussian_filter(slab[0], (0, 1.2, 1.2)))
    assert vessels.kept(projection, blurred) < 0.5


def test_a_projection_without_body_or_without_structures_is_refused(slab):
    flat = np.full((150, 150), 0.4)
    with pytest.raises(InputError, match="too little of the body"):
        ThinStructures.of(flat, np.zeros((150, 150), bool))
    with pytest.raises(InputError, match="no thin bright structure"):
        ThinStructures.of(flat, slab[1]).kept(flat, flat)


def test_scans_for_projections_are_those_of_the_manifest_that_are_three_dimensional_and_no_patient_of_the_tests(tmp_path):
    (tmp_path / "volumes").mkdir()
    scans = {
        "thick": ((64, 8, 8), (1.0, 1.0, 3.0), "as-scanned"),
        "short": ((20, 30, 30), (1.0, 1.0, 1.0), "as-scanned"),
        "whole": ((64, 70, 70), (0.9, 0.9, 1.0), "as-scanned"),
        "kept": ((64, 70, 70), (0.9, 0.9, 1.0), "test"),
    }
    rows = ["file,source,licence,organ,contrast,vendor,subject,split,own_noise"]
    for name, (shape, spacing, split) in scans.items():
        image = sitk.GetImageFromArray(np.random.default_rng(0).random(shape, np.float32))
        image.SetSpacing(spacing)
        sitk.WriteImage(image, str(tmp_path / "volumes" / f"{name}.nii.gz"))
        rows.append(f"volumes/{name}.nii.gz,here,CC0,head,T1w,unknown,{name},{split},0.02")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(rows) + "\n")
    assert [row.name for row in three_dimensional_scans(tmp_path)] == ["whole"]
