"""No small structure can vanish or appear beyond the printed table, whatever the networks answer, and honest results are left alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.inference.batch import Method
from MRIDenoiseLib.inference.guarantee import RADII, _lift_table, disc_weights, hold

SIGMA = 30.0
SHAPE = (2, 96, 112)


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """Two slices of a smooth body of 500 to 900 in air."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = ((y - 46) / 40) ** 2 + ((x - 56) / 46) ** 2 < 1
    body = np.where(inside, 700 + 200 * np.sin(x / 15) * np.cos(y / 17 + z), 0)
    return ndimage.gaussian_filter(body, (0, 1, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def noisy(clean) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, SIGMA, (2, *SHAPE))
    return np.hypot(clean + noise[0], noise[1]).astype(np.float32)


@pytest.fixture(scope="module")
def analysis(noisy):
    found = analyse(noisy, None)
    # The true noise: how well it is measured is another test's concern.
    return replace(found, given_level=np.full(len(noisy), 2 * SIGMA / found.scale))


def held(noisy, cleaned, analysis, kappa=3.0):
    result = cleaned.copy()
    found = hold(noisy, result, analysis, kappa, spacing=(1.0, 1.0), slices=(0, len(noisy)), device=torch.device("cpu"))
    return result, found


def means(image: np.ndarray, radius: float) -> np.ndarray:
    """The mean over the disc around every pixel, by plain summation."""
    weights = disc_weights(radius).astype(np.float64)
    return np.stack([ndimage.correlate(one.astype(np.float64), weights, mode="constant") for one in image])


def centres(radius: float) -> tuple[slice, slice, slice]:
    reach = len(disc_weights(radius)) // 2
    return slice(None), slice(reach, -reach), slice(reach, -reach)


def test_a_perfect_result_is_left_as_it_is(noisy, clean, analysis):
    result, found = held(noisy, clean, analysis, 4.0)
    assert (result != clean).mean() < 0.02 and found.given_back < 1e-3
    assert np.square(result - clean).mean() < 0.01 * np.square(noisy - clean).mean()


@pytest.mark.parametrize("contrast", [-1.0, 1.0])
@pytest.mark.parametrize("radius", [2.0, 3.5, 7.0])
def test_a_structure_that_only_the_result_has_is_taken_out_to_the_bound(noisy, clean, analysis, radius, contrast):
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    fake = clean + np.where(np.hypot(y - 40, x - 50) < radius, contrast * 300, 0).astype(np.float32)
    result, found = held(noisy, fake, analysis, 4.0)
    allowed = {size / 2: part * analysis.scale for size, part in zip(found.diameters, found.contrasts, strict=True)}
    inside = means(noisy - result, min(RADII, key=lambda one: abs(one - radius)))[:, 40, 50]
    assert np.abs(inside).max() <= allowed[min(RADII, key=lambda one: abs(one - radius))] * 1.01 < 300
    assert found.given_back > 0
    away = np.hypot(y - 40, x - 50) > radius + 2 * max(RADII) + 12
    assert (result[:, away] != fake[:, away]).mean() < 0.02


def test_no_disc_of_any_size_is_beyond_its_bound_even_where_the_result_is_another_image(noisy, clean, analysis):
    other = np.ascontiguousarray(clean[:, ::-1, ::-1]) * np.float32(0.8)
    result, found = held(noisy, other, analysis)
    for radius, size, part in zip(RADII, found.diameters, found.contrasts, strict=True):
        assert size == 2 * radius
        bright = means((clean > 400).astype(float), radius)[centres(radius)] > 0.999
        assert np.abs(means(noisy - result, radius)[centres(radius)][bright]).max() <= part * analysis.scale * 1.01
    before, after = (np.square(means(one - clean, 3.0)).sum() for one in (other, result))
    assert after < 0.1 * before
    assert np.abs(result - noisy).max() < np.abs(other - noisy).max()


def test_the_bounds_shrink_with_size_and_grow_with_kappa_noise_and_coarse_grain(noisy, clean, analysis):
    _, found = held(noisy, clean, analysis, 4.0)
    assert list(found.contrasts) == sorted(found.contrasts, reverse=True)
    for changed, kappa in (
        (analysis, 8.0),
        (replace(analysis, given_level=2 * analysis.given_level), 4.0),
        (replace(analysis, coarseness=2 * analysis.coarseness), 4.0),
    ):
        _, wider = held(noisy, clean, changed, kappa)
        assert all(one > 1.5 * other for one, other in zip(wider.contrasts[:3], found.contrasts[:3], strict=True))


def test_the_sentence_and_the_report_name_size_and_contrast(noisy, clean, analysis):
    _, found = held(noisy, clean, analysis)
    said = found.sentence()
    assert said.startswith("Guaranteed for this volume") and f"{found.contrasts[0]:.1%} at 3.0 mm" in said and "16.0 mm across" in said
    table = found.as_json()["table"]
    assert [row["diameter_mm"] for row in table] == [2 * radius for radius in RADII]


def test_a_slice_too_small_for_a_disc_has_no_bound_of_that_size(noisy, clean, analysis):
    small = replace(analysis, window=replace(analysis.window, rows=slice(0, 8), columns=slice(0, 8), weight=np.ones((8, 8), np.float32)))
    part = np.ascontiguousarray(noisy[:, 40:48, 50:58])
    result, found = held(part, part * 0.5, small)
    assert np.isfinite(found.contrasts[0]) and np.isnan(found.contrasts[-1])
    assert found.as_json()["table"][-1]["contrast"] is None and "16.0 mm" not in found.sentence()
    assert np.abs(means(part - result, 1.5)[centres(1.5)]).max() < np.abs(means(part * 0.5, 1.5)[centres(1.5)]).max()


def test_the_lift_is_that_of_rices_distribution():
    table = _lift_table().numpy()
    for signal in (3.0, 5.0, 8.0):
        mean = stats.rice.mean(signal)
        assert np.interp(mean, 0.02 * np.arange(len(table)), table) == pytest.approx(mean - signal, abs=2e-3)
    assert np.allclose(table[:85], 0.02 * np.arange(85))


def test_every_method_passes_it_and_it_can_be_left_out(models, volume):
    def darkened(batch):
        answer = batch.stacks(1).clone()
        answer[..., 30:40, 40:50] = -0.9
        return answer

    off, on = (Denoiser(models, "cpu")(volume, Settings(guarantee=kappa), method=Method("darkened", darkened)) for kappa in (0, 3))
    place = (slice(None), slice(32, 38), slice(42, 48))
    assert off.volume.voxels[place].mean() < 0.2 * volume.voxels[place].mean() and off.report["guarantee"] is None
    assert on.volume.voxels[place].mean() > 0.8 * volume.voxels[place].mean()
    assert on.report["guarantee"]["kappa"] == 3 and on.report["guarantee"]["given_back"] > 0


@pytest.mark.parametrize("kappa", [-1, 1, 11])
def test_a_bound_that_cannot_work_is_refused(kappa):
    with pytest.raises(SettingsError, match="guarantee"):
        Settings(guarantee=kappa)
