"""The disc signal index measures what was marked, where it was marked."""

import numpy as np
import pytest

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.reading.answers import mean_in_circle, signal_index
from MRIDenoiseLib.volume import Volume

# Sagittal slices 4 mm apart, as a spine is scanned; voxels (z, y, x) = (slice, down, back).
SAGITTAL = np.array([[0, 0, 4.0, -20], [-1.0, 0, 0, 40], [0, -0.5, 0, 60], [0, 0, 0, 1]])


def ras(i: float, j: float, k: float) -> list[float]:
    return (SAGITTAL @ [i, j, k, 1])[:3].tolist()


@pytest.fixture
def spine() -> Volume:
    voxels = np.full((9, 80, 60), 50, np.float32)
    voxels[4, 20:40, 10:30] = 300
    voxels[4, 20:60, 40:50] = 1200
    return Volume(voxels, SAGITTAL)


def circles(**changes):
    return {"nucleus pulposus": [*ras(20, 30, 4), 4.0], "cerebrospinal fluid": [*ras(45, 40, 4), 3.0]} | {
        {"nucleus": "nucleus pulposus", "fluid": "cerebrospinal fluid"}[name]: value for name, value in changes.items()
    }


def test_the_index_is_the_ratio_of_the_two_means(spine):
    found = signal_index(spine, circles())
    assert found["ratio"] == pytest.approx(0.25)
    assert found["means"] == {"nucleus pulposus": 300.0, "cerebrospinal fluid": 1200.0}
    assert found["regions"] == circles()


def test_a_circle_is_round_in_millimetres_in_the_slice_and_nowhere_else(spine):
    marked = spine.with_voxels(np.zeros_like(spine.voxels))
    z, y, x = np.indices(marked.voxels.shape)
    inside = (z == 4) & ((x - 20) ** 2 + ((y - 30) * 0.5) ** 2 <= 4.0**2)
    marked.voxels[inside] = 1
    assert mean_in_circle(marked, [*ras(20, 30, 4), 4.0]) == 1.0
    assert mean_in_circle(marked, [*ras(20, 30, 4.4), 4.0]) == 1.0, "the slice next to the centre counts"
    assert mean_in_circle(marked, [*ras(20, 30, 5), 4.0]) == 0.0
    assert mean_in_circle(marked, [*ras(20, 30, 4), 5.0]) == pytest.approx(16 / 25, abs=0.03)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fluid": [*ras(45, 40, 5), 3.0]}, "different slices"),
        ({"fluid": [*ras(58, 40, 4), 3.0]}, "out of the image"),
        ({"fluid": [*ras(45.5, 40.5, 4), 0.2]}, "smaller than a voxel"),
        ({"nucleus": [*ras(20, 30, 40), 4.0], "fluid": [*ras(45, 40, 40), 3.0]}, "out of the image"),
    ],
)
def test_circles_that_measure_nothing_sensible_are_refused(change, complaint, spine):
    with pytest.raises(SettingsError, match=complaint):
        signal_index(spine, circles(**change))


def test_fluid_without_signal_is_refused(spine):
    dark = spine.with_voxels(np.where(spine.voxels == 1200, 0, spine.voxels))
    with pytest.raises(SettingsError, match="holds no signal"):
        signal_index(dark, circles())
