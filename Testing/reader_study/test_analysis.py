"""The analysis of a study that is made up: what was put in comes out, gaps are named, and nothing that may happen is a crash."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from simulated_study import ARMS, QUESTIONS, SCALE, as_scores, plain_plan, plan, scores

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.reader_study.analysis.analyse import Analysis, analyse
from MRIDenoiseLib.reader_study.analysis.readings import ALL, Question, questions_of, readings_of
from MRIDenoiseLib.reader_study.analysis.report import as_json, html, write_report
from MRIDenoiseLib.reader_study.analysis.words import conclusions, number, p_value
from MRIDenoiseLib.reader_study.reading.forms import form_of
from MRIDenoiseLib.reader_study.running.scores import Score

SUBJECTS = 32


@pytest.fixture(scope="module")
def whole() -> Analysis:
    return analyse(scores(SUBJECTS), plan(SUBJECTS))


@pytest.fixture(scope="module")
def page(whole: Analysis) -> str:
    return html(whole)


def of(found, **wanted):
    """The one entry with these values."""
    hits = [one for one in found if all(getattr(one, name) == value for name, value in wanted.items())]
    assert len(hits) == 1, f"{len(hits)} entries with {wanted}"
    return hits[0]


def one_question(table: np.ndarray, **changes) -> Analysis:
    """Subjects x readers x arms of a four-point scale."""
    return analyse(as_scores(table[..., None], ARMS, "image_quality"), plain_plan(len(table), **changes))


def test_the_worse_arm_is_found_and_the_equal_one_is_equivalent(whole):
    found = of(whole.comparisons, field="image_quality", group=ALL)
    noisy_ours, noisy_reference, ours_reference = found.tests.pairs
    assert (noisy_ours.direction, noisy_reference.direction) == ("lower", "lower")
    assert ours_reference.direction == "no difference shown" and ours_reference.equivalence.verdict == "yes"
    assert noisy_reference.equivalence.verdict == "no" and noisy_ours.equivalence is None
    assert found.tests.friedman.p < 0.001 and found.tests.friedman.w > 0.4


def test_subjects_are_the_samples_and_not_their_images(whole):
    found = of(whole.comparisons, field="image_quality", group=ALL)
    assert found.subjects == found.tests.friedman.n == SUBJECTS, "each has three cases of two readers"
    assert of(whole.comparisons, field="image_quality", group="knee").subjects == SUBJECTS
    assert of(whole.agreement, field="image_quality", group=ALL, arm=ALL).single.n == 3 * 3 * SUBJECTS - 3


def test_a_case_that_one_reader_missed_is_left_out_and_named(whole, page):
    head = of(whole.comparisons, field="image_quality", group="head")
    assert (head.subjects, head.cases_left_out) == (SUBJECTS - 1, 1)
    gap = of(whole.missing, field="image_quality", group="head")
    assert (gap.reader, gap.missing, gap.of) == ("R2", 3, 3 * SUBJECTS)
    assert {one.field for one in whole.missing} == {"image_quality", "fazekas.deep", "fazekas.periventricular"}
    assert "incomplete cases left out: 1" in page and f"<td>3 of {3 * SUBJECTS}</td>" in page


def test_one_missing_rating_of_a_strict_reader_does_not_lift_the_arm():
    table = np.tile(np.array([[[2.0, 2, 2], [4, 4, 4]]]), (10, 1, 1))
    table[0, 0, 1] = np.nan
    found = of(one_question(table).comparisons, field="image_quality")
    assert [arm.mean for arm in found.arms] == [3, 3, 3] and found.subjects == 9


def test_readers_and_cases_are_averaged_before_arms_are_tested():
    table = np.array([[[1.0, 2, 4], [2, 2, 3]], [[3, 4, 4], [1, 2, 2]]])
    study = plain_plan(2)
    twice = replace(study, cases=(*study.cases, ("S001", "knee")))
    given = as_scores(table[..., None], ARMS, "image_quality")
    given += [replace(score, group="knee", value=4.0) for score in given if score.subject == "S001"]
    values, subjects = readings_of(given, twice, study.questions[0], ALL).by_subject()
    assert list(subjects) == ["S001", "S002"]
    assert values.tolist() == [[(1.5 + 4) / 2, (2 + 4) / 2, (3.5 + 4) / 2], [2, 3, 3]]


def test_repeats_tell_of_the_readers_and_do_not_count_twice(whole):
    assert len(whole.repeated) == 2 and {one.reader for one in whole.repeated} == {"R1", "R2"}
    first = of(whole.repeated, reader="R1")
    assert first.single.n == first.kappa.n == first.same.n == 3 * 3 * (SUBJECTS // 4)
    assert first.single.value > 0.6
    once = analyse([score for score in scores(SUBJECTS) if not score.repeat], plan(SUBJECTS))
    assert once.comparisons == whole.comparisons and once.repeated == () and once.repeats == 0 < whole.repeats


def test_a_preference_is_one_answer(whole):
    arms, readers, quarter = 3, 2, SUBJECTS // 4
    scales = 3 * arms * readers * SUBJECTS + 2 * arms * readers * (2 * SUBJECTS) + 2 * arms * readers * SUBJECTS
    # One reader missed a head: its quality and two grades in every arm.
    assert whole.ratings == scales + readers * SUBJECTS - 3 * arms
    assert whole.repeats == 3 * arms * readers * quarter


def test_more_white_matter_lesions_are_not_better(whole):
    deep = of(whole.comparisons, field="fazekas.deep")
    assert all(pair.non_inferiority is None for pair in deep.tests.pairs) and deep.tests.pairs[2].equivalence is not None
    assert of(whole.comparisons, field="image_quality", group=ALL).tests.pairs[2].non_inferiority.verdict == "yes"


def test_fazekas_grades_are_held_against_the_same_readers_on_the_reference(whole):
    found = [one for one in whole.against_reference if one.arm == "ours"]
    assert {one.field for one in found} == {"fazekas.deep", "fazekas.periventricular"}, "deep and periventricular apart"
    assert {one.reader for one in found} == {"R1", "R2", ALL}
    assert all(one.kappa.value > 0.6 and one.kappa.low < one.kappa.value for one in found)
    pooled = of(found, field="fazekas.deep", reader=ALL)
    assert pooled.kappa.n == 2 * SUBJECTS - 1


def test_a_bias_of_the_disc_index_is_seen_though_ranks_agree(whole):
    noisy = of(whole.indices, field="disc_signal.L4", arm="noisy")
    ours = of(whole.indices, field="disc_signal.L4", arm="ours")
    assert noisy.spearman.value > 0.9 and noisy.bland_altman.bias == pytest.approx(0.1, abs=0.02)
    assert noisy.bland_altman.bias_low > 0.05 and ours.bland_altman.bias_low < 0 < ours.bland_altman.bias_high
    assert noisy.lin.value < ours.lin.value - 0.05
    assert of(whole.indices, field="Disc signal (all 2)", arm="ours").lin.n == 2 * SUBJECTS


def test_certainty_3_is_present_and_the_truth_is_what_all_said_of_the_reference():
    table = np.array(
        [
            # Subjects x readers x (noisy, ours, reference).
            [[1, 3, 4], [2, 4, 3]],
            [[3, 3, 3], [2, 2, 4]],
            [[1, 1, 2], [1, 3, 1]],
            [[4, 4, 1], [4, 4, 4]],
        ]
    )
    study = replace(plain_plan(4), questions=(Question("tear", "finding", "Knee", SCALE),), primary="tear")
    given = as_scores(table[..., None], ARMS, "tear")
    ours = of(analyse(given, study).findings, arm="ours")
    assert (ours.detection.hits, ours.detection.n) == (6, 8)
    # The readers disagree on the fourth: two are positive, one negative.
    assert ours.undecided == 1
    assert (ours.accuracy.sensitivity.hits, ours.accuracy.sensitivity.n) == (3, 4)
    assert (ours.accuracy.specificity.hits, ours.accuracy.specificity.n) == (1, 2)
    decided = [Score("consensus", 1, "S004", "all", "reference", "tear", 4.0, 0, 9.0, "x")]
    ours = of(analyse(given, study, decided).findings, arm="ours")
    assert ours.undecided == 0 and (ours.accuracy.sensitivity.hits, ours.accuracy.sensitivity.n) == (5, 6)


def test_preferences_are_wins_of_subjects(whole):
    found = of(whole.preferences, field="preference")
    test = of(found.pairs, first="noisy", second="ours").test
    assert test.losses > test.wins and test.n + test.draws == SUBJECTS and test.p < 0.01
    assert sum(one.share for one in found.shares) == pytest.approx(1)
    assert "ours is preferred to noisy" in " ".join(conclusions(whole).exploratory)


def test_the_primary_outcome_is_confirmatory_and_all_else_exploratory(whole):
    said = conclusions(whole)
    assert all(sentence.startswith("image quality: ") for sentence in said.confirmatory)
    assert any("noisy scores lower than reference (median difference" in sentence for sentence in said.confirmatory)
    assert any("ours equivalent to reference within ±0.25 points: yes" in sentence for sentence in said.confirmatory)
    assert any("does not mean that they are equal" in sentence for sentence in said.confirmatory)
    assert not any(sentence.startswith("image quality: ") for sentence in said.exploratory)


def test_every_number_in_the_conclusions_has_its_n(whole):
    for sentence in (*conclusions(whole).confirmatory, *conclusions(whole).exploratory):
        assert re.search(r"n = \d+", sentence), sentence


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "img":
            self.pictures.append(values["src"])
            assert values["alt"]
        self.links += [values[name] for name in ("href", "src") if name in values and tag != "img"]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_one_file_with_every_picture_in_it(page):
    found = _Page()
    found.feed(page)
    assert found.open == [] and found.links == []
    assert len(found.pictures) == 20
    for picture in found.pictures:
        kind, _, data = picture.partition(",")
        assert kind == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")
    words = _without_pictures(page)
    assert RESEARCH_USE_ONLY in words and "nan" not in re.findall(r"\w+", words.lower())


def test_report_and_json_name_no_patient(page, whole):
    text = _without_pictures(page) + json.dumps(as_json(whole), allow_nan=False)
    assert not re.search(r"S0\d\d", text)


def _without_pictures(page: str) -> str:
    return re.sub('base64,[^"]*', "", page)


def test_json_has_null_for_what_is_missing_and_the_reason_beside_it():
    found = as_json(one_question(np.full((4, 2, 3), 3.0)))
    text = json.loads(json.dumps(found, allow_nan=False))
    single = text["agreement"][0]["single"]
    assert single["value"] is None and "all ratings are equal" in single["reason"]
    assert text["plan"]["cases"] == 4 and text["conclusions"]["confirmatory"]


def test_a_report_is_not_overwritten_unless_allowed(tmp_path):
    found = one_question(np.full((4, 2, 3), 3.0))
    report = tmp_path / "r.html"
    report.write_text("mine")
    with pytest.raises(OutputError):
        write_report(found, report)
    assert report.read_text() == "mine"
    write_report(found, report, overwrite=True)
    assert report.read_text() != "mine"


def test_names_are_escaped():
    found = one_question(np.full((3, 1, 3), 2.0), study="<script>alert(1)</script>")
    assert "<script>" not in html(found)


@pytest.mark.parametrize(
    "table",
    [
        np.full((6, 2, 3), 3.0),
        np.full((1, 1, 3), 2.0),
        np.arange(6.0).reshape(1, 2, 3) % 4 + 1,
        np.where(np.arange(3) == 1, np.nan, np.full((5, 2, 3), 2.0)),
        np.where(np.arange(2)[:, None] == 1, np.nan, np.arange(30.0).reshape(5, 2, 3) % 4 + 1),
    ],
    ids=["all equal", "one subject, one reader", "one subject", "an arm that nobody read", "a reader who read nothing"],
)
def test_nothing_that_may_happen_is_a_crash(table):
    for kind in ("scale", "fazekas", "index", "finding", "preference"):
        categories = () if kind in ("index", "preference") else SCALE
        questions = (Question("image_quality", kind, "Quality", categories),)
        found = one_question(table, questions=questions)
        page = html(found)
        json.dumps(as_json(found), allow_nan=False)
        assert "Conclusions" in page and ">nan" not in page
        if np.isnan(table).any():
            assert found.missing


def test_two_arms_and_no_reference_are_fine():
    table = np.random.default_rng(0).integers(1, 5, (20, 2, 2)).astype(float)
    table[..., 1] = np.minimum(table[..., 0] + 1, 4)
    study = plain_plan(20, ARMS[:2], reference="")
    found = analyse(as_scores(table[..., None], ARMS[:2], "image_quality"), study)
    (pair,) = of(found.comparisons, field="image_quality").tests.pairs
    assert pair.direction == "lower" and pair.bonferroni == pair.test.p and pair.equivalence is not None
    assert "Bonferroni for" not in conclusions(found).confirmatory[0]


def test_a_study_that_nobody_read_is_refused():
    with pytest.raises(InputError, match="nothing has been rated"):
        analyse([], plan(3))


def test_questions_come_from_the_forms():
    forms = [
        {"kind": "likert", "field": "image_quality"},
        {"kind": "fazekas", "groups": ["head"]},
        {"kind": "disc_signal", "levels": ["L4", "L5"]},
        {"kind": "findings", "field": "knee", "findings": ["effusion"]},
        {"kind": "text"},
    ]
    found = questions_of(tuple(form_of(form) for form in forms))
    assert [(one.name, one.kind) for one in found] == [
        ("image_quality", "scale"),
        ("fazekas.deep", "fazekas"),
        ("fazekas.periventricular", "fazekas"),
        ("disc_signal.L4", "index"),
        ("disc_signal.L5", "index"),
        ("knee.effusion", "finding"),
    ]
    assert found[0].categories == (1, 2, 3, 4) and found[1].categories == (0, 1, 2, 3) and found[1].groups == ("head",)
    assert {one.kind for one in QUESTIONS} == {"scale", "fazekas", "index", "finding", "preference"}


def test_numbers_are_written_as_papers_write_them():
    assert [number(value) for value in (-0.5, -0.001, float("nan"))] == ["−0.50", "0.00", "–"]
    assert [p_value(p) for p in (0.0004, 0.0126, float("nan"))] == ["p < 0.001", "p = 0.013", "p –"]
