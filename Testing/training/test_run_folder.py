"""A run's folder: begun once, gone on with by the same plan alone, and free of anything private."""

import json
from dataclasses import replace

import pytest

from MRIDenoiseLib.errors import InputError, OutputError, SettingsError
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run_folder import ACCOUNT, RECIPE, begin, kept_start, read_account, read_recipe
from MRIDenoiseLib.training.start import begin_at_random, begin_from_bundle

PLAN = Recipe(config="tiny", stages=(Stage("restoration", steps=2, text="whole"),))
DATA = {"data": [{"file": "a", "organ": "head"}], "kept_out": {}, "prompts": {"unknown": 1}}


@pytest.fixture(scope="module")
def start():
    return begin_at_random(PLAN)


def test_a_run_tells_its_recipe_data_origin_and_programs(tmp_path, start):
    begin(tmp_path / "runs" / "one", PLAN, start, DATA, write=True)
    account = read_account(tmp_path / "runs" / "one")
    assert read_recipe(tmp_path / "runs" / "one") == PLAN
    assert account is not None and account.data == DATA and account.origin == {}
    assert {"commit", "torch", "MRIDenoiseLib", "python"} <= account.programs[0].keys()


def test_one_process_of_several_writes_and_the_others_only_check(tmp_path, start):
    begin(tmp_path / "run", PLAN, start, DATA, write=False)
    assert not (tmp_path / "run").exists()


def test_the_same_run_is_gone_on_with_also_for_more_steps(tmp_path, start):
    begin(tmp_path, PLAN, start, DATA, write=True)
    begin(tmp_path, PLAN.with_steps(9), start, DATA, write=True)
    assert read_recipe(tmp_path).stages[0].steps == 9
    assert len(read_account(tmp_path).programs) == 1


def test_another_program_is_added_to_the_account(tmp_path, start, monkeypatch):
    begin(tmp_path, PLAN, start, DATA, write=True)
    monkeypatch.setattr("platform.python_version", lambda: "9.9")
    begin(tmp_path, PLAN, start, DATA, write=True)
    assert [program["python"] == "9.9" for program in read_account(tmp_path).programs] == [False, True]


def test_another_recipe_start_or_data_is_refused(tmp_path, start, tiny_bundle):
    begin(tmp_path, PLAN, start, DATA, write=True)
    with pytest.raises(SettingsError, match="another recipe"):
        begin(tmp_path, replace(PLAN, seed=3), start, DATA, write=True)
    with pytest.raises(SettingsError, match="other networks"):
        begin(tmp_path, PLAN, begin_from_bundle(tiny_bundle), DATA, write=True)
    with pytest.raises(SettingsError, match="other data"):
        begin(tmp_path, PLAN, start, DATA | {"data": []}, write=True)


def test_what_a_run_started_from_is_there_without_the_place_it_came_from(tmp_path, tiny_bundle):
    begun = begin_from_bundle(tiny_bundle)
    begin(tmp_path, PLAN, begun, DATA, write=True)
    kept = kept_start(tmp_path, PLAN)
    assert kept.origin == begun.origin and kept.bundle is not None and tmp_path in kept.bundle.parents
    begin(tmp_path, PLAN, kept, DATA, write=True)
    assert str(tiny_bundle) not in (tmp_path / ACCOUNT).read_text()


def test_checkpoints_that_are_there_without_an_account_become_a_run(tmp_path, start):
    (tmp_path / "restoration").mkdir()
    begin(tmp_path, PLAN, start, DATA, write=True)
    assert read_account(tmp_path) is not None


def test_a_folder_with_somebodys_files_is_refused_and_left_alone(tmp_path, start):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        begin(tmp_path, PLAN, start, DATA, write=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(OutputError, match="is a file"):
        begin(tmp_path / "thesis.txt", PLAN, start, DATA, write=True)


def test_a_damaged_account_is_one_sentence(tmp_path, start):
    begin(tmp_path, PLAN, start, DATA, write=True)
    for content in ("{", json.dumps({"origin": 1})):
        (tmp_path / ACCOUNT).write_text(content)
        with pytest.raises(InputError, match="damaged"):
            read_account(tmp_path)


def test_a_folder_without_a_run_is_one_sentence(tmp_path):
    assert read_account(tmp_path) is None
    with pytest.raises(SettingsError, match="holds no run"):
        read_recipe(tmp_path)
    (tmp_path / RECIPE).write_text("nonsense")
    with pytest.raises(SettingsError, match="is not a recipe"):
        read_recipe(tmp_path)
