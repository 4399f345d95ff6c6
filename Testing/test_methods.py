"""The catalogue of methods is the one place that knows them: what a row and a function bring is there for users everywhere."""

import ast
import inspect
import re
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import MRIDenoiseLib
from MRIDenoiseLib import io
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.denoisers.samplers import COMPARED
from MRIDenoiseLib.evaluation.denoisers.samplers import SAMPLERS as COMPARED_SAMPLERS
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.methods import METHODS, OPTIONS, STEPS, STRENGTH, Method
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.sampling import SAMPLERS
from MRIDenoiseLib.sampling.interfaces import centre
from MRIDenoiseLib.sampling.regression import VIEWS

LIBRARY = Path(MRIDenoiseLib.__file__).parent
EVERY = [*((row, SAMPLERS[name]) for name, row in METHODS.items()), *((row, COMPARED_SAMPLERS[name]) for name, row in COMPARED.items())]
TITLE = "posterior-mean rectified flow"
"""Of a paper; no method of ours."""
OFFERED = {"measured", "conditioning", "schedule", "noise", "limits", "callback", "start_noise"}


def halved(restoration, measured, conditioning, *, noise, steps=1, limits=(-1.0, 1.5), callback=None):
    """Half way to the network's answer, so many times."""
    image = centre(measured)
    for i in range(steps):
        image = image + (restoration(measured, conditioning).clamp(*limits) - image) / 2
        callback({"i": i, "steps": steps, "t": 0, "x": image, "denoised": image})
    return image + 0 * noise(0)


@pytest.fixture
def made_up(monkeypatch):
    """A method that is a row of the catalogue and a function, and nothing else."""
    row = Method("half-way", "half way to the answer", ("restoration",), (STEPS.of(3, "Halvings"), STRENGTH))
    monkeypatch.setitem(METHODS, row.name, row)
    monkeypatch.setitem(SAMPLERS, row.name, halved)
    for command in ("denoise", "benchmark"):
        # A program that starts reads the catalogue once; this one has started already. What it had read is put back afterwards.
        monkeypatch.setattr(MRIDenoiseLib.cli, command, import_module(f"MRIDenoiseLib.cli.{command}"))
        monkeypatch.delitem(sys.modules, f"MRIDenoiseLib.cli.{command}")
    return row


def test_a_new_method_is_offered_by_the_command_line(made_up, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["denoise", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"|ddim|{made_up.name}>" in said and f"{made_up.name}: half way to the answer." in said
    assert f"Halvings, 1 to 1000 ({made_up.name})." in said
    assert main(["benchmark", "methods", "--help"]) == 0
    assert f"ddim, {made_up.name};" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_settings_know_a_new_method_and_its_options(made_up):
    assert Settings(method=made_up.name).resolved("ddim", {"steps": 7}).options() == {"steps": 3, "strength": 1.0}
    assert Settings(steps=2).resolved(made_up.name, {"steps": 7}).options() == {"steps": 2, "strength": 1.0}
    assert Settings(sharpness=0.5).unused(made_up.name) == ("sharpness",)
    with pytest.raises(SettingsError, match=f"ddim, {made_up.name}"):
        Settings(method="nowhere")


def test_a_new_method_runs_and_says_which_network_it_lacks(made_up, tiny_bundle, tmp_path, monkeypatch):
    noisy, clean = sample_data("head_T1w_noisy.nii.gz"), tmp_path / "clean.nii.gz"
    head = io.read(noisy)
    options = ["--method", made_up.name, "--steps", "2", "--slices", "10:11", "--bundle", str(tiny_bundle), "--device", "cpu"]
    assert main(["denoise", str(noisy), str(clean), *options]) == 0
    model = Bundle.load(tiny_bundle)
    around = {"slices": (10, 11), "device": "cpu"}
    own = Denoiser(model)(head, Settings(method=made_up.name, steps=2, **around))
    assert own.report["method"] == made_up.name and own.report["steps"] == 2
    answer = Denoiser(model)(head, Settings(method="regression", samples=1, **around)).volume.stack[10]
    expected = head.stack[10] + 0.75 * (answer - head.stack[10])
    assert np.allclose(own.volume.stack[10], expected, atol=2e-3 * head.stack.max()) and not np.allclose(answer, head.stack[10])
    assert np.allclose(io.read(clean).stack[10], own.volume.stack[10], atol=1e-3 * head.stack.max())
    monkeypatch.setattr(model, "network", lambda name: None if name == "restoration" else Bundle.network(model, name))
    with pytest.raises(SettingsError, match="this model has no regression network: choose another method than half-way"):
        Denoiser(model)(head, Settings(method=made_up.name))


def test_a_users_method_is_named_in_two_files_of_the_library():
    found = {name: set() for name in METHODS}
    for file in sorted(LIBRARY.rglob("*.py")):
        for text in _strings(ast.parse(file.read_text(encoding="utf-8"))):
            text = text.replace(TITLE, "")
            for name in METHODS:
                # The names that are words of English count where they stand alone or in a list of methods.
                among = [other for other in METHODS if re.search(rf"(?<![\w.-]){other}(?![\w-])", text)]
                if text == name or (name in among and ("-" in name or len(among) > 1) and "rectified flow" not in text):
                    found[name].add(file.relative_to(LIBRARY).as_posix())
    assert found == {name: {"methods.py", "sampling/__init__.py"} for name in METHODS}


def test_every_row_fits_its_sampler():
    assert set(SAMPLERS) == set(METHODS) and set(COMPARED_SAMPLERS) == set(COMPARED)
    for row, sampler in EVERY:
        asked = inspect.signature(sampler).parameters
        assert tuple(asked)[: len(row.needs)] == row.needs, "the networks come first, called by their own names"
        rest = set(tuple(asked)[len(row.needs) :])
        options = {option.name for option in row.options} - {STRENGTH.name}
        assert options <= rest, row.name
        keywords = {name for name in rest if asked[name].kind is inspect.Parameter.VAR_KEYWORD}
        must = {name for name in rest - keywords if asked[name].default is inspect.Parameter.empty}
        assert must <= OFFERED, f"{row.name} asks for what no batch has"
        assert not {"start", "generator"} & rest, "noise is called noise by every sampler"


def test_every_option_can_be_set_and_what_nobody_says_is_a_value_of_it():
    known = {one.name for one in fields(Settings)}
    for row in METHODS.values():
        assert row.rests_on in ("", *METHODS) and row.sentence
        for on_gpu in (False, True):
            chosen = Settings(method=row.name).resolved(row.name, {}, on_gpu=on_gpu)
            assert set(chosen.options()) == {option.name for option in row.options} <= known & set(OPTIONS)
        for option in row.options:
            assert option.sentence and (option.choices or option.least < option.most)
    assert {option.most for row in METHODS.values() for option in row.options if option.on_gpu} == {len(VIEWS)}


def _strings(tree):
    """Every string of a module but those that document it."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str) and not isinstance(node, ast.Expr):
                yield child.value
