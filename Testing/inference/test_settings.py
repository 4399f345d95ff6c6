"""Choices that cannot work are refused at once, and open ones are filled in from the bundle first."""

import pytest

from MRIDenoiseLib.errors import BundleError, SettingsError
from MRIDenoiseLib.inference import Settings
from MRIDenoiseLib.inference.device import LARGEST_BATCH, WORKING_MEMORY, choose_device, default_batch, next_batch, slices_that_fit


@pytest.mark.parametrize(
    "options",
    [
        {"method": "magic"},
        {"mode": "fast"},
        {"steps": 0},
        {"steps": 1001},
        {"samples": 0},
        {"batch_size": -1},
        {"fidelity": -0.1},
        {"strength": 0.0},
        {"strength": 1.1},
        {"sharpness": -0.1},
        {"sharpness": 1.1},
        {"sharpness": float("nan")},
        {"fidelity": float("nan")},
        {"seed": -1},
        {"slices": (4, 4)},
        {"slices": (-1, 3)},
    ],
)
def test_a_value_that_cannot_work_is_refused(options):
    with pytest.raises(SettingsError):
        Settings(**options)


def test_the_user_goes_before_the_bundle_and_the_bundle_before_the_method():
    offered = {"steps": 4, "fidelity": 0.1}
    chosen = Settings(steps=6).resolved("fidelity-guided", offered)
    assert (chosen.method, chosen.steps, chosen.fidelity, chosen.mode, chosen.samples) == ("fidelity-guided", 6, 0.1, "tuned", None)
    assert Settings().resolved("fidelity-guided", {}).options() == {"steps": 10, "fidelity": 0.05, "mode": "tuned", "strength": 1.0}


def test_the_bundles_options_hold_for_its_own_method_only():
    chosen = Settings(method="ddim").resolved("posterior-mean", {"steps": 3, "samples": 4})
    assert chosen.options() == {"steps": 10, "strength": 1.0}


def test_what_the_bundle_says_of_regression_holds_for_what_sharpens_its_answer():
    offered = {"samples": 6, "strength": 0.9}
    plain = Settings(method="sharpened").resolved("posterior-mean", {"samples": 6, "steps": 7}).options()
    assert Settings(method="sharpened").resolved("regression", offered).options() == plain | offered
    assert Settings(method="sharpened", samples=2).resolved("regression", offered).samples == 2
    assert Settings(method="sharpened", sharpness=0.0).resolved("regression", offered).sharpness == 0.0


def test_a_fidelity_tuned_for_one_mode_is_not_carried_to_the_other():
    chosen = Settings(mode="paper").resolved("fidelity-guided", {"mode": "tuned", "fidelity": 0.1, "steps": 4})
    assert chosen.options() == {"steps": 4, "fidelity": 1.0, "mode": "paper", "strength": 1.0}


def test_a_fidelity_of_zero_is_a_choice_and_not_an_open_question():
    assert Settings(fidelity=0.0).resolved("fidelity-guided", {"fidelity": 0.2}).fidelity == 0.0


def test_more_steps_than_the_mode_has_timesteps_are_refused():
    assert Settings(steps=1000, mode="paper").resolved("fidelity-guided", {}).steps == 1000
    with pytest.raises(SettingsError, match="800"):
        Settings(steps=801).resolved("fidelity-guided", {})


@pytest.mark.parametrize(
    ("method", "offered"),
    [
        ("telepathy", {}),
        ("ddim", {"stepz": 3}),
        ("ddim", {"steps": "many"}),
        ("ddim", {"steps": 0}),
        ("fidelity-guided", {"mode": "wild"}),
    ],
)
def test_a_card_that_asks_for_what_does_not_exist_is_refused(method, offered):
    with pytest.raises(BundleError):
        Settings().resolved(method, offered)


@pytest.mark.parametrize("wanted", ["tpu", "cuda:99", "cuda:x", "cpu:1", ""])
def test_a_device_that_is_not_there_is_refused(wanted):
    with pytest.raises(SettingsError):
        choose_device(wanted)


def test_a_processor_takes_few_slices_at_once():
    assert default_batch(choose_device("cpu"), 256 * 256) == 1
    assert default_batch(choose_device("cpu"), 64 * 64) == 4


def test_on_a_gpu_the_first_call_of_one_slice_tells_how_many_fit():
    assert slices_that_fit(2**28, free=2**40) == WORKING_MEMORY // 2**28 == 8
    assert slices_that_fit(2**28, free=2**30) == 2, "half of what is free is left to other programs"
    assert slices_that_fit(2**40, free=2**30) == 1 and slices_that_fit(1, free=2**40) == LARGEST_BATCH
    assert next_batch(choose_device("cpu"), 3) == 3


def test_a_slice_has_only_eight_views():
    assert Settings(samples=8).resolved("regression", {}).samples == 8
    for method in ("regression", "sharpened"):
        with pytest.raises(SettingsError, match="8 views"):
            Settings(samples=9).resolved(method, {})


def test_a_slice_is_seen_once_on_a_processor_and_four_times_on_a_gpu_unless_somebody_says_how_often():
    for method in ("regression", "sharpened"):
        settings = Settings(method=method)
        assert [settings.resolved("regression", {}, on_gpu=gpu).samples for gpu in (False, True)] == [1, 4]
        assert settings.resolved("regression", {"samples": 2}, on_gpu=True).samples == 2
    assert Settings(method="posterior-mean").resolved("regression", {}, on_gpu=True).samples == 1


@pytest.mark.parametrize(("given", "said"), [({"steps": 0}, "the number of steps must"), ({"batch_size": 0}, "the batch size must")])
def test_a_number_out_of_range_is_called_what_it_is(given, said):
    with pytest.raises(SettingsError, match=said):
        Settings(**given)


def test_settings_may_come_by_name_and_what_is_none_stays_open():
    assert Settings.named({"method": "ddim", "steps": 7, "fidelity": None}) == Settings(method="ddim", steps=7)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"stepz": 5}, "unknown setting 'stepz': choose among method, steps,"),
        ({"steps": "ten"}, "a value of the wrong kind"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"strength": 2}, "at most 1, not 2"),
    ],
)
def test_a_name_or_value_that_cannot_be_set_is_one_sentence(chosen, said):
    with pytest.raises(SettingsError, match=said):
        Settings.named(chosen)
