"""Gridding golden-angle spokes gives the object back: its values, its place and its noise."""

import numpy as np
import pytest
from pair_files import disc

from MRIDenoiseLib.data.breast import RadialGrid

SIZE, SPOKES = 48, 120


def test_a_disc_comes_back_where_it_is_and_as_bright_as_it_is() -> None:
    image = RadialGrid(SPOKES, 2 * SIZE).images(disc(SIZE, SPOKES, 0.3, 0.05, -0.1) - 0.5 * disc(SIZE, SPOKES, 0.08, 0.15, 0.0)).real
    row, column = (np.mgrid[:SIZE, :SIZE] - SIZE // 2) / SIZE
    large, small = np.hypot(row - 0.05, column + 0.1), np.hypot(row - 0.15, column)
    assert image[(large < 0.25) & (small > 0.13)].mean() == pytest.approx(1, abs=0.01)
    assert image[small < 0.03].mean() == pytest.approx(0.5, abs=0.04)
    assert abs(image[large > 0.4].mean()) < 0.01
    assert (image > 0.5)[(large > 0.33) | (large < 0.27) & (small > 0.1)].sum() == (large[small > 0.1] < 0.27).sum()


def test_many_images_are_transformed_at_once_and_alike() -> None:
    grid = RadialGrid(SPOKES, 2 * SIZE)
    first, second = disc(SIZE, SPOKES, 0.2, 0, 0), disc(SIZE, SPOKES, 0.1, 0.1, 0)
    both = grid.images(np.stack([first, second])[None])
    assert both.shape == (1, 2, SIZE, SIZE) and np.allclose(both[0, 1], grid.images(second), atol=1e-5)


def test_the_result_is_linear_in_the_data_and_noise_has_no_mean() -> None:
    draw = np.random.default_rng(0)
    grid = RadialGrid(SPOKES, 2 * SIZE)
    noise = draw.standard_normal((SPOKES, 2 * SIZE)) + 1j * draw.standard_normal((SPOKES, 2 * SIZE))
    assert np.allclose(grid.images(3 * noise), 3 * grid.images(noise), rtol=1e-4, atol=1e-5)
    assert abs(grid.images(noise).mean()) < 0.2 * grid.images(noise).std()
