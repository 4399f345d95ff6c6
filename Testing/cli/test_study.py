"""``mridenoise study``: a simulated study from its configuration to its ratings, by commands alone."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from study_cases import ARMS, configuration, write_images

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.io.atomic import read_rows
from MRIDenoiseLib.reader_study.running.blinding import read_key
from MRIDenoiseLib.reader_study.running.scores import Score, unblinded, write_scores

QUALITY = {"noisy": 2, "ours": 3, "reference": 4}


def run(*arguments: object) -> int:
    return main(["study", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of three arms and two readers, made by the command."""
    values = configuration(washout_days=0, repeats=3, sessions=4, consensus=["image_quality"])
    write_images(tmp_path / "images", [*values["cases"], "P0"])
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert run("create", "--config", tmp_path / "study.yaml", "--out", tmp_path / "study") == 0
    return tmp_path / "study"


def script(folder: Path, path: Path) -> Path:
    """Answers by volume: the second reader sees noisy images one point worse, where patient and arm say so."""
    rows = []
    for volume, image in read_key(folder / "key").volumes.items():
        value = QUALITY[image.arm]
        rows.append({"reader": "", "volume": volume, "field": "image_quality", "value": value})
        rows.append({"reader": "R2", "volume": volume, "field": "image_quality", "value": value - (image.arm == "noisy")})
        rows.append({"reader": "R2", "volume": volume, "field": "remarks", "value": "3"})
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
        return path
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["reader", "volume", "field", "value"])
        table.writeheader()
        table.writerows(rows)
    return path


def read_scores(path: Path) -> list[Score]:
    """What the library wrote, from either kind of file."""
    found = []
    for row in read_rows(path):
        value = row["value"]
        with suppress(ValueError):
            value = float(value)
        found.append(
            Score(**{**row, "session": int(row["session"]), "repeat": int(row["repeat"]), "seconds": float(row["seconds"]), "value": value})
        )
    return found


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_a_simulated_study_goes_from_design_to_scores(ending, folder, tmp_path, capfd):
    answers = script(folder, tmp_path / f"answers{ending}")
    for reader in ("R1", "R2"):
        assert run("rate", folder, "--reader", reader, "--script", answers, "--seconds", "12.5") == 0
        assert "All 22 cases are read" in capfd.readouterr().out
    assert run("export", folder, tmp_path / f"scores{ending}", "--unblind") == 0
    scores = read_scores(tmp_path / f"scores{ending}")
    assert [(s.subject, s.arm, s.value) for s in scores if s.field != "remarks"] == [
        (s.subject, s.arm, s.value) for s in unblinded(folder) if s.field != "remarks"
    ]
    quality = [score for score in scores if score.field == "image_quality"]
    assert len(quality) == 2 * (6 * 3 + 3) and {score.subject for score in scores} == {f"S{n}" for n in range(6)}
    assert {score.seconds for score in scores} == {12.5}
    assert sorted(score.repeat for score in quality if score.reader == "R1") == [0] * 18 + [1] * 3
    for score in quality:
        assert score.value == QUALITY[score.arm] - (score.reader == "R2" and score.arm == "noisy")
    repeated = {(score.subject, score.arm) for score in quality if score.repeat == 1 and score.reader == "R1"}
    first = {(s.subject, s.arm): s.session for s in quality if s.repeat == 0 and s.reader == "R1"}
    assert all(s.session > first[s.subject, s.arm] for s in quality if s.repeat == 1 and s.reader == "R1") and len(repeated) == 3


def test_create_says_how_much_there_is_to_read_and_what_to_keep(tmp_path, capfd):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(configuration(2)), encoding="utf-8")
    write_images(tmp_path / "images", ["S0", "S1", "P0"])
    assert run("create", "--config", tmp_path / "study.yaml", "--out", tmp_path / "study") == 0
    said = capfd.readouterr().out.splitlines()
    assert said[:2] == ["R1: 3 + 2 + 2 cases", "R2: 3 + 2 + 2 cases"]
    assert said[2:] == [
        f"for the readers: {tmp_path / 'study' / 'reading'}",
        f"keep to yourself: {tmp_path / 'study' / 'key'}",
        "Research use only. NOT FOR DIAGNOSTIC USE.",
    ]


