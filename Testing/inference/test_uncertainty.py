"""The map of uncertainty: its intervals cover what they promise, in the image's units, and lie around whatever the result is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.card import Calibration
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.image.body import intensity_scale
from MRIDenoiseLib.inference import METHODS, Denoiser, Settings
from MRIDenoiseLib.inference.disturbances import Disturbances, Reception
from MRIDenoiseLib.inference.slices import NetworkSlices, Window
from MRIDenoiseLib.inference.uncertainty import ErrorsOf, calibrated
from MRIDenoiseLib.volume import Unmeasured

TWO = Calibration((0.05,), (2.0,))
PLAIN = Settings(method="regression", samples=1, uncertainty=True, guarantee=0)


@pytest.fixture
def sure(models):
    """Networks of which one says how sure the result is, calibrated."""
    models.calibration = TWO
    return models


def test_without_asking_there_is_no_map(sure, volume):
    result = Denoiser(sure, "cpu")(volume, Settings(method="regression"))
    assert result.uncertainty is None and "uncertainty_median" not in result.report


def test_the_map_scales_with_the_image_and_changes_nothing_else(sure, volume):
    denoiser = Denoiser(sure, "cpu")
    plain, mapped = denoiser(volume, replace(PLAIN, uncertainty=False)), denoiser(volume, PLAIN)
    assert np.array_equal(plain.volume.voxels, mapped.volume.voxels)
    widths = mapped.uncertainty.voxels
    assert widths.shape == volume.voxels.shape and widths.dtype == np.float32 and mapped.uncertainty.pixel_type == "float32"
    assert (widths[:, 30:50, 35:60] > 0).all()
    brighter = denoiser(volume.with_voxels(volume.voxels * np.float32(37)), PLAIN).uncertainty.voxels
    assert np.allclose(brighter, 37 * widths, rtol=1e-3)
    tissue = volume.voxels > 0.1 * intensity_scale(volume.voxels)
    median = np.median(widths[tissue]) / mapped.report["intensity_scale"]
    assert mapped.report["uncertainty_median"] == pytest.approx(median, abs=1e-4)


def test_the_half_width_is_the_cards_factor_times_the_networks_scale(sure, volume):
    denoiser = Denoiser(sure, "cpu")
    once = denoiser(volume, PLAIN).uncertainty.voxels
    sure.calibration = Calibration((0.05,), (5.0,))
    assert np.allclose(denoiser(volume, PLAIN).uncertainty.voxels, 2.5 * once, rtol=1e-4, atol=0.05)
    sure.networks["uncertainty"].head.weight.zero_()
    sure.networks["uncertainty"].head.bias.fill_(np.log(0.5))
    told = denoiser(volume, PLAIN)
    inside = told.uncertainty.voxels[:, 30:50, 35:60]
    level = told.noise_level / told.report["intensity_scale"] * 2
    expected = 5.0 * 0.5 * np.hypot(level, 0.01) * told.report["intensity_scale"] / 2
    assert np.allclose(inside, expected, rtol=1e-3)


@pytest.mark.parametrize("slices", [(2, 5), (0, 7)])
def test_slices_that_are_not_denoised_and_what_was_not_measured_hold_zero(sure, volume, slices):
    mask = np.zeros(volume.voxels.shape, bool)
    mask[:, 38:44, 45:52] = True
    gapped = replace(volume, voxels=np.where(mask, 0, volume.voxels), unmeasured=Unmeasured(mask, np.full(mask.sum(), np.nan, np.float32)))
    widths = Denoiser(sure, "cpu")(gapped, replace(PLAIN, slices=slices)).uncertainty
    assert widths.unmeasured is None and not widths.voxels[mask].any()
    computed = np.zeros(7, bool)
    computed[slice(*slices)] = True
    assert [bool(image.any()) for image in widths.voxels] == computed.tolist()


def test_any_batch_size_and_any_choice_of_slices_give_the_same_map(sure, volume):
    denoiser = Denoiser(sure, "cpu")
    whole, alone, part = (denoiser(volume, replace(PLAIN, **one)) for one in ({"batch_size": 4}, {"batch_size": 1}, {"slices": (2, 5)}))
    scale = whole.report["intensity_scale"]
    assert np.abs(whole.uncertainty.voxels - alone.uncertainty.voxels).max() < 1e-4 * scale
    assert np.abs(whole.uncertainty.voxels - part.uncertainty.voxels)[2:5].max() < 1e-4 * scale


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_any_method_and_strength_holds_that_around_regression(sure, volume, method):
    denoiser = Denoiser(sure, "cpu")
    regression = denoiser(volume, PLAIN)
    steps = {"steps": 2} if method in ("fidelity-guided", "ddim") else {}
    other = denoiser(volume, Settings(method=method, strength=0.6, uncertainty=True, **steps))
    centre, width = regression.volume.voxels, regression.uncertainty.voxels
    slack = 1e-3 * regression.report["intensity_scale"]
    computed = width > 0
    below = (other.volume.voxels - other.uncertainty.voxels - (centre - width))[computed]
    above = (centre + width - (other.volume.voxels + other.uncertainty.voxels))[computed]
    assert below.max() < slack and above.max() < slack
    assert np.abs(other.uncertainty.voxels - width).max() > slack, "what was left in widens it"


def test_an_image_that_is_clean_already_stays_as_it_is_and_its_interval_holds_the_answer(sure, volume):
    clean = volume.with_voxels(500 + 0.02 * (volume.voxels - 500))
    denoiser = Denoiser(sure, "cpu")
    kept, answer = denoiser(clean, replace(PLAIN, guarantee=3)), denoiser(clean, replace(PLAIN, denoise_clean=True))
    assert kept.report["clean"] and np.array_equal(kept.volume.voxels, clean.voxels) and not answer.report["clean"]
    slack = 1e-4 * kept.report["intensity_scale"]
    off = np.abs(answer.volume.voxels - clean.voxels)
    assert np.allclose(kept.uncertainty.voxels, answer.uncertainty.voxels + off, atol=slack) and off.max() > slack


def test_where_the_noise_varies_so_do_the_widths(sure, volume):
    for weights in sure.networks["uncertainty"].requires_grad_(False).head.parameters():
        weights.zero_()
    ramp = np.geomspace(5, 400, 112, dtype=np.float32) * np.ones(volume.voxels.shape, np.float32)
    widths = Denoiser(sure, "cpu")(volume, PLAIN, noise_map=volume.with_voxels(ramp)).uncertainty.voxels
    even = Denoiser(sure, "cpu")(volume, PLAIN).uncertainty.voxels
    assert widths[3, 40, 65] > 1.2 * widths[3, 40, 31], "twice the noise, and the network says that the error is the noise"
    assert even[3, 40, 65] == pytest.approx(even[3, 40, 31], rel=1e-3)


def test_a_model_that_cannot_say_refuses_before_any_work_in_one_sentence(sure, volume):
    sure.calibration = None
    with pytest.raises(SettingsError, match="nobody has measured yet"):
        Denoiser(sure, "cpu")(volume, PLAIN)
    sure.calibration = TWO
    network = sure.networks.pop("uncertainty")
    with pytest.raises(SettingsError, match="no network that says how sure"):
        Denoiser(sure, "cpu")(volume, PLAIN)
    sure.networks["uncertainty"] = network
    del sure.networks["restoration"]
    with pytest.raises(SettingsError, match="no network that says how sure"):
        Denoiser(sure, "cpu")(volume, Settings(method="posterior-mean", uncertainty=True))


@pytest.mark.parametrize(("levels", "warned"), [((0.02, 0.09), False), ((0.5, 0.6), True)])
def test_noise_unlike_that_of_the_calibration_is_said(sure, volume, levels, warned):
    sure.calibration = Calibration(levels, (2.0, 2.0))
    report = Denoiser(sure, "cpu")(volume, PLAIN).report
    assert any("map of uncertainty was checked on images with noise of" in said for said in report["warnings"]) == warned


def test_a_width_is_scaled_where_an_image_is_shifted_and_zero_where_nothing_changes():
    stack = np.full((1, 8, 8), 60, np.float32)
    stack[0, :4, :4] = 7
    stack[0, 7, 7] = 900
    window = Window(slice(0, 8), slice(0, 8), np.ones((8, 8), np.float32))
    reception = Reception(np.full((1, 1, 1), np.log(0.5), np.float32), 8, 2.0, 1.5)
    slices = NetworkSlices(stack, window, 100.0, Disturbances(wiped=7.0, noisy_air=False, ceiling=500.0, reception=reception))
    found = slices.width(0, np.full((8, 8), 0.2, np.float32))
    assert found[6, 2] == pytest.approx(0.2 * 50 * 0.5) and found[7, 7] == 0 and not found[:4, :4].any()
    assert NetworkSlices(stack, window, 100.0).width(0, np.float32(0.2)) == pytest.approx(10)


def drawn(patient: str, level: float, spread: float, count: int = 20_000, seed: int = 0) -> ErrorsOf:
    generator = np.random.default_rng(seed)
    return ErrorsOf(patient, level, np.abs(generator.normal(0, spread, count)))


def test_the_factor_is_the_quantile_that_covers_nine_of_ten():
    found = calibrated([drawn("a", 0.05, 2.0)], (0.05,))
    assert found.factors[0] == pytest.approx(2 * 1.645, rel=0.02)
    fresh = drawn("b", 0.05, 2.0, seed=1).ratios
    assert (fresh <= found.factor(0.05)).mean() == pytest.approx(0.9, abs=0.01)


def test_every_patient_counts_alike_however_many_images_and_voxels_there_are():
    few = [drawn("a", 0.05, 1.0, 5_000), drawn("b", 0.05, 3.0, 5_000, seed=1)]
    many = few + [drawn("b", 0.05, 3.0, 40_000, seed=seed) for seed in range(2, 6)]
    assert calibrated(many, (0.05,)).factors[0] == pytest.approx(calibrated(few, (0.05,)).factors[0], rel=0.03)


def test_each_noise_range_has_its_own_factor_and_a_range_without_images_none():
    errors = [drawn("a", 0.03, 1.0), drawn("a", 0.09, 2.0, seed=1)]
    found = calibrated(errors, (0.001, 0.03, 0.09))
    assert found.levels == (0.03, 0.09)
    assert found.factors[1] == pytest.approx(2 * found.factors[0], rel=0.03)
    with pytest.raises(ValueError, match="needs errors"):
        calibrated([], (0.05,))


def test_the_network_is_shown_the_answer_that_the_interval_lies_around(sure, volume):
    seen = []
    sure.networks["uncertainty"].register_forward_hook(lambda module, given, answer: seen.append(given))
    regression = Denoiser(sure, "cpu")(volume, replace(PLAIN, slices=(3, 4)))
    Denoiser(sure, "cpu")(volume, Settings(method="posterior-mean", slices=(3, 4), uncertainty=True))
    (measured, answer, told), (_, again, _) = seen
    assert measured.shape[1] == 3 and torch.allclose(answer, again, atol=1e-5)
    shown = (answer[0, 0].numpy() + 1) * regression.report["intensity_scale"] / 2
    assert np.isclose(shown, regression.volume.voxels[3][40, 48], rtol=1e-3).any() and float(told.noise_level) > 0
