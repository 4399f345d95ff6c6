"""From a configuration to cells: equal trials for all, and a mark that changes with all that decides a result."""

import json
import shutil
from dataclasses import replace

import pytest

from MRIDenoiseLib.evaluation.comparison.cells import TRIAL, Outcome
from MRIDenoiseLib.evaluation.comparison.plan import Entrant
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import describe
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.flow import FlowNetwork
from MRIDenoiseLib.models.networks import NETWORKS


def test_every_method_tries_its_settings_on_the_same_images_and_no_more_than_allowed(plan_of):
    plan = plan_of(methods=["noisy", "blur", "median", "nlm", "tuned"])
    tried = {}
    for cell in plan.trials():
        assert cell.trial and cell.case.subject == "t1"
        tried[cell.method] = tried.get(cell.method, 0) + 1
    assert tried == {"blur": 3, "median": 3, "nlm": 3, "tuned": 3}


def test_the_setting_with_the_best_mean_is_chosen_and_one_that_failed_is_not(plan_of):
    plan = plan_of()
    outcomes = {}
    for cell in plan.trials():
        place = CONTENDERS[cell.method].settings.index(cell.setting)
        outcomes[cell.name] = Outcome({TRIAL: [20.0, 25.0, 30.0][place]}) if place < 2 else Outcome(error="no memory")
    chosen = plan.choose(outcomes)
    assert chosen[Entrant("median", "bundled")] == CONTENDERS["median"].settings[1]
    assert chosen[Entrant("noisy", "bundled")] == {}


def test_without_tuning_every_method_has_its_customary_setting(plan_of):
    plan = plan_of(tuning=None)
    assert plan.trials() == []
    assert plan.choose({})[Entrant("blur", "bundled")] == CONTENDERS["blur"].settings[0]


def test_methods_of_a_model_take_part_once_a_model_and_the_others_once(plan_of, tiny_bundle):
    plan = plan_of(methods=["noisy", "nbnet"], models={"a": str(tiny_bundle), "b": str(tiny_bundle)})
    assert plan.entrants == (Entrant("noisy", "a"), Entrant("nbnet", "a"), Entrant("nbnet", "b"))


def test_a_method_for_heads_is_not_asked_for_a_knee_and_one_that_is_told_the_noise_needs_a_known_one(plan_of):
    plan = plan_of(methods=["bme-x", "bm4d-told"], repeats=["EPI"])
    cells = {(cell.method, cell.case.subject) for cell in plan.scored(plan.choose({})) if cell.method != "limits"}
    assert cells == {("bme-x", "s1"), ("bme-x", "r1"), ("bm4d-told", "s1"), ("bm4d-told", "s2")}


def test_the_shuffled_text_is_that_of_another_organ(plan_of):
    cells = plan_of(methods=["shuffled-text"]).scored({Entrant("shuffled-text", "bundled"): {}})
    assert {cell.case.organ: cell.other for cell in cells if cell.method == "shuffled-text"} == {
        "head": ("knee", "T2w"),
        "knee": ("head", "T1w"),
    }


@pytest.mark.parametrize("change", [{"setting": {"steps": 3}}, {"steps": 9}, {"seed": 1}, {"bundle": "other"}, {"trial": True}])
def test_all_that_decides_a_result_changes_its_mark_and_a_moved_folder_does_not(plan_of, change):
    cell = next(cell for cell in plan_of(methods=["ddim"]).trials())
    cell = replace(cell, trial=False)
    assert replace(cell, **change).mark != cell.mark
    moved = replace(cell, folder="/elsewhere", case=replace(cell.case, folder="/elsewhere"))
    assert moved.mark == cell.mark


def test_a_card_that_tells_more_changes_no_result_and_other_default_settings_do(plan_of, tiny_bundle, tmp_path):
    def mark(measured=None, **changes):
        folder = tmp_path / "-".join(["model", *(measured or ()), *changes])
        shutil.copytree(tiny_bundle, folder)
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(card | changes))
        if measured:
            describe(folder, card, measured)
        plan = plan_of(methods=["ours"], models={"m": str(folder)}, tuning=None)
        return plan.scored(plan.choose({}))[1].mark, plan.hashes["m"]

    (plain, one), (told, other) = mark(), mark(intended_use="something else")
    assert plain == told and one != other
    assert mark(measured={"lesions": {"command": "c", "what": "w"}})[0] == plain
    assert mark(default_settings={"steps": 2})[0] != plain


def test_a_model_that_learns_to_sharpen_keeps_all_results_that_do_not_need_it(plan_of, tiny_bundle, tmp_path):
    model = Bundle.load(tiny_bundle)
    parts = {name: getattr(model, name) for name in ("text_encoder", "tokenizer", "scheduler")}
    plain = {name: model.network(name) for name in NETWORKS if name != "flow"}
    card = {name: model.card[name] for name in ("default_method", "default_settings")}
    taught = FlowNetwork.from_config(model.network("flow").config)
    flows = {"without": {}, "with": {"flow": model.network("flow")}, "with another": {"flow": taught}}
    methods = ["nbnet", "ours", "bm4d", "sharpened-half"]
    marks = {}
    for name, flow in flows.items():
        write_bundle(tmp_path / name, networks=plain | flow, **parts, card=card)
        plan = plan_of(methods=methods, models={"m": str(tmp_path / name)}, tuning=None)
        marks[name] = {cell.method: cell.mark for cell in plan.scored(plan.choose({}))}
    for method in methods[:3]:
        assert len({marks[name][method] for name in flows}) == 1, method
    assert len({marks[name]["sharpened-half"] for name in flows}) == 3
    ours = set()
    for name in ("with", "with another"):
        write_bundle(tmp_path / f"{name}, by default", networks=plain | flows[name], **parts, card=card | {"default_method": "sharpened"})
        plan = plan_of(methods=["ours"], models={"m": str(tmp_path / f"{name}, by default")}, tuning=None)
        ours |= {cell.mark for cell in plan.scored(plan.choose({})) if cell.method == "ours" and cell.case.subject == "s1"}
    assert len(ours) == 2, "a model whose default is to sharpen gives other results with another flow"
    plain["degradation"] = type(model.network("degradation")).from_config(model.network("degradation").config)
    write_bundle(tmp_path / "trained on", networks=plain | flows["with"], **parts, card=card)
    plan = plan_of(methods=methods, models={"m": str(tmp_path / "trained on")}, tuning=None)
    assert all(cell.mark != marks["with"][cell.method] for cell in plan.scored(plan.choose({})) if cell.method in methods)
