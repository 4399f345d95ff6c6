"""A study's configuration: the examples work, and every mistake is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from list_checker import faults
from study_cases import configuration

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.reading.forms import fields_for
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration, self_contained
from MRIDenoiseLib.reader_study.running.design import reading_lists

STUDIES = Path(__file__).resolve().parents[2] / "scripts" / "studies"


def read(folder: Path, values: object) -> StudyConfiguration:
    path = folder / "study.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values), encoding="utf-8")
    return StudyConfiguration.read(path)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_study_that_can_be_read(path):
    study = StudyConfiguration.read(path)
    assert faults(study.design, reading_lists(study.design)) == []
    assert study.washout_days >= 14 and study.reference in study.arms
    for case in study.cases:
        fields = fields_for(study.forms, case.name.group)
        assert fields and len({(field.name) for field in fields}) == len(fields)
        assert all(case.name.subject in str(file) for file in case.files.values())


def test_the_head_study_is_the_paper_s():
    study = StudyConfiguration.read(STUDIES / "head_quality.yaml")
    assert (study.sessions, study.washout_days, len(study.arms)) == (3, 14, 3)
    assert [field.name for field in fields_for(study.forms, "head")][:2] == ["image_quality", "diagnostic_confidence"]


def test_there_are_examples():
    assert {path.stem for path in STUDIES.glob("*.yaml")} >= {"head_quality", "spine_disc_signal", "joint_findings"}


def test_files_are_found_by_pattern_or_by_name(tmp_path):
    values = configuration() | dict(cases=["S0", {"subject": "S1", "group": "knee", "files": {"ours": "elsewhere/{group}.nii"}}])
    first, second = read(tmp_path, values).cases
    assert first.files["noisy"] == tmp_path.resolve() / "images" / "S0" / "noisy.nii.gz" and first.name.group == "head"
    assert second.files["ours"] == tmp_path.resolve() / "images" / "elsewhere" / "knee.nii" and second.name.group == "knee"


def test_cases_are_found_by_a_pattern_for_folders(tmp_path):
    for name in ("S10", "S2", "other"):
        (tmp_path / "images" / name).mkdir(parents=True)
    assert [case.name.subject for case in read(tmp_path, configuration() | {"cases": "S*"}).cases] == ["S10", "S2"]
    with pytest.raises(SettingsError, match="no folder .* fits the pattern"):
        read(tmp_path, configuration() | {"cases": "X*"})


def test_the_kept_configuration_can_be_read_from_anywhere(tmp_path):
    values = configuration(2) | {"cases": ["S0", {"subject": "S1", "files": {"ours": "{{odd}}/{subject}.nii"}}]}
    study = read(tmp_path, values)
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "study.yaml").write_text(self_contained(tmp_path / "study.yaml"), encoding="utf-8")
    assert StudyConfiguration.read(tmp_path / "key" / "study.yaml") == study


LIKERT = {"kind": "likert", "field": "image_quality"}
MISTAKES = {
    "no YAML": ("a: [", "cannot be read as a study"),
    "no mapping": ("[1, 2]", "no keys with values"),
    "missing": ({"seed": None}, "the key 'seed' is missing"),
    "unknown": ({"sesions": 3}, "unknown key 'sesions'"),
    "seed": ({"seed": -1}, "seed is a whole number"),
    "sessions": ({"sessions": "three"}, "sessions is a whole number of at least 1, not 'three'"),
    "washout": ({"washout_days": 1.5}, "washout_days is a whole number"),
    "alpha": ({"alpha": 1.5}, "alpha is a number above 0 and below 1"),
    "margin": ({"equivalence_margin": 0}, "equivalence_margin is a number above 0, not 0"),
    "readers": ({"readers": "R1"}, "readers is a list"),
    "no readers": ({"readers": []}, "at least one reader"),
    "readers twice": ({"readers": ["R1", "R1"]}, "readers: R1 is named twice"),
    "reader number": ({"readers": [1, 2]}, "put it between quotation marks"),
    "reserved reader": ({"readers": ["consensus"]}, "none may be called consensus"),
    "reader path": ({"readers": ["../R1"]}, "needs a code of letters"),
    "one arm": ({"arms": {"ours": "a"}}, "two or more arms"),
    "arms list": ({"arms": ["a", "b"]}, "arms is a list of names, each with a pattern"),
    "four side by side": ({"arms": dict.fromkeys("abcd", "x"), "presentation": "side-by-side"}, "side by side two or three"),
    "brace": ({"arms": {"a": "{patient}.nii", "b": "b"}, "reference": "a"}, "may hold {subject}"),
    "brace with a dot": ({"arms": {"a": "{subject.name}.nii", "b": "b"}, "reference": "a"}, "may hold {subject}"),
    "no file": ({"arms": {"a": None, "b": "b"}, "reference": "a"}, "names no file for the arm 'a'"),
    "reference": ({"reference": "gold"}, "'gold' is not one of the arms"),
    "case twice": ({"cases": ["S0", "S0"]}, r"cases: S0 \(head\) is named twice"),
    "no cases": ({"cases": []}, "at least one case"),
    "case key": ({"cases": [{"subject": "S0", "organ": "head"}]}, "subject, group and files"),
    "case files": ({"cases": [{"subject": "S0", "files": {"theirs": "a"}}]}, "named by arm, one of noisy"),
    "case code": ({"cases": ["a/b"]}, "needs a code of letters"),
    "no forms": ({"forms": []}, "forms is a list"),
    "field twice": ({"forms": [LIKERT, LIKERT]}, "image_quality is named twice"),
    "outcome": ({"primary_outcome": "beauty"}, "no form asks for 'beauty'; there are image_quality"),
    "nothing required": ({"forms": [{"kind": "text", "required": False}], "primary_outcome": "remarks"}, "asks anything about cases"),
    "form group": ({"forms": [LIKERT, {"kind": "fazekas", "groups": ["knee"]}]}, "the group 'knee', of which there is no case"),
    "consensus text": ({"consensus": ["remarks"]}, "'remarks' is not a scale"),
    "presentation": ({"presentation": "stereo"}, "presentation is one of"),
    "brightness": ({"brightness": "auto"}, "brightness is one of"),
    "percentiles": ({"window_percentiles": [99, 1]}, "rise from 0 to 100"),
    "percentile": ({"window_percentiles": 99}, "two numbers"),
    "drive": ({"shared_drive": "yes please"}, "true or false"),
    "bundle": ({"bundle": "compact"}, "the model's hash"),
    "name": ({"name": "  "}, "needs a name"),
    "group": ({"group": 3}, "group is a word"),
}


@pytest.mark.parametrize(("change", "complaint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_in_one_sentence_that_names_the_file(change, complaint, tmp_path):
    values = change if isinstance(change, str) else configuration() | change
    with pytest.raises(SettingsError, match=complaint) as caught:
        read(tmp_path, values)
    assert str(caught.value).startswith("study.yaml: ") and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said():
    with pytest.raises(SettingsError, match="nowhere.yaml: .*cannot be read"):
        StudyConfiguration.read(Path("nowhere.yaml"))
