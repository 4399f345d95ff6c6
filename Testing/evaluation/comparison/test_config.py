"""A configuration says what is compared; what it gets wrong is said in a sentence."""

import pytest
from comparison_cases import write_config

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.evaluation.comparison.config import located, read_config
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS


@pytest.mark.parametrize("name", ["quick", "full", "m4raw", "fastmri"])
def test_the_configurations_that_come_along_can_be_read(name, request):
    config = read_config(request.config.rootpath / "scripts" / "benchmarks" / f"{name}.yaml")
    assert config.chosen == tuple(CONTENDERS) and config.margin > 0


def test_the_quick_one_keeps_to_three_slices_and_twenty_steps_on_kept_out_patients(request):
    config = read_config(request.config.rootpath / "scripts" / "benchmarks" / "quick.yaml")
    assert config.slices == 3 and config.steps <= 20
    assert {subject for one in config.volumes for subject in one.subjects} == {"ms12", "sct03", "pymskt"}


def test_the_honest_one_lets_no_method_of_the_model_choose_and_every_peer_on_each_image(request, plan_of):
    config = read_config(request.config.rootpath / "scripts" / "benchmarks" / "honest.yaml")
    assert (config.choose, config.grid, config.slices, config.tuning) == ("on-each-image", "wide", 3, None)
    plan = plan_of(choose="on-each-image", grid="wide", tuning=None, methods=list(config.chosen))
    tried = {entrant.method: len(plan.choices(entrant)) for entrant in plan.entrants}
    several = {"blur": 36, "median": 4, "gradient": 24, "curvature": 24, "nlm": 18, "ants": 2}
    assert {method: count for method, count in tried.items() if count} == several


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
        ({"choose": "the best"}, "choose may be on-tuning-images or on-each-image"),
        ({"grid": "huge"}, "grid may be usual or wide"),
        ({"choose": "on-each-image"}, "leave tuning out"),
        ({"volumes": [{"subjects": ["s1"], "noises": ["R"], "echoes": [2]}]}, "echoes gives each echo"),
        ({"volumes": [{"subjects": ["s1"], "noises": ["R"], "echoes": {2: "low"}}]}, "echoes gives each echo"),
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
    with pytest.raises(SettingsError, match="subject s1 is in the comparison"):
        plan_of(tuning={"volumes": [{"subjects": ["s1"], "noises": ["M0.10"]}]})


def test_images_of_other_splits_are_neither_compared_on_nor_chosen_on(plan_of):
    with pytest.raises(InputError, match="no volume of subject t1 with the split test"):
        plan_of(volumes=[{"subjects": ["t1"], "noises": ["R"]}], tuning=None)
    with pytest.raises(InputError, match="no volume of subject s2 with the split train"):
        plan_of(volumes=[{"subjects": ["s1"], "noises": ["R"]}], tuning={"volumes": [{"subjects": ["s2"], "noises": ["R"]}]})


def test_folders_may_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_PAIRS", str(tmp_path))
    assert located("$SOME_PAIRS/x") == tmp_path / "x"
    with pytest.raises(SettingsError, match=r"set the variable \$NOT_SET"):
        located("$NOT_SET/x")
