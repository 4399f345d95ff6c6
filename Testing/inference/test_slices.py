"""The window holds all that is shown and fits the networks' grain; disturbed slices are shown as the networks know them, and come back."""

import numpy as np
import pytest

from MRIDenoiseLib.inference.disturbances import Disturbances, Reception, occupied
from MRIDenoiseLib.inference.slices import BRIGHTEST_SHOWN, NetworkSlices, Window, content_window, neighbours


def places(size, start, stop):
    found = np.zeros(size, bool)
    found[start:stop] = True
    return found


@pytest.mark.parametrize("start", range(0, 60, 7))
@pytest.mark.parametrize("length", [1, 17, 40, 63])
def test_a_window_holds_all_that_is_shown_and_stays_inside_the_image(start, length):
    window = content_window(places(100, start, start + length), places(128, 0, 20))
    assert 0 <= window.rows.start <= start and min(100, start + length) <= window.rows.stop <= 100
    assert window.shape == (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
    assert window.shape[0] % 16 == 0 or window.shape[0] == 100
    assert window.shape[1] == 32 and (window.weight == 1).all()


def test_where_nothing_was_wiped_out_all_of_the_slice_is_computed():
    window = content_window(*occupied(np.ones((3, 130, 131), np.float32), None))
    assert window.shape == (130, 131)


def test_a_grown_window_gives_nothing_of_what_was_added():
    window = content_window(places(256, 100, 140), places(256, 100, 140)).grown(64, (256, 256))
    image = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    blended = window.blend(window.of(image), np.zeros(window.shape, np.float32))
    assert window.shape == (64, 64) and (window.weight == 0).any()
    assert (blended[window.weight == 1] == 0).all()
    assert np.array_equal(blended[window.weight == 0], window.of(image)[window.weight == 0])


def everything(stack):
    return Window(slice(0, stack.shape[1]), slice(0, stack.shape[2]), np.ones(stack.shape[1:], np.float32))


@pytest.fixture
def stack():
    return np.random.default_rng(1).uniform(20, 100, (4, 48, 64)).astype(np.float32)


def test_what_is_shown_comes_back_as_it_was(stack):
    stack[:, :10] = 0
    stack[1, 30, 30] = 900
    profile = np.log(np.linspace(0.2, 1, 24, dtype=np.float32))[None, None].repeat(4, 0).repeat(16, 1)
    disturbances = Disturbances(0.0, ceiling=500, reception=Reception(profile, 3, 5.0, 2.0))
    slices = NetworkSlices(stack, everything(stack), 100, disturbances, 0.1)
    for k in range(4):
        assert np.allclose(slices.restored(k, slices[k]), stack[k], rtol=1e-5, atol=1e-4)


def test_wiped_out_air_is_shown_as_noisy_air_of_its_own_in_every_slice_and_comes_back_exactly(stack):
    stack[:, :20] = 0
    slices = NetworkSlices(stack, everything(stack), 100, Disturbances(0.0), 0.1)
    air = [slices[k][:20] + 1 for k in (0, 1)]
    assert np.mean(air[0]) == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.05)
    assert abs(np.corrcoef(air[0].ravel(), air[1].ravel())[0, 1]) < 0.1
    assert np.array_equal(slices[1], slices[np.array([1])][0]), "the same whoever asks"
    assert np.array_equal(slices[0][20:], stack[0, 20:] * np.float32(2 / 100) - 1)
    assert (slices.restored(0, np.full((48, 64), 0.3, np.float32))[:20] == 0).all()


def test_another_window_shows_the_same_air(stack):
    stack[:, :20] = 0
    part = Window(slice(8, 40), slice(16, 48), np.ones((32, 32), np.float32))
    whole, cut = (NetworkSlices(stack, window, 100, Disturbances(0.0), 0.1)[2] for window in (everything(stack), part))
    assert np.array_equal(part.of(whole), cut)


def test_the_networks_see_nothing_brighter_than_tissue_and_what_is_brighter_keeps_its_excess(stack):
    stack[0, 5, 5] = 400
    slices = NetworkSlices(stack, everything(stack), 100)
    assert slices[0].max() == BRIGHTEST_SHOWN
    estimate = slices[0] - np.float32(0.5)
    assert slices.restored(0, estimate)[5, 5] == pytest.approx(400 - 25, rel=1e-5)


def test_a_missing_neighbour_is_the_slice_itself():
    stack = np.arange(4)[:, None, None] * np.ones((1, 2, 2))
    picked = [neighbours(stack, index, 3)[:, 0, 0].tolist() for index in range(4)]
    assert picked == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    assert neighbours(stack, 2, 1)[:, 0, 0].tolist() == [2]
