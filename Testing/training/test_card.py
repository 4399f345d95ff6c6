"""From a run to a bundle whose card says what really happened, and only that."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_cases import QuickBatches

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.training.card import build_bundle, model_card
from MRIDenoiseLib.training.loop import StageRun
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run import train, trained_so_far
from MRIDenoiseLib.training.run_folder import Account, begin, kept_start, read_account
from MRIDenoiseLib.training.start import begin_at_random, begin_from_bundle

RESTORATION = Stage("restoration", steps=3, batch_size=2, learning_rate=1e-2, ema=0.5, text="whole")
DENOISER = Stage("denoiser", steps=2, batch_size=2)
DEGRADATION = Stage("degradation", steps=2, batch_size=1, structural=0.0, adversarial=0.0)
PLAN = Recipe(config="tiny", stages=(RESTORATION, DENOISER, DEGRADATION), common_prompts=1, settings={"samples": 2})
FILE = {"file": "volumes/a.nii.gz", "source": "s", "licence": "CC0", "organ": "head", "contrast": "T1w", "subject": "s0"}
PROMPTS = {"ge knee pd unknown sag 3x": 1, "unknown head t1 unknown axial 2x": 5}
DATA = {"data": [FILE], "kept_out": {"subjects": ["ms12"]}, "prompts": PROMPTS}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "run"
    start = begin_at_random(PLAN)
    begin(folder, PLAN, start, DATA, write=True)
    train(PLAN, start.networks, lambda stage: QuickBatches(), folder)
    return folder


@pytest.fixture(scope="module")
def bundle(run) -> Bundle:
    return build_bundle(run, run.parent / "model", notes=["a note"])


@pytest.fixture
def half(run, tmp_path) -> Path:
    """The same run, as if it had been stopped behind its first stage."""
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("denoiser", "degradation")))


def test_the_bundle_holds_the_averaged_networks_of_the_run(run, bundle):
    networks = trained_so_far(PLAN, kept_start(run, PLAN).networks, run).networks
    pairs = {name: (bundle.network(name), network) for name, network in networks.items()}
    pairs["text_encoder"] = bundle.text_encoder, networks.text_encoder
    for name, (ours, theirs) in pairs.items():
        stored, trained = ours.state_dict(), theirs.state_dict()
        assert all(torch.allclose(stored[key], trained[key].float(), atol=1e-3, rtol=1e-3) for key in trained), name
    assert bundle.default_method == "regression" and bundle.default_settings == {"samples": 2}


def test_the_card_says_what_happened(run, bundle):
    training = bundle.evidence["training"]
    assert training["steps"] == 7 and training["stages"]["restoration"]["steps"] == 3
    assert training["stages"]["denoiser"]["processes"] == 1 and training["stages"]["denoiser"]["device"] == "cpu"
    assert training["recipe"]["seed"] == 0 and training["recipe"]["stages"][0]["learning_rate"] == 1e-2
    assert training["data"] == [FILE] and training["kept_out"] == {"subjects": ["ms12"]}
    assert training["programs"] == read_account(run).programs
    assert training["notes"] == ["a note"] and training["started_from"] == "random weights"
    assert bundle.trained_on == {"organ": {"head"}, "contrast": {"T1w"}}
    assert bundle.card["training"]["steps"] == 7 and bundle.card["training"]["started_from"] == "random weights"
    assert bundle.card["training"]["sources"] == [{"source": "s", "licence": "CC0", "scans": 1}]
    assert str(run) not in json.dumps([bundle.card, bundle.evidence])


def test_the_card_has_the_probes_verdict_and_it_is_a_limit_where_it_is_bad(bundle):
    stage = bundle.evidence["training"]["stages"]["degradation"]
    assert stage["verdict"] and "likelihood_gain" in stage["probe"] and stage["probed_on"] == "new crops of the training patients"
    good = stage["probe"]["likelihood_gain"] > 0 and stage["probe"]["likelihood_gain_body"] > 0
    assert good != any("knows no more than the image itself" in line for line in bundle.card["limits"])


def test_the_commonest_prompts_lie_ready_and_the_others_do_not(bundle):
    ready = [prompt for prompt in PROMPTS if bundle.prompt_embeddings.get(prompt) is not None]
    assert ready == ["unknown head t1 unknown axial 2x"]


def measured(path: Path, files: dict[str, str]) -> Path:
    content = {"command": "measure it", "what": "decibels", "files": files, "rows": [1, float("inf")], "all": ["much"] * 1000}
    path.write_text(json.dumps(content))
    return path


def test_numbers_measured_on_these_weights_come_into_the_evidence_whole_and_into_the_card_with_their_headline(run, bundle, tmp_path):
    path = measured(tmp_path / "methods.json", bundle.card["files"])
    other = tmp_path / "lesions.json"
    headline = {"says": "Two are lost.", "figures": {"lost": 2}}
    other.write_text(json.dumps({"command": "look", "what": "lesions", "files": bundle.card["files"], "headline": headline}))
    told = build_bundle(run, tmp_path / "model", measured=[path, other])
    assert told.evidence["methods"] == json.loads(path.read_text()) | {"rows": [1, "Infinity"]}
    assert told.card["measured"] == {
        "methods": {"says": "decibels", "figures": {}, "command": "measure it", "evidence": "evidence/methods.json"},
        "lesions": {**headline, "command": "look", "evidence": "evidence/lesions.json"},
    }
    assert "much" not in (told.path / "card.json").read_text() and "Two are lost." in (told.path / "README.md").read_text()


def test_a_file_of_numbers_that_would_take_the_place_of_the_training_is_refused(run, bundle, tmp_path):
    with pytest.raises(SettingsError, match="another name"):
        build_bundle(run, tmp_path / "model", measured=[measured(tmp_path / "training.json", bundle.card["files"])])


def test_two_files_that_would_stand_under_one_name_are_refused(run, bundle, tmp_path):
    (tmp_path / "other").mkdir()
    both = [measured(folder / "methods.json", bundle.card["files"]) for folder in (tmp_path, tmp_path / "other")]
    with pytest.raises(SettingsError, match="the same name"):
        build_bundle(run, tmp_path / "model", measured=both)


def test_numbers_of_other_weights_are_refused(run, bundle, tmp_path):
    other = {name: "0" * 64 for name in bundle.card["files"]}
    with pytest.raises(SettingsError, match="other weights; measure these with: measure it"):
        build_bundle(run, tmp_path / "model", measured=[measured(tmp_path / "methods.json", other)])
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"files": {}}', '{"command": "c", "what": "w", "files": 3}'])
def test_a_file_that_holds_no_numbers_is_one_sentence(content, run, tmp_path):
    (tmp_path / "numbers.json").write_text(content)
    with pytest.raises(InputError, match=r"numbers\.json"):
        build_bundle(run, tmp_path / "model", measured=[tmp_path / "numbers.json"])


def test_a_run_that_is_not_finished_is_refused_or_said_in_the_card(half, tmp_path):
    with pytest.raises(SettingsError, match="denoiser and degradation is not finished"):
        build_bundle(half, tmp_path / "model")
    limits = build_bundle(half, tmp_path / "model", unfinished=True).card["limits"]
    assert [line.split()[1] for line in limits if "was not trained" in line] == ["noise_estimator", "denoiser", "degradation"]
    (half / "recipe.yaml").write_text(PLAN.with_steps(100).as_yaml())
    limits = build_bundle(half, tmp_path / "longer", unfinished=True).card["limits"]
    assert any("restoration network is not finished: 3 of 100 steps" in line for line in limits)


def test_without_a_run_there_is_nothing_to_build(tmp_path):
    with pytest.raises(SettingsError, match="holds no run"):
        build_bundle(tmp_path, tmp_path / "model")


def test_a_fine_tuned_model_says_from_what_and_keeps_its_sources_and_networks(run, bundle, tmp_path):
    plan = replace(PLAN, stages=(replace(DENOISER, attention_lora=True),))
    start = begin_from_bundle(bundle.path)
    mine = {"source": "our hospital", "licence": "", "organ": "knee", "contrast": "PDw", "site": "A", "records": 3}
    begin(tmp_path / "run", plan, start, {"data": [mine], "kept_out": {}, "prompts": {}}, write=True)
    train(plan, start.networks, lambda stage: QuickBatches(), tmp_path / "run")
    tuned = build_bundle(tmp_path / "run", tmp_path / "model")
    training = tuned.evidence["training"]
    assert training["started_from"]["hash"] == bundle.hash == tuned.card["training"]["started_from"]["hash"]
    assert training["started_from"]["limits"] == bundle.card["limits"]
    assert (bundle.card["name"], tuned.card["name"]) == ("tiny", "tiny, fine-tuned")
    assert training["data"] == [mine, FILE] and tuned.trained_on["organ"] == {"head", "knee"}
    same, other = (f"{name}/diffusion_pytorch_model.safetensors" for name in ("restoration", "denoiser"))
    assert tuned.card["files"][same] == bundle.card["files"][same]
    assert tuned.card["files"][other] != bundle.card["files"][other]


def test_what_was_left_out_is_named_with_the_reason():
    fallen = [{"file": "volumes/noisy.nii", "reason": "its own noise is 3% of P99.5"}]
    account = Account({}, {**DATA, "left_out": fallen}, [])
    assert model_card(PLAN, account, {}, begin_at_random(PLAN))["training"]["left_out"] == fallen
    before = Account({}, DATA, [])
    assert model_card(PLAN, before, {}, begin_at_random(PLAN))["training"]["left_out"] == [], "a run that was begun before this was told"


def test_the_limits_follow_from_the_data():
    start = begin_at_random(PLAN)

    def limits(records: float, **entry) -> str:
        account = Account({}, {"data": [FILE | entry], "kept_out": {}, "prompts": {}}, [])
        stages = {stage.network: StageRun(2, 0.1, True, {}, {}) for stage in PLAN.stages}
        return " ".join(model_card(replace(PLAN, records=records), account, stages, start)["limits"])

    assert "Trained on knee;" in limits(1.0, organ="knee") and "simulated" not in limits(1.0)
    assert "was simulated, not scanned" in limits(0.5)
