"""From end to end: a study is made of volumes, read blinded by scripted readers, decided, unblinded and analysed as it was put in."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from study_cases import ARMS, Day, configuration, make_study

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.reader_study.analysis.analyse import analyse_study
from MRIDenoiseLib.reader_study.analysis.power import SimulatedReaders
from MRIDenoiseLib.reader_study.analysis.readings import ALL
from MRIDenoiseLib.reader_study.reading.folder import StudyFolder
from MRIDenoiseLib.reader_study.reading.forms import FLUID, NUCLEUS
from MRIDenoiseLib.reader_study.reading.reading import Presentation, Reading
from MRIDenoiseLib.reader_study.reading.scripted import read_with
from MRIDenoiseLib.reader_study.running.blinding import read_key
from MRIDenoiseLib.reader_study.running.consensus import make_consensus_session

CASES = 30
READERS = ("R1", "R2")
FORMS = [
    {"kind": "likert", "field": "image_quality"},
    {"kind": "findings", "field": "knee", "findings": ["tear"]},
    {"kind": "disc_signal"},
    {"kind": "text", "required": False},
]
TORN = {f"S{number}" for number in range(0, CASES, 3)}
# RAS mm of the phantom's core and of the ring around it.
REGIONS = {NUCLEUS: [0.0, 8.0, -14.0, 1.5], FLUID: [-5.0, 8.0, -14.0, 1.0]}


class Scripted:
    """Readers who see what was put in: noisy 0.9 points worse, ours as good as the reference, and a tear missed where it is noisy.

    They know the key to find their lines, as no person does; everything else goes the way of a person's answers.
    """

    def __init__(self, study: StudyFolder) -> None:
        self.images = read_key(study.key).volumes
        readers = SimulatedReaders(agreement=0.8)
        self.quality = readers.read((2.1, 3.0, 3.0), studies=1, subjects=CASES, readers=2, times=2, seed=2)[0]
        self.times: dict[tuple[str, str], int] = {}

    def answer(self, shown: Presentation, reader: str) -> dict[str, Any]:
        (panel,) = shown.panels
        image = self.images[panel.path.stem]
        if shown.opinions:
            return {"knee.tear": 4 if image.subject in TORN else 1}
        quality = 2
        if not shown.practice:
            time = self.times.get((reader, panel.path.stem), 0)
            self.times[reader, panel.path.stem] = time + 1
            quality = int(self.quality[int(image.subject[1:]), READERS.index(reader), ARMS.index(image.arm), time])
        certainty = 1
        if image.subject in TORN:
            # On the reference one reader has doubts about one tear.
            doubt = image.arm == "noisy" or (image.arm == "reference" and reader == "R2" and image.subject == "S0")
            certainty = 2 if doubt else 4
        return {"image_quality": quality, "knee.tear": certainty, "disc_signal": REGIONS}


def read(study: StudyFolder, readers: tuple[str, ...] = READERS) -> None:
    """All sessions, two weeks apart."""
    scripted, day = Scripted(study), Day()
    for _ in range(4):
        for reader in readers:
            read_with(Reading(study.reading, reader, day), lambda shown, who=reader: scripted.answer(shown, who), 9.0)
        day.pass_days(14)
    if readers == READERS and make_consensus_session(study.root):
        read_with(Reading(study.reading, "consensus", day), lambda shown: scripted.answer(shown, "consensus"), 20.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    values = configuration(CASES, sessions=4, repeats=6, forms=FORMS, consensus=["knee.tear"], group="knee")
    study = make_study(tmp_path_factory.mktemp("whole"), values)
    read(study)
    return study


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_conclusions_are_what_was_put_in(finished, tmp_path, capsys):
    page, numbers = tmp_path / "report.html", tmp_path / "report.json"
    assert run("study", "analyse", finished.root, "--out", page, "--json", numbers) == 0
    said = capsys.readouterr().out
    found = json.loads(numbers.read_text())
    confirmed = found["conclusions"]["confirmatory"]
    assert any("noisy scores lower than ours" in sentence for sentence in confirmed)
    assert any("noisy scores lower than reference" in sentence for sentence in confirmed)
    assert any("noisy equivalent to reference within ±0.25 points: no" in sentence for sentence in confirmed)
    assert any("no difference is shown between ours and reference" in sentence for sentence in confirmed)
    assert all(sentence in said for sentence in confirmed) and RESEARCH_USE_ONLY in said
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 6 and RESEARCH_USE_ONLY in text and str(tmp_path) not in text
    assert found["missing"] == [] and "every reader rated every image" in text
    assert {share["raters"] for share in (one["single"] for one in found["agreement"])} == {2}


def test_numbers_and_counts_of_the_study(finished):
    found = analyse_study(finished.root)
    assert (found.ratings, found.repeats) == (3 * 3 * 2 * CASES, 3 * 2 * 6)
    quality = next(one for one in found.comparisons if one.field == "image_quality")
    scores = Scripted(finished).quality[..., 0]
    assert [arm.mean for arm in quality.arms] == pytest.approx(scores.mean(axis=(0, 1)))
    assert quality.subjects == CASES and quality.tests.friedman.p < 1e-6
    assert [one.single.n for one in found.repeated if one.field == "image_quality"] == [6, 6]
    agreement = next(one for one in found.agreement if one.field == "image_quality" and one.arm == ALL)
    assert agreement.single.low < 0.75 < agreement.single.high


def test_a_tear_that_noise_hides_costs_sensitivity_and_consensus_settles_the_doubt(finished):
    by_arm = {one.arm: one for one in analyse_study(finished.root).findings}
    assert by_arm["ours"].undecided == 0
    assert by_arm["noisy"].accuracy.sensitivity.value == 0 and by_arm["noisy"].accuracy.specificity.value == 1
    assert by_arm["ours"].accuracy.sensitivity.hits == by_arm["ours"].accuracy.sensitivity.n == 2 * len(TORN)
    assert by_arm["reference"].accuracy.sensitivity.hits == 2 * len(TORN) - 1
    assert by_arm["noisy"].difference.p < 0.01 and by_arm["noisy"].equivalence.verdict == "no"


def test_the_disc_index_comes_from_the_regions_placed(finished):
    found = {one.arm: one for one in analyse_study(finished.root).indices}
    wanted = [(700 + 20 * subject) / (500 + 20 * subject) for subject in range(CASES)]
    measured = sorted(reference for reference, _ in found["ours"].values)
    assert measured == pytest.approx(sorted(wanted), abs=0.02)
    assert abs(found["ours"].bland_altman.bias) < 0.01 and found["ours"].lin.value > found["noisy"].lin.value
    assert np.isfinite(found["noisy"].spearman.low)


def test_a_study_half_read_is_analysed_and_says_who_is_missing(tmp_path, capsys):
    study = make_study(tmp_path, configuration(4, sessions=3))
    scripted = Scripted(study)
    read_with(Reading(study.reading, "R1", Day()), lambda shown: {"image_quality": scripted.answer(shown, "R1")["image_quality"]})
    assert run("study", "analyse", study.root, "--out", tmp_path / "report.html") == 0
    assert "20 images have no rating" in capsys.readouterr().out
    missing = {one.reader: one.missing for one in analyse_study(study.root).missing}
    assert missing == {"R1": 8, "R2": 12}
    assert "no case was rated by every reader in every arm" in (tmp_path / "report.html").read_text()


def test_bad_input_is_one_sentence_and_nothing_is_written(finished, tmp_path, capsys):
    study = make_study(tmp_path, configuration(3))
    page = tmp_path / "report.html"
    assert run("study", "analyse", study.root, "--out", page) == 2
    assert "nothing has been rated yet" in capsys.readouterr().err
    assert run("study", "analyse", study.reading, "--out", page) == 2
    assert "holds no reader study" in capsys.readouterr().err
    assert run("study", "analyse", finished.root, "--out", tmp_path / "report.pdf") == 2
    assert "ends in .html" in capsys.readouterr().err
    assert run("study", "analyse", finished.root, "--out", finished.reading / "report.html") == 2
    assert "readers have" in capsys.readouterr().err and not (finished.reading / "report.html").exists()
    assert not page.exists()
    page.write_text("mine")
    assert run("study", "analyse", finished.root, "--out", page) == 2
    assert "--overwrite" in capsys.readouterr().err and page.read_text() == "mine"


def test_power_is_told_before_the_study(tmp_path, capsys):
    file = tmp_path / "power.json"
    arguments = ("study", "power", "--arms", "noisy=2.4,ours=3.0,gt=3.0", "--reference", "gt", "--simulations", 60)
    assert run(*arguments, "--subjects", "10,60", "--json", file) == 0
    said = capsys.readouterr().out
    assert "noisy < ours" in said and "ours equivalent to gt" in said and "60 subjects" in said
    few, many = json.loads(file.read_text())["power"]
    assert few["pairs"][0]["detected"]["value"] < many["pairs"][0]["detected"]["value"] > 0.9
    assert many["pairs"][2]["difference"] == 0 and many["pairs"][2]["detected"]["value"] < 0.15
    assert few["pairs"][2]["equivalent"]["value"] < many["pairs"][2]["equivalent"]["value"]
    assert many["pairs"][0]["equivalent"] is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--arms", "noisy"), "names with expected mean scores"),
        (("--arms", "noisy=2,noisy=3"), "names with expected mean scores"),
        (("--arms", "noisy=2"), "at least two arms"),
        (("--arms", "noisy=2,ours=9"), "between 1 and 4"),
        (("--arms", "noisy=2,ours=3", "--reference", "gt"), "not one of the arms"),
        (("--arms", "noisy=2,ours=3", "--subjects", "many"), "whole numbers"),
        (("--arms", "noisy=2,ours=3", "--agreement", "1.5"), "have to fit"),
        (("--arms", "noisy=2,ours=3", "--margin", "0"), "margin above 0"),
    ],
)
def test_a_power_calculation_that_cannot_be_is_refused(options, complaint, capsys):
    assert run("study", "power", *options) == 2
    assert complaint in capsys.readouterr().err
