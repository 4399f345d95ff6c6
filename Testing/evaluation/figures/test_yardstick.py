"""Every figure is what its definition says, of the slices and the mask asked for."""

import math

import numpy as np
import pytest
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation import figures as metrics
from MRIDenoiseLib.evaluation.figures.yardstick import DEFINITIONS, Yardstick, shortfall
from MRIDenoiseLib.image.noise import reference_noise

SHAPE, SPACING = (16, 96, 88), (4.0, 0.8, 0.8)


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    z, y, x = np.mgrid[0:16, 0:96, 0:88]
    body = np.hypot((y - 48) / 42, (x - 44) / 38) < 1
    image = body * (500 + 60 * np.sin(x / 3 + z / 4) * np.cos(y / 4))
    image[np.hypot(y - 40, x - 40) < 12] = 900
    image[8, 60, 40] = 2000
    return ndimage.gaussian_filter(image.astype(np.float64), (0, 0.7, 0.7))


@pytest.fixture(scope="module")
def noisy(clean) -> np.ndarray:
    return clean + np.random.default_rng(0).normal(0, 40, SHAPE)


@pytest.fixture(scope="module")
def yardstick(clean) -> Yardstick:
    return Yardstick.of(clean, spacing=SPACING)


def test_ranges_and_foreground_are_those_of_the_whole_reference(clean, yardstick):
    assert yardstick.maximum == clean.max()
    assert yardstick.p995 == pytest.approx(np.percentile(clean[clean > 0], 99.5))
    assert np.array_equal(yardstick.mask, clean > 0.08 * yardstick.p995)


def test_each_figure_is_that_of_its_metric(clean, noisy, yardstick):
    found = yardstick.assess(noisy, noisy=noisy)
    inside, top, bright = yardstick.mask, yardstick.maximum, yardstick.p995
    assert found["psnr"] == pytest.approx(20 * math.log10(top / 40), abs=0.05)
    assert found["psnr_p995"] == pytest.approx(20 * math.log10(bright / 40), abs=0.05)
    assert found["psnr_foreground"] == metrics.psnr(noisy, clean, data_range=bright, mask=inside)
    assert found["ssim_foreground"] == metrics.ssim(noisy, clean, data_range=bright, mask=inside)
    assert found["ssim_fastmri"] == metrics.ssim(noisy, clean, data_range=top, convention=metrics.FASTMRI)
    assert found["bias"] == metrics.bias(noisy, clean, inside).overall
    assert found["slice_flicker"] == pytest.approx(1)
    assert found["edge_width_ratio"] == pytest.approx(1, rel=0.1)
    assert not any(name.startswith("residual") or name == "detail_taken" for name in found), "nothing was taken away"


def test_every_figure_is_defined_and_every_definition_has_a_figure(clean, noisy, yardstick, monkeypatch):
    monkeypatch.setattr(metrics, "lpips_vgg", lambda *_, **__: 0.25)
    found = yardstick.assess(ndimage.gaussian_filter(noisy, (0, 1, 1)), noisy=noisy, simulated=True, perceptual=True)
    assert list(found) == list(DEFINITIONS) and found["lpips"] == 0.25
    assert all(math.isfinite(value) for value in found.values())


def test_the_corrected_psnr_is_told_only_of_noise_that_was_added_to_the_reference(clean, noisy, yardstick):
    image = ndimage.gaussian_filter(noisy, (0, 1, 1))
    assert "psnr_corrected" not in yardstick.assess(image, noisy=noisy)
    own = reference_noise(clean, yardstick.mask)
    expected = metrics.noise_corrected_psnr(image, clean, noisy, data_range=yardstick.p995, reference_noise=own, mask=yardstick.mask)
    assert yardstick.assess(image, noisy=noisy, simulated=True)["psnr_corrected"] == expected


def test_only_the_scored_slices_are_read_and_ranges_stay_those_of_the_volume(clean, noisy):
    part = Yardstick.of(clean, spacing=SPACING, scored=range(2, 5))
    spoilt = np.full(SHAPE, np.nan)
    spoilt[2:5] = noisy[2:5]
    found = part.assess(spoilt, noisy=spoilt)
    assert found["psnr"] == metrics.psnr(noisy[2:5], clean[2:5], data_range=clean.max())
    assert "ssim_across" not in found and "slice_flicker" in found
    assert "slice_flicker" not in Yardstick.of(clean, spacing=SPACING, scored=range(2, 3)).assess(noisy, noisy=noisy)


def test_without_the_noisy_image_nothing_is_said_of_the_residual(noisy, yardstick):
    assert {"slice_flicker", "noise_edges", "residual_edges"}.isdisjoint(yardstick.assess(noisy))


def test_units_do_not_matter(clean, noisy):
    plain, scaled = (Yardstick.of(k * clean, spacing=SPACING).assess(k * noisy) for k in (1, 0.01))
    assert scaled == pytest.approx(plain, rel=1e-6)


def test_a_blur_is_told_from_a_denoiser(clean, noisy, yardstick):
    blurred = yardstick.assess(ndimage.gaussian_filter(noisy, (0, 1.2, 1.2)), noisy=noisy)
    good = yardstick.assess(clean + 0.2 * (noisy - clean), noisy=noisy)
    for name in DEFINITIONS:
        if name in good and not math.isnan(shortfall(name, good)) and not name.startswith("bias"):
            assert shortfall(name, good) < shortfall(name, blurred), name


def test_a_perfect_image_is_as_good_as_can_be(clean, noisy, yardstick):
    found = yardstick.assess(clean, noisy=noisy)
    assert found["psnr"] == math.inf and found["ssim"] == found["edge_width_ratio"] == 1
    assert shortfall("residual_edges", found) == shortfall("residual_autocorrelation", found) == shortfall("bias", found) == 0
    assert abs(found["detail_taken"]) < 0.05 and found["slice_flicker"] == 0


def test_what_is_only_shown_has_no_better_or_worse(noisy, yardstick):
    assert math.isnan(shortfall("edge_width", yardstick.assess(noisy)))


def test_a_mask_that_is_given_takes_the_place_of_the_foreground(clean, noisy):
    mask = np.zeros(SHAPE, bool)
    mask[:, 30:50, 30:50] = True
    found = Yardstick.of(clean, spacing=SPACING, mask=mask).assess(np.where(mask, clean, 0))
    assert found["psnr_foreground"] == math.inf > found["psnr"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mask": np.zeros(SHAPE, bool)}, "mask holds nothing"),
        ({"mask": np.ones((2, 3, 4), bool)}, "another shape"),
        ({"scored": range(10, 20)}, "not all there"),
        ({"scored": range(3, 3)}, "not all there"),
    ],
)
def test_what_cannot_be_scored_is_refused(clean, change, said):
    with pytest.raises(InputError, match=said):
        Yardstick.of(clean, spacing=SPACING, **change)


def test_slices_smaller_than_a_window_are_refused(clean):
    with pytest.raises(InputError, match="too small"):
        Yardstick.of(clean[:, :, 40:50], spacing=SPACING)


def test_an_image_of_another_shape_is_refused(clean, yardstick):
    with pytest.raises(InputError, match="shape"):
        yardstick.assess(clean[1:])
