"""A configuration says what is compared; what it gets wrong is said in a sentence."""

import pytest
from comparison_cases import write_config

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.compare.config import located, read_config
from MRIDenoiseLib.evaluation.methods import METHODS


@pytest.mark.parametrize("name", ["quick", "full", "m4raw", "fastmri"])
def test_the_configurations_that_come_along_can_be_read(name, request):
    config = read_config(request.config.rootpath / "scripts" / "benchmarks" / f"{name}.yaml")
    assert config.chosen == tuple(METHODS) and config.margin > 0


def test_the_quick_one_keeps_to_three_slices_and_twenty_steps_on_kept_out_patients(request):
    config = read_config(request.config.rootpath / "scripts" / "benchmarks" / "quick.yaml")
    assert config.slices == 3 and config.steps <= 20
    assert {subject for one in config.volumes for subject in one.subjects} == {"ms12", "sct03", "ProstateX-0000"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"slice": 3}, "nothing called 'slice'"),
        ({"slices": 0}, "slices must be a whole number above zero"),
        ({"slices": "three"}, "slices must be a whole number above zero"),
        ({"steps": True}, "steps must be"),
        ({"margin": -1}, "margin must be"),
        ({"methods": ["noisy", "magic"]}, "no method 'magic'"),
        ({"volumes": [{"subjects": ["s1"], "noises": ["M9"]}]}, "no noise 'M9'"),
        ({"volumes": [{"subjects": ["s1"]}]}, "noises is missing"),
        ({"volumes": []}, "volumes must be a list"),
        ({"models": {}}, "models gives each model a name"),
        ({"tuning": {"volumes": [{"subjects": ["t1"], "noises": ["M9"]}]}}, "no noise 'M9'"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path, values, said):
    with pytest.raises(SettingsError, match=said):
        read_config(write_config(tmp_path / "wrong.yaml", **values))


def test_a_configuration_without_images_is_refused(tmp_path):
    (tmp_path / "empty.yaml").write_text("slices: 3\n")
    with pytest.raises(SettingsError, match="names no images"):
        read_config(tmp_path / "empty.yaml")


def test_what_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "broken.yaml").write_text("slices: [3\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_config(tmp_path / "broken.yaml")


def test_settings_are_never_chosen_on_a_subject_that_is_compared_on(plan_of):
    with pytest.raises(SettingsError, match="subject s1 is compared on"):
        plan_of(tuning={"volumes": [{"subjects": ["s1"], "noises": ["M0.10"]}]})


def test_folders_may_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_PAIRS", str(tmp_path))
    assert located("$SOME_PAIRS/x") == tmp_path / "x"
    with pytest.raises(SettingsError, match=r"set the variable \$NOT_SET"):
        located("$NOT_SET/x")
