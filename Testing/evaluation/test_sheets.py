"""The sheet shows the pixels themselves, three times enlarged, of the place the frame marks."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from MRIDenoiseLib.evaluation.pictures import CROP, FOOT, GAP, TITLE, ZOOM, display_window, draw_sheet
from MRIDenoiseLib.volume import Volume

SIDE = ZOOM * CROP


def volume(rows: int, columns: int, body: tuple[slice, slice]) -> Volume:
    """Three axial slices that hang as they are stored: x runs to the patient's left, y to the back."""
    voxels = np.random.default_rng(0).uniform(0, 10, (3, rows, columns)).astype(np.float32)
    voxels[(slice(None), *body)] += 200
    voxels[2] = 0
    return Volume(voxels, np.diag([-1.0, -1.0, 3.0, 1.0]))


def enlarged(path: Path, number: int, rows: int, columns: int) -> np.ndarray:
    """Grey values of the lower panel ``number``, one a voxel; every voxel must fill its nine screen pixels."""
    picture = imread(path)[..., 0]
    x, bottom = GAP + number * (SIDE + GAP), len(picture) - FOOT
    panel = picture[bottom - ZOOM * rows : bottom, x : x + ZOOM * columns].reshape(rows, ZOOM, columns, ZOOM)
    assert (panel == panel[:, :1, :, :1]).all()
    return panel[:, 0, :, 0]


def draw(path: Path, noisy: Volume, **others: Volume | int) -> None:
    draw_sheet(noisy=noisy, denoised=noisy.with_voxels(0.9 * noisy.voxels), path=path, title="a phantom", **others)


def test_every_voxel_of_the_middle_of_the_body_is_three_by_three_pixels(tmp_path):
    noisy = volume(300, 340, (slice(150, 250), slice(20, 120)))
    draw(tmp_path / "sheet.png", noisy)
    window = display_window(noisy.voxels)
    # The body's middle is at row 200 and column 70.
    shown = noisy.voxels[1, 200 - CROP // 2 : 200 + CROP // 2, 70 - CROP // 2 : 70 + CROP // 2]
    for number, factor in ((0, 1.0), (1, 0.9)):
        grey = enlarged(tmp_path / "sheet.png", number, CROP, CROP)
        assert np.abs(grey - np.clip(factor * shown / window, 0, 1)).max() < 0.01
    residual = enlarged(tmp_path / "sheet.png", 2, CROP, CROP)
    assert np.abs(residual - np.clip(0.5 + 0.1 * shown / (0.4 * window), 0, 1)).max() < 0.01


def test_a_small_image_is_shown_whole(tmp_path):
    noisy = volume(40, 52, (slice(10, 30), slice(10, 40)))
    draw(tmp_path / "sheet.png", noisy, index=0)
    grey = enlarged(tmp_path / "sheet.png", 0, 40, 52)
    assert np.abs(grey - np.clip(noisy.voxels[0] / display_window(noisy.voxels), 0, 1)).max() < 0.01


@pytest.mark.parametrize("clean, panels", [(False, 3), (True, 4)])
def test_there_is_a_panel_for_the_clean_volume_where_there_is_one(tmp_path, clean, panels):
    noisy = volume(40, 52, (slice(10, 30), slice(10, 40)))
    draw(tmp_path / "sheet.png", noisy, **({"clean": noisy} if clean else {}))
    assert imread(tmp_path / "sheet.png").shape[:2] == (2 * (SIDE + TITLE) + TITLE + FOOT, panels * (SIDE + GAP) + GAP)


def test_every_sheet_is_marked_and_an_older_one_is_replaced(tmp_path):
    noisy = volume(40, 52, (slice(10, 30), slice(10, 40)))
    (tmp_path / "sheet.png").write_bytes(b"older")
    draw(tmp_path / "sheet.png", noisy)
    foot = imread(tmp_path / "sheet.png")[-FOOT + 2 :, :, 0]
    assert (foot > 0.9).sum() > 200, "the mark in white letters"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_slice_without_a_body_is_drawn_too(tmp_path):
    draw(tmp_path / "sheet.png", volume(40, 52, (slice(10, 30), slice(10, 40))), index=2)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
