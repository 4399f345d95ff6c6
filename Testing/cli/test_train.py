"""``mridenoise train``: one command from data to a checked model, stopped and gone on with, and refused in one sentence."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from training_cases import data_folder, record, record_folder, text_tower

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.training import loop
from MRIDenoiseLib.training.checkpoint import load_checkpoint
from MRIDenoiseLib.training.run_folder import read_log

RECIPES = Path(__file__).resolve().parents[2] / "scripts" / "recipes"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
PROGRAM = "import sys; from MRIDenoiseLib.cli import main; sys.exit(main(sys.argv[1:]))"

TINY = {
    "config": "tiny",
    "settings": {"samples": 2},
    "stages": [
        {"network": "noise_estimator", "steps": 1, "batch_size": 1, "crop": 64},
        {"network": "restoration", "steps": 2, "batch_size": 2, "crop": 64, "text": "whole"},
        {"network": "denoiser", "steps": 2, "batch_size": 1, "crop": 64},
        {"network": "degradation", "steps": 1, "batch_size": 1, "crop": 64, "structural": 0.0, "adversarial": 0.0},
    ],
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_folder(tmp_path_factory.mktemp("pairs") / "pairs", record(), record("test"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_folder(tmp_path_factory.mktemp("data") / "clean", size=96)


def written(path: Path, recipe: dict) -> Path:
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def small(recipe: dict) -> dict:
    """A recipe of the same form that needs seconds."""
    stages = []
    for stage in recipe["stages"]:
        crop = 176 if stage["network"] == "degradation" and stage.get("structural", 0.5) > 0 else 64
        timeless = {name: value for name, value in stage.items() if name != "minutes"}
        stages.append(timeless | {"steps": 2, "batch_size": 1, "crop": crop, "epoch_steps": 2, "lora_rank": 2})
    return recipe | {"config": "tiny", "stages": stages}


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probing a network takes longer than training it for the few steps of these tests."""
    monkeypatch.setattr(loop, "PROBE_CROPS", 2)


def run(*arguments: object) -> int:
    return main(["train", *(str(argument) for argument in arguments)])


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_recipe_leads_by_one_command_from_data_to_a_checked_model(name, data, pairs, tiny_bundle, tmp_path, capfd):
    recipe = small(yaml.safe_load((RECIPES / f"{name}.yaml").read_text()))
    start: dict[str, list] = {"compact": [], "compact-gpu": [], "paper": ["--text-encoder", text_tower(tmp_path / "tower")]}
    arguments = [written(tmp_path / "recipe.yaml", recipe), tmp_path / "run", "--data", pairs if "records" in recipe else data]
    assert run(*arguments, "--out", tmp_path / "model", *start.get(name, ["--from-bundle", tiny_bundle])) == 0
    said = capfd.readouterr().out
    assert Bundle.verify(tmp_path / "model") in said and "NOT FOR DIAGNOSTIC USE" in said
    made = Bundle.load(tmp_path / "model")
    card, training = made.card, made.evidence["training"]
    trained = {stage: facts["steps"] for stage, facts in training["stages"].items()}
    assert trained == {stage["network"]: 2 for stage in recipe["stages"]}
    assert [entry.get("subject", entry.get("records")) for entry in training["data"]] == ([1] if "records" in recipe else ["s0", "s1"])
    assert card["default_method"] == recipe["method"] and card["default_settings"] == recipe["settings"]
    for stage in training["stages"]:
        assert read_log(tmp_path / "run" / stage) and list((tmp_path / "run" / stage / "curves").iterdir())


def test_a_run_goes_on_and_a_model_can_be_built_of_it_later_with_measured_numbers(data, tmp_path, capfd):
    recipe = written(tmp_path / "recipe.yaml", TINY)
    for stage in ("noise_estimator", "restoration"):
        assert run(recipe, tmp_path / "run", "--data", data, "--stage", stage) == 0
    assert main(["bundle", "build", str(tmp_path / "run"), str(tmp_path / "model")]) == 2
    assert "denoiser and degradation is not finished" in capfd.readouterr().err
    assert main(["bundle", "build", str(tmp_path / "run"), str(tmp_path / "half"), "--unfinished"]) == 0
    assert run(tmp_path / "run" / "recipe.yaml", tmp_path / "run", "--data", data) == 0
    assert main(["bundle", "build", str(tmp_path / "run"), str(tmp_path / "model"), "--note", "in a test"]) == 0
    files = Bundle.load(tmp_path / "model").card["files"]
    (tmp_path / "methods.json").write_text(json.dumps({"command": "c", "what": "w", "files": files, "rows": [3]}))
    again = ["bundle", "build", str(tmp_path / "run"), str(tmp_path / "model"), "--measured", str(tmp_path / "methods.json")]
    assert main(again) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert main([*again, "--overwrite"]) == 0
    assert Bundle.load(tmp_path / "model").evidence["methods"]["rows"] == [3]


