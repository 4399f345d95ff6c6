"""Every rival gets its best setting, measure by measure, and its numbers outlive the run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation import rivals as rivals_module
from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.evaluation.rival_store import RivalStore
from MRIDenoiseLib.evaluation.rivals import RIVALS, Best, Rival, at_its_best


@pytest.fixture
def noisy(row) -> dict[str, float]:
    return row.score_filtered(row.noisy)


def made_of(images: dict[str, np.ndarray]) -> Rival:
    return Rival(lambda row: iter(images.items()), "a grid")


def test_the_best_setting_is_chosen_for_each_measure_by_itself(row):
    # A constant offset costs PSNR and hardly any structure; noise costs both.
    clean = np.zeros_like(row.noisy)
    clean[3:-3] = row.reference
    images = {"noise": 0.4 * row.noisy + 0.6 * clean, "offset": clean + 0.06, "worse": row.noisy}
    scores = {name: row.score_filtered(image) for name, image in images.items()}
    assert scores["noise"]["psnr"] > scores["offset"]["psnr"] and scores["noise"]["ssim"] < scores["offset"]["ssim"]
    for order in (1, -1):
        best = at_its_best(made_of(dict(list(images.items())[::order])), row)
        assert best.settings["psnr"] == "noise" and best.settings["ssim"] == "offset"
        assert best.scores == {measure: max(found[measure] for found in scores.values()) for measure in best.scores}


@pytest.mark.parametrize("name", ["blur", "median", "gradient"])
def test_a_filter_at_its_best_is_better_than_the_noisy_image(row, noisy, name):
    best = at_its_best(RIVALS[name], row)
    assert all(best.scores[measure] > noisy[measure] for measure in ("psnr", "ssim"))


def test_the_blur_is_the_best_of_all_blurs(row):
    best = at_its_best(RIVALS["blur"], row)
    by_hand = {str(blur): row.score_filtered(blur(row.noisy))["psnr"] for blur in BLURS}
    assert best.settings["psnr"] == max(by_hand, key=lambda setting: by_hand[setting])


BEST = Best({"psnr": 30.0, "corrected": 31.0, "ssim": 0.9}, {"psnr": "a", "corrected": "a", "ssim": "b"})


def test_a_stored_best_comes_back_in_a_later_run(row, noisy, tmp_path):
    path = tmp_path / "rivals.json"
    RivalStore(path).put(row, noisy, "median", BEST)
    assert RivalStore(path).get(row, noisy, "median") == BEST
    assert RivalStore(path).get(row, noisy, "gradient") is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["rivals.json"]


def test_a_stored_best_is_not_used_for_another_noise_file_grid_or_noisy_image(row, noisy, tmp_path, monkeypatch):
    store = RivalStore(tmp_path / "rivals.json")
    store.put(row, noisy, "median", BEST)
    assert store.get(replace(row, noise="U"), noisy, "median") is None
    assert store.get(replace(row, source=replace(row.source, file="volumes/other.nii.gz")), noisy, "median") is None
    assert store.get(row, noisy | {"psnr": noisy["psnr"] + 0.01}, "median") is None
    assert store.get(row, noisy | {"psnr": noisy["psnr"] + 0.0005}, "median") == BEST, "two computers round differently"
    monkeypatch.setitem(rivals_module.RIVALS, "median", replace(RIVALS["median"], grid="other radii"))
    assert store.get(row, noisy, "median") is None


def test_two_runs_that_fill_one_file_keep_each_others_numbers(row, noisy, tmp_path):
    path = tmp_path / "rivals.json"
    first, second = RivalStore(path), RivalStore(path)
    first.put(row, noisy, "median", BEST)
    second.put(row, noisy, "gradient", BEST)
    first.put(row, noisy, "curvature", BEST)
    assert len(json.loads(path.read_text())) == 3


def test_without_a_file_a_store_keeps_numbers_for_its_own_life(row, noisy):
    store = RivalStore()
    store.put(row, noisy, "median", BEST)
    assert store.get(row, noisy, "median") == BEST


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 3}'])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_text(content)
    with pytest.raises(InputError, match="notes.json"):
        RivalStore(path)
    assert path.read_text() == content
