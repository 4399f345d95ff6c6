"""The window holds the body, fades out beside it, and fits the networks' grain."""

import numpy as np
import pytest

from MRIDenoiseLib.inference.slices import MARGIN, body_window, neighbours


def box(shape, rows, columns):
    mask = np.zeros((3, *shape), bool)
    mask[1, slice(*rows), slice(*columns)] = True
    return mask


def test_the_window_covers_the_body_fully_and_fades_beside_it():
    window = body_window(box((256, 320), (100, 140), (90, 190)))
    weight = np.zeros((256, 320))
    weight[window.rows, window.columns] = window.weight
    assert (weight[100:140, 90:190] == 1).all()
    assert window.shape[0] % 16 == 0 and window.shape[1] % 16 == 0
    assert window.shape[0] >= 40 + 2 * MARGIN and window.shape[1] >= 100 + 2 * MARGIN
    down = weight[139:, 120]
    assert (np.diff(down) <= 0).all() and np.abs(np.diff(down)).max() <= 1 / MARGIN
    assert weight[window.rows.start, 120] < 0.1 and weight[120, window.columns.start] < 0.1


@pytest.mark.parametrize("start", range(0, 60, 7))
@pytest.mark.parametrize("length", [1, 17, 40, 63])
def test_a_window_stays_inside_the_image_wherever_the_body_is(start, length):
    mask = box((100, 128), (start, min(100, start + length)), (0, 20))
    window = body_window(mask)
    assert 0 <= window.rows.start < window.rows.stop <= 100
    assert window.shape == (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
    assert window.shape[0] % 16 == 0 or window.shape[0] == 100
    assert (window.weight[start - window.rows.start :][:length, :20] == 1).all()


def test_a_body_at_the_edge_is_not_faded_there():
    window = body_window(box((256, 256), (5, 80), (200, 250)))
    assert window.rows.start == 0 and window.columns.stop == 256
    assert window.weight[0, -1] == 1


def test_a_body_that_fills_the_view_leaves_no_frame():
    window = body_window(box((130, 131), (10, 125), (8, 120)))
    assert window.shape == (130, 131) and (window.weight == 1).all()


def test_blending_takes_the_result_over_the_body_and_the_original_at_the_border():
    window = body_window(box((256, 256), (100, 140), (100, 140)))
    image = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    blended = window.blend(window.of(image), np.zeros(window.shape, np.float32))
    assert (blended[window.weight == 1] == 0).all()
    assert np.array_equal(blended[window.weight == 0], window.of(image)[window.weight == 0])


def test_a_missing_neighbour_is_the_slice_itself():
    stack = np.arange(4)[:, None, None] * np.ones((1, 2, 2))
    picked = [neighbours(stack, index, 3)[:, 0, 0].tolist() for index in range(4)]
    assert picked == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    assert neighbours(stack, 2, 1)[:, 0, 0].tolist() == [2]