def test_blinded_export_has_every_revision_and_a_dictionary_of_all_its_columns(folder, tmp_path, capfd):
    assert run("rate", folder, "--reader", "R1", "image_quality=3", "remarks=noisy, I think") == 0
    for ending in (".csv", ".json"):
        assert run("export", folder / "reading", tmp_path / f"ratings{ending}") == 0
    with (tmp_path / "ratings.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    records = json.loads((tmp_path / "ratings.json").read_text())
    assert [(row["field"], row["value"]) for row in table] == [("image_quality", "3"), ("remarks", "noisy, I think")]
    assert [(row["field"], row["value"]) for row in records] == [("image_quality", 3), ("remarks", "noisy, I think")]
    words = (tmp_path / "ratings.json").read_text().replace("noisy, I think", "")
    assert not any(arm in words for arm in ARMS) and '"S' not in words
    dictionary = json.loads((tmp_path / "ratings.dictionary.json").read_text())
    assert [row["name"] for row in dictionary if row["kind"] == "column"] == list(records[0]) == list(table[0])
    quality = next(row for row in dictionary if row["name"] == "image_quality")
    assert "How good is the image?" in quality["meaning"] and "1 = poor" in quality["values"]
    assert run("export", folder, tmp_path / "ratings.csv") == 2
    assert "--overwrite" in capfd.readouterr().err
    assert run("export", folder, tmp_path / "ratings.csv", "--overwrite") == 0
    assert run("export", folder, tmp_path / "ratings.xlsx") == 2


def test_next_shows_the_case_and_rate_answers_it(folder, capfd):
    capfd.readouterr()
    assert run("next", folder, "--reader", "R1") == 0
    said = capfd.readouterr().out
    assert said.startswith("Practice case 1 of") and "image_quality: How good is the image?" in said and "4 excellent" in said
    assert not any(word in said.replace(str(folder), "") for word in (*ARMS, "S0", "P0"))
    assert run("next", folder, "--reader", "R1", "--json") == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["practice"] is True and shown["panels"][0]["label"] == "A" and Path(shown["panels"][0]["path"]).is_file()
    assert run("rate", folder, "--reader", "R1", "image_quality=4") == 0
    assert run("next", folder, "--reader", "R1", "--json") == 0
    out = capfd.readouterr().out
    assert json.loads(out[out.index("{") :])["item"] != shown["item"]
    assert run("status", folder, "--json") == 0
    assert [(one["reader"], one["done_in_all"], one["opens"]) for one in json.loads(capfd.readouterr().out)] == [
        ("R1", 1, None),
        ("R2", 0, None),
    ]
    assert run("status", folder, "--reader", "R1") == 0
    assert "1 of 22" in capfd.readouterr().out


def test_disagreement_is_listed_without_arms_and_read_again(folder, tmp_path, capfd):
    answers = script(folder, tmp_path / "answers.csv")
    for reader in ("R1", "R2"):
        assert run("rate", folder, "--reader", reader, "--script", answers) == 0
    capfd.readouterr()
    assert run("consensus", folder) == 0
    said = capfd.readouterr().out
    assert said.count("image_quality") == 6 and "1, 2" in said and not any(arm in said for arm in ARMS)
    assert run("consensus", folder, "--make") == 0
    assert "6 images are to be read again" in capfd.readouterr().out
    assert run("rate", folder, "--reader", "consensus", "image_quality=1") == 0
    assert run("status", folder) == 0
    assert "consensus" in capfd.readouterr().out
    assert run("audit", folder) == 0


def test_readers_with_copies_of_their_own_come_together(folder, tmp_path, capfd):
    copy = Path(shutil.copytree(folder / "reading", tmp_path / "copy"))
    assert run("rate", copy, "--reader", "R2", "image_quality=3") == 0
    assert run("rate", folder, "--reader", "R1", "image_quality=3") == 0
    assert run("collect", folder, copy) == 0
    assert "1 new answers" in capfd.readouterr().out
    assert run("status", folder, "--json") == 0
    assert [one["done_in_all"] for one in json.loads(capfd.readouterr().out)] == [1, 1]


def test_a_study_without_its_key_can_be_read_but_not_unblinded(folder, tmp_path, capfd):
    (folder / "key" / "key.json").unlink()
    assert run("rate", folder, "--reader", "R1", "image_quality=4") == 0
    assert run("export", folder, tmp_path / "scores.csv", "--unblind") == 2
    assert "only the study's own folder with its key can lift the blinding" in capfd.readouterr().err


REFUSALS = {
    "no reader": (["rate", "STUDY", "--reader", "R9", "image_quality=3"], "'R9' is not a reader"),
    "no study": (["status", "NOWHERE"], "is not the folder of a reader study"),
    "nothing to answer with": (["rate", "STUDY", "--reader", "R1"], "one of the two"),
    "two ways to answer": (["rate", "STUDY", "--reader", "R1", "image_quality=3", "--script", "SCRIPT"], "one of the two"),
    "no answer": (["rate", "STUDY", "--reader", "R1", "3"], "'3' is not an answer"),
    "no number": (["rate", "STUDY", "--reader", "R1", "image_quality=good"], "answered by a number"),
    "out of the scale": (["rate", "STUDY", "--reader", "R1", "image_quality=5"], "takes one of 1"),
    "another question": (["rate", "STUDY", "--reader", "R1", "beauty=5"], "no question 'beauty'"),
    "an empty script": (["rate", "STUDY", "--reader", "R1", "--script", "SCRIPT"], "no answers to practice case 1"),
    "no script": (["rate", "STUDY", "--reader", "R1", "--script", "NOWHERE"], "is not a list of answers"),
    "consensus too early": (["consensus", "STUDY"], "R1 has 22 cases left"),
    "the study is there": (["create", "--config", "CONFIG", "--out", "STUDY"], "exists already"),
    "no configuration": (["create", "--config", "NOWHERE", "--out", "NEW"], "cannot be read as a study"),
}


def test_what_cannot_work_is_refused_in_one_sentence(folder, tmp_path, capfd):
    (tmp_path / "empty.json").write_text("[]")
    places = {"STUDY": folder, "NOWHERE": tmp_path / "nowhere", "SCRIPT": tmp_path / "empty.json", "NEW": tmp_path / "new"}
    places["CONFIG"] = tmp_path / "study.yaml"
    for arguments, complaint in REFUSALS.values():
        capfd.readouterr()
        assert run(*(places.get(argument, argument) for argument in arguments)) == 2, arguments
        said = capfd.readouterr().err
        assert complaint in said and said.count("\n") == 1, said


def test_a_leak_planted_later_ends_the_audit_with_a_sentence(folder, capfd):
    assert run("audit", folder) == 0
    (folder / "reading" / "volumes" / "noisy.txt").write_text("")
    assert run("audit", folder) == 2
    assert "the blinding does not hold: volumes/noisy.txt: does not belong here" in capfd.readouterr().err


def test_scores_survive_both_kinds_of_file(tmp_path):
    scores = [
        Score("R1", 1, "S0", "head", "ours", "disc_signal", 0.25, 0, 1.5, "ab"),
        Score("R1", 1, "S0", "head", "ours", "r", "a,\nb", 1, 2.0, "ab"),
    ]
    for ending in (".csv", ".json"):
        write_scores(scores, tmp_path / f"scores{ending}")
        assert read_scores(tmp_path / f"scores{ending}") == scores


def test_help_loads_no_heavy_library():
    code = "import sys; from MRIDenoiseLib.cli import main; main(['study', 'create', '--help']); print('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "SimpleITK", "scipy", "yaml", "sqlite3", "numpy"}.isdisjoint(done.stdout.splitlines()[-1].split())
