"""A volume goes in and comes out, and nothing but its own noise changes what comes out."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from MRIDenoiseLib.errors import BundleError, Cancelled, InputError, MRIDenoiseError, SettingsError
from MRIDenoiseLib.image.body import body_mask, intensity_scale
from MRIDenoiseLib.inference import METHODS, Denoiser, Settings
from MRIDenoiseLib.inference.batch import Method, method_of
from MRIDenoiseLib.volume import AcquisitionField, Volume

SHORT = {"fidelity-guided": {"steps": 2, "fidelity": 0.2}, "ddim": {"steps": 2}}


def settings(method, **more):
    return Settings(method=method, **(SHORT.get(method, {}) | more))


def besides_noise(report: dict) -> list[str]:
    """The warnings without the one that random networks deserve, which remove no noise."""
    return [warning for warning in report["warnings"] if "of the noise in flat tissue was removed" not in warning]


@pytest.mark.parametrize("method", METHODS)
def test_the_result_is_the_same_for_any_batch_size_and_any_choice_of_slices(models, volume, method):
    denoiser = Denoiser(models, "cpu")
    whole = denoiser(volume, settings(method, batch_size=4)).volume.voxels
    scale = intensity_scale(volume.voxels)
    alone = denoiser(volume, settings(method, batch_size=1)).volume.voxels
    part = denoiser(volume, settings(method, slices=(2, 5))).volume.voxels
    assert np.abs(whole - volume.voxels).max() > 1e-2 * scale
    assert np.abs(whole - alone).max() < 1e-4 * scale
    assert np.abs(part[2:5] - whole[2:5]).max() < 1e-4 * scale
    assert np.array_equal(part[:2], volume.voxels[:2]) and np.array_equal(part[5:], volume.voxels[5:])


@pytest.mark.parametrize("factor", [0.01, 1.0, 37.0])
def test_a_volume_k_times_as_bright_comes_out_k_times_as_bright(models, volume, factor):
    denoiser = Denoiser(models, "cpu")
    brighter = volume.with_voxels(volume.voxels * np.float32(factor))
    for method in ("posterior-mean", "fidelity-guided"):
        expected = denoiser(volume, settings(method, slices=(3, 4))).volume.voxels[3] * factor
        result = denoiser(brighter, settings(method, slices=(3, 4))).volume.voxels[3]
        assert np.linalg.norm(result - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_strength_below_one_takes_that_part_of_the_residual_away(models, volume, method):
    chosen = [settings(method, strength=strength, guarantee=0) for strength in (1.0, 0.75)]
    full, part = (Denoiser(models)(volume, one).residual.voxels for one in chosen)
    assert np.abs(full).max() > 0
    assert np.allclose(part, 0.75 * full, rtol=0, atol=1e-4 * np.abs(volume.voxels).max())


def test_the_least_sharp_result_is_that_of_regression_bit_for_bit_and_the_knob_moves_it_in_a_straight_line(models, volume):
    models.default_method, models.default_settings = "regression", {"samples": 2, "strength": 0.9}
    denoiser = Denoiser(models, "cpu")
    mean = denoiser(volume, Settings(guarantee=0)).volume.voxels
    results = {a: denoiser(volume, Settings(method="sharpened", sharpness=a, guarantee=0)) for a in (0.0, 0.5, 1.0)}
    faithful, half, sharp = (result.volume.voxels for result in results.values())
    assert np.array_equal(faithful, mean)
    assert np.abs(sharp - mean).max() > 1e-2 * mean.max()
    # Where the image would become negative it is cut off.
    inside = np.minimum(faithful, sharp) > 0
    assert np.abs(half - (faithful + sharp) / 2)[inside].max() < 1e-4 * mean.max()
    assert (results[0.5].report["sharpness"], results[0.5].report["samples"], results[0.5].report["strength"]) == (0.5, 2, 0.9)


def test_a_model_without_a_network_that_the_method_needs_says_so_in_one_sentence(models, volume):
    del models.networks["flow"]
    with pytest.raises(SettingsError, match="no network that sharpens: choose another method than sharpened"):
        Denoiser(models, "cpu")(volume, Settings(method="sharpened"))
    with pytest.raises(SettingsError, match="no network that sharpens"):
        Denoiser(models, "cpu")(volume, method=method_of(Settings(method="sharpened").resolved("ddim", {})))
    del models.networks["restoration"]
    with pytest.raises(SettingsError, match="no regression network: choose another method than regression"):
        Denoiser(models, "cpu")(volume, Settings(method="regression"))


def test_the_same_seed_gives_the_same_result_and_another_seed_another(models, volume):
    denoiser = Denoiser(models, "cpu")
    first, again, other = (denoiser(volume, settings("ddim", seed=seed, slices=(0, 2))).volume.voxels for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.allclose(first[0], other[0], rtol=1e-5)


def test_what_the_networks_leave_alone_comes_back_bright_voxels_included(identity_models, volume):
    voxels = volume.voxels.copy()
    voxels[3, 40, 48] = 9 * voxels.max()
    bright = volume.with_voxels(voxels)
    for method in METHODS:
        # Without fidelity and at one step every method returns what the networks say, here the input itself.
        more = {"fidelity-guided": {"steps": 1, "fidelity": 0.0}, "ddim": {"steps": 1}, "sharpened": {"sharpness": 0.0}}.get(method, {})
        result = Denoiser(identity_models, "cpu")(bright, Settings(method=method, **more))
        assert np.allclose(result.volume.voxels, voxels, rtol=1e-5, atol=1e-3)


def test_geometry_and_pixel_type_survive_and_the_residual_is_input_minus_output(models, volume):
    result = Denoiser(models, "cpu")(volume)
    assert np.array_equal(result.volume.ijk_to_ras, volume.ijk_to_ras)
    assert result.volume.pixel_type == "uint16" and result.residual.pixel_type == "float32"
    assert np.allclose(result.residual.voxels + result.volume.voxels, volume.voxels, atol=1e-3)
    assert result.volume.voxels.min() >= 0
    assert result.noise_level == pytest.approx(40, rel=0.5)


def test_no_frame_of_untouched_noise_stands_around_the_body(models, volume):
    result = Denoiser(models, "cpu")(volume)
    assert (result.residual.voxels != 0).mean(axis=(1, 2)).min() > 0.95


def test_wiped_out_air_comes_back_exactly_and_the_rest_is_denoised(models, volume):
    inside = ndimage.binary_dilation(body_mask(volume.voxels), np.ones((1, 3, 3)), iterations=3)
    wiped = Denoiser(models, "cpu")(volume.with_voxels(np.where(inside, volume.voxels, 0)))
    beside = ~ndimage.binary_dilation(inside, np.ones((1, 3, 3)))
    assert (wiped.volume.voxels[beside] == 0).all() and (wiped.residual.voxels[inside] != 0).mean() > 0.95
    assert wiped.noise_level == pytest.approx(Denoiser(models, "cpu")(volume).noise_level, rel=0.05)


def test_slices_are_taken_across_the_acquired_plane(models, volume):
    expected = Denoiser(models, "cpu")(volume).volume.voxels
    # The same body stored sagittally: what was z is now x, and the thick direction with it.
    turned = Volume(np.ascontiguousarray(np.moveaxis(volume.voxels, 0, 2)), np.diag([4.0, 1.0, 1.0, 1.0]), "uint16", volume.acquisition)
    assert turned.slice_axis == 2
    result = Denoiser(models, "cpu")(turned, Settings(slices=(1, 3)))
    assert np.allclose(np.moveaxis(result.volume.voxels, 2, 0)[1:3], expected[1:3], atol=1e-2)
    assert result.report["slice_axis"] == 2


def test_the_networks_see_what_the_acquisition_and_the_geometry_say(models, volume):
    told = []
    original = models.networks["denoiser"].forward

    def watched(state, measured, timestep, conditioning):
        told.append((measured, conditioning))
        return original(state, measured, timestep, conditioning)

    models.networks["denoiser"].forward = watched
    result = Denoiser(models, "cpu")(volume, Settings(slices=(0, 1)))
    measured, conditioning = told[0]
    assert models.encoded == [result.report["prompt"]] and "head" in result.report["prompt"]
    assert conditioning.acceleration.tolist() == [3.0] and conditioning.slice_spacing.tolist() == [4.0]
    assert float(conditioning.noise_level) == pytest.approx(2 * result.noise_level / intensity_scale(volume.voxels), rel=1e-5)
    scaled = 2 * volume.voxels / intensity_scale(volume.voxels) - 1
    assert np.allclose(measured[0].numpy(), scaled[[0, 0, 1]], atol=1e-5)


def test_cancel_is_heard_before_the_next_network_call(models, volume):
    calls = []
    models.networks["denoiser"].register_forward_pre_hook(lambda *_: calls.append(1))
    with pytest.raises(Cancelled):
        Denoiser(models, "cpu")(volume, settings("ddim", steps=50, batch_size=1), should_stop=lambda: len(calls) >= 3)
    assert len(calls) == 3


def test_progress_rises_to_one_and_tells_the_time_left(models, volume):
    told = []
    Denoiser(models, "cpu")(volume, settings("fidelity-guided", batch_size=2), progress=lambda *report: told.append(report))
    fractions = [fraction for fraction, _, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert len(told) == 1 + 4 * 2
    left = [seconds for _, seconds, _ in told[1:]]
    assert all(seconds is not None and seconds >= 0 for seconds in left) and left[-1] == 0


def narrow_memory(models, largest):
    """Let the denoiser run out of memory, as torch says it, for batches larger than this."""
    sizes = []

    def refuse(module, arguments):
        sizes.append(len(arguments[0]))
        if sizes[-1] > largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    models.networks["denoiser"].register_forward_pre_hook(refuse)
    return sizes


def test_too_little_memory_halves_the_batch_and_changes_nothing(models, volume):
    expected = Denoiser(models, "cpu")(volume, Settings(batch_size=7)).volume.voxels
    sizes = narrow_memory(models, 2)
    told = []
    result = Denoiser(models, "cpu")(volume, Settings(batch_size=7), progress=lambda *report: told.append(report[0]))
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert np.abs(result.volume.voxels - expected).max() < 1e-4 * intensity_scale(volume.voxels)
    assert told == sorted(told)


def test_too_little_memory_for_one_slice_is_one_sentence(models, volume):
    narrow_memory(models, 0)
    with pytest.raises(MRIDenoiseError, match="not enough memory"):
        Denoiser(models, "cpu")(volume)


def test_another_fault_of_the_networks_is_not_taken_for_a_full_memory(models, volume):
    models.networks["denoiser"].unet.conv_in = torch.nn.Conv2d(1, 8, 3)
    with pytest.raises(RuntimeError, match="channels"):
        Denoiser(models, "cpu")(volume)


def test_networks_that_give_no_numbers_are_refused(models, volume):
    with torch.no_grad():
        models.networks["denoiser"].unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(BundleError, match="not numbers"):
        Denoiser(models, "cpu")(volume)


def test_the_report_repeats_the_run_and_names_nobody(models, volume):
    models.default_method, models.default_settings = "fidelity-guided", {"steps": 2, "fidelity": 0.125}
    result = Denoiser(models, "cpu")(volume, Settings(seed=11, slices=(1, 2)))
    report = json.loads(json.dumps(result.report))
    assert "PATIENT" not in json.dumps(report)
    assert (report["method"], report["mode"], report["steps"], report["fidelity"], report["seed"]) == (
        "fidelity-guided",
        "tuned",
        2,
        0.125,
        11,
    )
    assert report["bundle"] == models.hash and report["slices"] == [1, 2] and report["device"] == "cpu"
    assert report["noise_level_fraction"] == pytest.approx(result.noise_level / intensity_scale(volume.voxels))
    assert "NOT FOR DIAGNOSTIC USE" in report["research_use"]
    assert besides_noise(report) == []
    names = ("method", "mode", "steps", "fidelity", "seed")
    repeated = Denoiser(models, "cpu")(volume, Settings(slices=(1, 2), **{name: report[name] for name in names}))
    assert np.array_equal(repeated.volume.voxels, result.volume.voxels)


def test_the_report_tells_the_part_of_the_noise_that_went_and_warns_where_it_is_little(models, identity_models, volume):
    kept = Denoiser(identity_models, "cpu")(volume, Settings(method="regression"))
    assert kept.report["noise_removed"] == 0 and ["None of the noise" in said for said in kept.report["warnings"]] == [True]

    def blurred(batch):
        return torch.nn.functional.avg_pool2d(batch.stacks(1), 5, stride=1, padding=2, count_include_pad=False)

    for turned in (volume, replace(volume, voxels=np.moveaxis(volume.voxels, 0, 2), acquired_axis=2)):
        smooth = Denoiser(models, "cpu")(turned, Settings(guarantee=0), method=Method("blur", blurred))
        assert 0.85 < smooth.report["noise_removed"] < 1 and smooth.report["warnings"] == []
        half = Denoiser(models, "cpu")(turned, Settings(strength=0.2, guarantee=0), method=Method("blur", blurred))
        assert 0.15 < half.report["noise_removed"] < 0.25 and "try strength 1." in half.report["warnings"][0]


def test_an_organ_that_training_never_saw_warns_without_repeating_what_was_typed(models, volume):
    unseen = replace(volume.acquisition, organ=AcquisitionField("Smith liver", "user", "high", False), contrast=AcquisitionField())
    report = Denoiser(models, "cpu")(volume.with_acquisition(unseen), settings("regression", steps=3, slices=(0, 1))).report
    organ, contrast, steps = besides_noise(report)
    assert "organ" in organ and "contrast" in contrast and "steps" in steps
    assert "Smith" not in json.dumps(report)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_volume_with_values_that_are_no_numbers_is_refused(models, volume, value):
    voxels = volume.voxels.copy()
    voxels[0, 0, 0] = value
    with pytest.raises(InputError):
        Denoiser(models, "cpu")(volume.with_voxels(voxels))


def test_a_constant_volume_is_refused(models, volume):
    with pytest.raises(InputError):
        Denoiser(models, "cpu")(volume.with_voxels(np.full_like(volume.voxels, 3)))


def test_single_negative_values_are_announced_and_do_not_become_zero(identity_models, volume):
    """As an interpolation leaves them beside edges: neither a hole nor a wall at zero."""
    volume.voxels[:, ::9, ::7] = -40
    result = Denoiser(identity_models, "cpu")(volume, Settings(slices=(0, 1)))
    assert any("negative" in warning for warning in result.report["warnings"])
    before, after = volume.voxels[0], result.volume.voxels[0]
    assert np.allclose(after[before < 0], -40, atol=1)


def test_slices_outside_the_volume_and_networks_that_are_not_there_are_refused(models, volume):
    with pytest.raises(SettingsError, match="0:7"):
        Denoiser(models, "cpu")(volume, Settings(slices=(3, 8)))
    del models.networks["restoration"]
    with pytest.raises(SettingsError, match="regression"):
        Denoiser(models, "cpu")(volume, Settings(method="regression"))


def test_a_bundle_from_disk_runs(tiny_bundle, volume):
    from MRIDenoiseLib.models.bundle.bundle import Bundle

    bundle = Bundle.load(tiny_bundle)
    result = Denoiser(bundle, "cpu")(volume, Settings(slices=(3, 4)))
    assert result.report["bundle"] == bundle.hash and result.report["method"] == "posterior-mean"
    assert np.isfinite(result.volume.voxels).all()


def test_an_organ_of_the_vocabulary_that_this_model_never_saw_is_said(models, volume):
    def said(**trained_on: frozenset[str]) -> list[str]:
        models.trained_on = trained_on
        return besides_noise(Denoiser(models, "cpu")(volume, Settings(slices=(0, 1))).report)

    assert said() == [] == said(organ=frozenset({"head"}), contrast=frozenset({"T1w"}))
    (warning,) = said(organ=frozenset({"knee"}), contrast=frozenset({"T1w"}))
    assert "organ" in warning and "head" not in warning


def test_a_clean_image_comes_back_as_it_is_and_the_report_says_so(models, volume):
    quiet = volume.with_voxels(np.full(volume.voxels.shape, 2, np.float32))
    result = Denoiser(models, "cpu")(volume, Settings(method="regression"), noise_map=quiet)
    assert np.array_equal(result.volume.voxels, volume.voxels) and result.report["clean"] and result.report["noise_removed"] is None
    assert any("clean already" in said for said in result.report["warnings"])
    asked = Denoiser(models, "cpu")(volume, Settings(method="regression", denoise_clean=True), noise_map=quiet)
    assert not asked.report["clean"] and not np.array_equal(asked.volume.voxels, volume.voxels)


def test_one_noisy_slice_among_clean_ones_is_reason_enough(models, volume):
    noise = np.full(volume.voxels.shape, 2, np.float32)
    noise[3] = 40
    result = Denoiser(models, "cpu")(volume, Settings(method="regression"), noise_map=volume.with_voxels(noise))
    assert not result.report["clean"] and not np.array_equal(result.volume.voxels, volume.voxels)
