"""What is kept of an earlier run counts only while the code that made it is the same; its comments may change."""

from functools import cache

import pytest

from MRIDenoiseLib.evaluation.comparison import code_mark
from MRIDenoiseLib.evaluation.comparison.code_mark import cell_code, image_code, what_runs
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS

SOURCE = '"""A file."""\n\nLIMIT = 3\n"""Pixels."""\n\n\ndef half(x):\n    """Half of it."""\n    return x / 2\n'


def test_comments_docstrings_and_form_change_nothing():
    other = "# new\n" + SOURCE.replace("Pixels", "Voxels").replace("Half of it", "The half").replace("x / 2", "(x /\n            2)")
    assert what_runs(other) == what_runs(SOURCE)


@pytest.mark.parametrize(("old", "new"), [("x / 2", "x / 3"), ("= 3", "= 4"), ("half", "third")])
def test_code_changes_it(old, new):
    assert what_runs(SOURCE.replace(old, new)) != what_runs(SOURCE)


plain = cache(what_runs)
"""The same; every file of the library is taken apart once for all tests."""


@pytest.fixture
def edited(monkeypatch):
    """Reads one file of the library as if a line of code had been added to it."""

    def edit(name):
        code_mark._mark.cache_clear()
        changed = (code_mark.LIBRARY / name).read_text()
        monkeypatch.setattr(code_mark, "what_runs", lambda source: plain(source) + (" edited" if source == changed else ""))

    code_mark._mark.cache_clear()
    monkeypatch.setattr(code_mark, "what_runs", plain)
    yield edit
    code_mark._mark.cache_clear()


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("inference/denoiser.py", {"ours"}),
        ("evaluation/figures/psnr.py", {"ours", "blur", "limits"}),
        ("simulation/presets.py", {"ours", "blur", "limits"}),
        ("evaluation/denoisers/contender.py", {"ours", "blur"}),
        ("cli/compare.py", set()),
        ("training/loop.py", set()),
    ],
)
def test_a_mark_changes_with_the_code_that_decides_its_result_and_no_other(edited, file, changed):
    def marks():
        return {name: cell_code(None if name == "limits" else name, networks=name == "ours") for name in ("ours", "blur", "limits")}

    before = marks()
    edited(file)
    assert {name for name, mark in marks().items() if mark != before[name]} == changed


def test_a_peers_image_does_not_depend_on_how_it_is_scored(edited):
    peer = next(name for name, method in CONTENDERS.items() if method.is_peer)
    before = image_code(peer, networks=False)
    edited("evaluation/figures/psnr.py")
    assert image_code(peer, networks=False) == before