def test_steps_shorten_every_stage(data, tmp_path):
    assert run(written(tmp_path / "recipe.yaml", TINY), tmp_path / "run", "--data", data, "--steps", "1") == 0
    assert [load_checkpoint(tmp_path / "run" / stage["network"])["step"] for stage in TINY["stages"]] == [1, 1, 1, 1]


def test_volumes_that_fall_out_are_named_with_the_reason_on_screen_and_in_the_account(data, tmp_path, capfd):
    folder = shutil.copytree(data, tmp_path / "data")
    text = (folder / "MANIFEST.csv").read_text()
    (folder / "MANIFEST.csv").write_text(text.replace("s1,train,0.0050", "s1,train,0.0500"))
    recipe = written(tmp_path / "recipe.yaml", TINY | {"stages": TINY["stages"][:1]})
    assert run(recipe, tmp_path / "run", "--data", folder) == 0
    assert "volumes/knee_T1w_s1.nii.gz is not trained on: its own noise is 5.00% of P99.5" in " ".join(capfd.readouterr().err.split())
    account = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert [entry["subject"] for entry in account["data"]] == ["s0"] and account["left_out"][0]["file"] == "volumes/knee_T1w_s1.nii.gz"


REFUSALS = {
    "no such recipe": (["no.yaml", "RUN", "--data", "DATA"], "cannot be read as a recipe"),
    "no data": (["RECIPE", "RUN", "--data", "EMPTY"], "neither a MANIFEST.csv"),
    "prepared pairs that are not there": (["RECORDS", "RUN", "--data", "DATA"], "name their folder with --data"),
    "a file for a run": (["RECIPE", "RECIPE", "--data", "DATA"], "is a file"),
    "a run with other files": (["RECIPE", "DATA", "--data", "DATA"], "other files"),
    "a model inside the run": (["RECIPE", "RUN", "--data", "DATA", "--out", "RUN/model"], "separate folders"),
    "a model that is there": (["RECIPE", "RUN", "--data", "DATA", "--out", "BUNDLE"], "exists already"),
    "somebody's files": (["RECIPE", "RUN", "--data", "DATA", "--out", "DATA", "--overwrite"], "not an earlier result"),
    "no model to start from": (["RECIPE", "RUN", "--data", "DATA", "--from-bundle", "EMPTY"], "card.json is missing"),
    "two text encoders": (
        ["RECIPE", "RUN", "--data", "DATA", "--from-bundle", "BUNDLE", "--text-encoder", "x"],
        "leave --text-encoder out",
    ),
    "a branch of a hub": (["RECIPE", "RUN", "--data", "DATA", "--text-encoder", "a/b", "--revision", "main"], "pin its commit"),
    "a commit of nothing": (["RECIPE", "RUN", "--data", "DATA", "--revision", "main"], "belongs to --text-encoder"),
    "a stage that is not there": (["SHORT", "RUN", "--data", "DATA", "--stage", "denoiser"], "no stage for the denoiser"),
    "half a model": (
        ["RECIPE", "RUN", "--data", "DATA", "--stage", "restoration", "--out", "MODEL"],
        "leaves the training of noise_estimator and denoiser and degradation unfinished",
    ),
    "no steps": (["RECIPE", "RUN", "--data", "DATA", "--steps", "0"], "steps is a whole number"),
}


