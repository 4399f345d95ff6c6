"""Another matrix without another image: values, places and noise are those that k-space padding gives, and no interpolation does."""

import itertools
import math

import numpy as np
import pytest

from MRIDenoiseLib.data.zero_fill import fill_factor, matching_matrix, resize, resize_volume, resized_affine
from MRIDenoiseLib.volume import Volume

SIZES = [(32, 48), (32, 31), (31, 48), (33, 20), (48, 32)]


def wave(position: np.ndarray, cycles: int) -> np.ndarray:
    """A signal of at most ``cycles`` periods over a field of view of length 1."""
    return 2.5 + sum(np.cos(2 * math.pi * k * position + 0.7 * k) / (1 + k) for k in range(1, cycles + 1))


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_a_constant_keeps_its_value(old: int, new: int):
    assert np.abs(resize(np.full((2, old, old), 3.25, np.float32), (new, new)) - 3.25).max() < 1e-5


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_a_band_limited_image_takes_its_analytic_values_at_the_new_places(old: int, new: int):
    def image(rows: int, columns: int) -> np.ndarray:
        return (wave(np.arange(rows) / rows, 9)[:, None] * wave(np.arange(columns) / columns, 7))[None]

    assert np.abs(resize(image(old, 40), (new, 40)) - image(new, 40)).max() < 1e-5
    assert np.abs(resize(image(40, old), (40, new)) - image(40, new)).max() < 1e-5


def test_the_nyquist_line_of_an_even_matrix_is_split_in_half():
    ripple = np.tile(2 + np.cos(math.pi * np.arange(16)), (1, 16, 1))
    fine = 2 + np.cos(math.pi * np.arange(40) * 16 / 40)
    assert np.abs(resize(ripple, (16, 40)) - fine).max() < 1e-5


@pytest.mark.parametrize(("old", "new"), [(32, 48), (32, 47), (31, 48), (31, 45)])
def test_cropping_undoes_padding_whatever_the_image(old: int, new: int):
    image = 5 + np.random.default_rng(0).standard_normal((2, old, old))
    padded = resize(image, (new, new))
    assert np.abs(resize(padded, (old, old)) - image).max() < 2e-6


@pytest.mark.parametrize("new", [192, 160])
def test_padded_white_noise_keeps_its_strength_and_becomes_sinc_correlated(new: int):
    old = 128
    noise = resize(10 + np.random.default_rng(0).standard_normal((60, old, old)), (new, new)) - 10
    assert noise.std() == pytest.approx(1, abs=0.01)
    for axis in (-2, -1):
        pairs = np.moveaxis(noise, axis, -1)
        assert (pairs[..., 1:] * pairs[..., :-1]).mean() / noise.var() == pytest.approx(np.sinc(old / new), abs=0.02)


def test_ringing_below_zero_is_cut_off():
    edge = np.zeros((1, 32, 32), np.float32)
    edge[:, 10:20, 10:20] = 1
    larger = resize(edge, (50, 50))
    assert larger.dtype == np.float32 and larger.min() == 0 and larger.max() > 1.05


@pytest.mark.parametrize(("shape", "across"), [((6, 24, 20), 0), ((24, 6, 20), 1), ((24, 20, 6), 2)])
def test_every_voxel_of_a_resized_volume_lies_where_its_value_was(shape: tuple[int, int, int], across: int):
    spacing = np.ones(3)
    spacing[2 - across] = 4
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (-30, 12, 55)

    def anatomy(ijk_to_ras: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        k, j, i = np.meshgrid(*map(np.arange, size), indexing="ij")
        ras = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ ijk_to_ras.T
        from_start = np.linalg.solve(affine, ras[..., None])[..., 0]
        parts = [wave(from_start[..., axis] / n, 3) for axis, n in enumerate(shape[::-1])]
        return np.prod(parts, axis=0)

    volume = Volume(anatomy(affine, shape).astype(np.float32), affine, headers=())
    assert volume.slice_axis == across
    resized = resize_volume(volume, (31, 16))
    expected = list(shape)
    for axis, size in zip([axis for axis in range(3) if axis != across], (31, 16), strict=True):
        expected[axis] = size
    assert resized.voxels.shape == tuple(expected)
    assert np.abs(resized.voxels - anatomy(resized.ijk_to_ras, resized.voxels.shape)).max() < 1e-4


def test_the_first_voxel_stays_and_the_field_of_view_keeps_its_size():
    affine = np.diag([0.5, 0.7, 3, 1.0])
    affine[:3, 3] = (4, 5, 6)
    new = resized_affine(affine, (10, 100, 120), (10, 150, 90))
    assert np.array_equal(new[:, 3], affine[:, 3])
    assert np.allclose(np.diag(new)[:3] * (90, 150, 10), (0.5 * 120, 0.7 * 100, 30))


def test_the_matching_matrix_takes_the_pixel_size_of_the_other_volume_along_the_same_direction():
    def volume(shape: tuple[int, int, int], spacing: tuple[float, float, float], order: tuple[int, int, int]) -> Volume:
        affine = np.eye(4)
        affine[:3, :3] = np.diag(spacing)[:, order]
        return Volume(np.zeros(shape, np.float32), affine)

    # i, j, k of the one run along x, y, z and of the other along y, x, z; spacing is that of x, y, z.
    clean, noisy = volume((10, 240, 320), (0.5, 0.6, 4), (0, 1, 2)), volume((10, 160, 120), (1.0, 0.9, 5), (1, 0, 2))
    assert matching_matrix(clean, noisy) == (160, 160)
    assert fill_factor(clean, (160, 160)) == pytest.approx((2 / 3, 0.5))
    assert resize_volume(clean, (160, 160)).spacing == pytest.approx((4, 0.9, 1.0))


def test_headers_of_the_old_matrix_do_not_stay_with_the_new_one():
    volume = Volume(np.ones((4, 8, 8), np.float32), np.eye(4), headers=tuple(itertools.repeat("header", 4)))
    assert resize_volume(volume, (16, 16)).headers == ()
