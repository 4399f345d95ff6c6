"""The picture hangs slices as radiologists do, whatever way they are stored."""

from pathlib import Path

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.pictures import before_after, display_window, oriented_slice
from MRIDenoiseLib.volume import Volume

AXIAL = np.diag([1.0, 1.0, 3.0, 1.0])


def stored(flip: tuple[int, ...], transpose: bool) -> Volume:
    """The same patient (1 at the left, 2 at the front, 0 elsewhere) stored in another way, axial slices."""
    voxels = np.zeros((3, 20, 30), np.float32)
    voxels[:, :, :5] = 1
    voxels[:, 15:, :] = 2
    matrix = AXIAL.copy()
    for axis in flip:
        voxels = np.flip(voxels, axis=axis)
        matrix[:, 2 - axis] *= -1
    if transpose:
        voxels = voxels.transpose(0, 2, 1)
        matrix = matrix[:, [1, 0, 2, 3]]
    return Volume(np.ascontiguousarray(voxels), matrix)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip", [(), (1,), (2,), (1, 2)])
def test_an_axial_slice_hangs_the_same_however_it_is_stored(flip: tuple[int, ...], transpose: bool) -> None:
    image, aspect = oriented_slice(stored(flip, transpose))
    assert image.shape == (20, 30)
    # The front is at the top, and the patient's left on the right.
    assert (image[:5] == 2).all()
    assert (image[5:, -5:] == 1).all()
    assert (image[5:, :-5] == 0).all()
    assert aspect == 1


def test_a_sagittal_slice_has_the_head_on_top_and_true_proportions() -> None:
    # k runs to the right, j up, i to the front; pixels twice as high as wide.
    matrix = np.array([[0, 0, 4, 0], [1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]], float)
    voxels = np.zeros((3, 16, 20), np.float32)
    voxels[:, 12:] = 1
    voxels[:, :, 18:] = 2
    image, aspect = oriented_slice(Volume(voxels, matrix))
    assert (image[:4, 2:] == 1).all()
    assert (image[:, :2] == 2).all()
    assert aspect == 2


def test_the_window_looks_at_tissue_and_not_at_air_or_the_brightest_fat() -> None:
    voxels = np.zeros(10_000, np.float32)
    voxels[:2000] = 100
    voxels[:40] = 900
    assert display_window(voxels) == pytest.approx(100)


def test_a_png_is_drawn_with_and_without_a_clean_partner(tmp_path: Path) -> None:
    noisy = stored((), False)
    sizes = []
    for clean in (None, noisy):
        path = tmp_path / "picture.png"
        before_after(noisy=noisy, denoised=noisy, residual=noisy.with_voxels(0 * noisy.voxels), clean=clean, path=path)
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        sizes.append(int.from_bytes(content[16:20], "big"))
    assert sizes[1] / sizes[0] == pytest.approx(4 / 3, rel=0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