@pytest.mark.parametrize(("arguments", "complaint"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_work_is_refused_in_one_sentence(arguments, complaint, data, tiny_bundle, tmp_path, capfd):
    (tmp_path / "empty").mkdir()
    places = {"RUN": tmp_path / "run", "DATA": data, "EMPTY": tmp_path / "empty", "BUNDLE": tiny_bundle}
    places |= {"RUN/model": tmp_path / "run" / "model", "MODEL": tmp_path / "model"}
    places["RECIPE"] = written(tmp_path / "recipe.yaml", TINY)
    places["RECORDS"] = written(tmp_path / "records.yaml", TINY | {"records": 0.5})
    places["SHORT"] = written(tmp_path / "short.yaml", TINY | {"stages": TINY["stages"][:2]})
    assert run(*(places.get(argument, argument) for argument in arguments)) == 2
    said = capfd.readouterr().err
    assert complaint in said and said.count("\n") == 1, said


def test_of_several_processes_the_first_says_what_is_wrong_with_the_options_and_each_what_it_met_itself(data, tmp_path, monkeypatch, capfd):
    (tmp_path / "empty").mkdir()
    recipe = written(tmp_path / "recipe.yaml", TINY)
    monkeypatch.setenv("RANK", "1")
    assert run(recipe, tmp_path / "run", "--data", data, "--steps", "0") == 2
    assert capfd.readouterr().err == ""
    assert run(recipe, tmp_path / "run", "--data", tmp_path / "empty") == 2
    assert "mridenoise, process 1: " in capfd.readouterr().err


def test_the_data_may_be_named_by_the_environment_also_where_its_path_has_a_blank(tmp_path, monkeypatch, capfd):
    (tmp_path / "my data").mkdir()
    monkeypatch.setenv("MRIDENOISE_DATA", str(tmp_path / "my data"))
    assert run(written(tmp_path / "recipe.yaml", TINY), tmp_path / "run") == 2
    assert f"{tmp_path / 'my data'} holds neither" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["train", "--help"], ["bundle", "build", "--help"]], ids=" ".join)
def test_help_loads_no_heavy_library(arguments):
    code = f"import sys; from MRIDenoiseLib.cli import main; status = main({arguments!r}); print('loaded', *sys.modules); sys.exit(status)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "transformers", "SimpleITK", "scipy", "yaml"}.isdisjoint(done.stdout.splitlines()[-1].split())


def test_a_card_of_many_levels_is_shown_indented(tiny_bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    card = json.loads((tiny_bundle / "card.json").read_text())
    card["origin"] = {"stages": {"denoiser": {"steps": 3, "notes": ["one", "two"]}}, "steps": 3}
    changed = Path(shutil.copytree(tiny_bundle, tmp_path / "model"))
    (changed / "card.json").write_text(json.dumps(card))
    assert main(["bundle", "info", "--all", str(changed)]) == 0
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    start = next(number for number, line in enumerate(shown) if line.startswith("origin"))
    assert [line.split("  ", 1)[1].strip() for line in shown[start : start + 5]] == ["stages:", "denoiser:", "steps: 3", "notes:", "one"]
    assert (
        shown[start + 4].index("one") > shown[start + 3].index("notes") > shown[start + 1].index("denoiser") > shown[start].index("stages")
    )


def start(recipe: Path, run: Path, data: Path, *before: str) -> subprocess.Popen[str]:
    """Training in a process of its own that says every step."""
    program = "import MRIDenoiseLib.cli.progress as progress; progress.SECONDS_BETWEEN_LINES = 0.0; "
    program += f"import MRIDenoiseLib.training.loop as loop; loop.PROBE_CROPS = 2; {PROGRAM}"
    command = [*before, sys.executable, "-c", program, "train", str(recipe), str(run), "--data", str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "terminate"])
def test_a_stopped_training_saves_its_state_says_so_and_goes_on(number, data, tmp_path):
    noise, restoration = TINY["stages"][:2]
    recipe = written(tmp_path / "recipe.yaml", TINY | {"stages": [noise, restoration | {"steps": 500}]})
    process = start(recipe, tmp_path / "run", data)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("restoration (2 of 2)"):
            break
    process.send_signal(number)
    asked = time.monotonic()
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 130
    assert time.monotonic() - asked < 10, "a second is promised; a loaded test machine gets some more"
    step = load_checkpoint(tmp_path / "run" / "restoration")["step"]
    assert rest.splitlines()[-1] == (
        f"mridenoise: stopped at step {step} of 500 of the restoration network; the same command resumes from there."
    )
    recipe = written(tmp_path / "recipe.yaml", TINY | {"stages": [noise, restoration | {"steps": step + 1}]})
    assert run(recipe, tmp_path / "run", "--data", data) == 0
    assert load_checkpoint(tmp_path / "run" / "restoration")["step"] == step + 1


@POSIX
@pytest.mark.slow
def test_two_processes_share_a_training_and_one_speaks(data, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--no-python", "--nproc_per_node", "2"]
    recipe = written(tmp_path / "recipe.yaml", small(TINY | {"stages": TINY["stages"][:2]}))
    process = start(recipe, tmp_path / "run", data, *torchrun)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    assert said.count("trained:") == 1
    for stage in TINY["stages"][:2]:
        state = load_checkpoint(tmp_path / "run" / stage["network"])
        assert (state["step"], state["facts"]["processes"]) == (2, 2)
        assert [entry["step"] for entry in read_log(tmp_path / "run" / stage["network"]) if "probe/" not in str(entry)] == [2]
