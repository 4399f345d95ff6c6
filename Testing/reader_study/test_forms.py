"""What is asked, which answers are taken, and how few keys a case needs."""

from __future__ import annotations

import json

import pytest

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.reading.answers import Sheet
from MRIDenoiseLib.reader_study.reading.forms import Form, check_answers, fields_for, form_of

KNEE = {"kind": "findings", "field": "knee", "groups": ["knee"], "findings": ["meniscal tear", "joint effusion"]}
QUALITY, CONFIDENCE = {"kind": "likert", "field": "image_quality"}, {"kind": "likert", "field": "diagnostic_confidence"}
DISC = {"kind": "disc_signal", "levels": ["L4/L5", "L5/S1"]}
CIRCLES = {"nucleus pulposus": [1, 2, 3, 4], "cerebrospinal fluid": [5, 6, 7.5, 2]}


def test_each_kind_asks_what_it_is_for():
    scales = {one["kind"]: form_of(one).fields for one in (QUALITY, {"kind": "fazekas"}, KNEE)}
    assert [choice.value for choice in scales["likert"][0].choices] == [1, 2, 3, 4]
    assert [field.name for field in scales["fazekas"]] == ["fazekas.deep", "fazekas.periventricular"]
    assert all([choice.value for choice in field.choices] == [0, 1, 2, 3] for field in scales["fazekas"])
    assert [field.name for field in scales["findings"]] == ["knee.meniscal tear", "knee.joint effusion"]
    assert [choice.label for choice in scales["findings"][0].choices][2:] == ["probably present", "definitely present"]
    assert [field.name for field in form_of(DISC).fields] == ["disc_signal.L4/L5", "disc_signal.L5/S1"]
    assert form_of({"kind": "text"}).fields[0].kind == "text"
    three = form_of({"kind": "preference"}, panels=3).fields[0]
    assert [(choice.label, choice.shortcut) for choice in three.choices] == [("A", "1"), ("B", "2"), ("C", "3"), ("no difference", "0")]


def test_other_anchors_replace_the_usual_ones():
    form = form_of({"kind": "likert", "field": "sharpness", "question": "How sharp?", "anchors": ["a", "b", "c", "d"]})
    assert [choice.label for choice in form.fields[0].choices] == ["a", "b", "c", "d"]


def test_forms_survive_their_file():
    for form in (form_of(QUALITY), form_of(KNEE), form_of(DISC), form_of({"kind": "preference"}, 2)):
        assert Form.from_json(json.loads(json.dumps(form.as_json()))) == form


def test_only_the_case_s_group_is_asked():
    forms = [form_of(QUALITY), form_of(KNEE)]
    assert [field.name for field in fields_for(forms, "knee")] == ["image_quality", "knee.meniscal tear", "knee.joint effusion"]
    assert [field.name for field in fields_for(forms, "head")] == ["image_quality"]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("likert", "one of likert"),
        ({"kind": "stars"}, "one of likert"),
        ({"kind": "likert"}, "needs a field"),
        ({"kind": "likert", "field": "sharpness"}, "needs a question and four anchors"),
        ({"kind": "likert", "field": "image_quality", "anchors": ["bad", "good"]}, "four anchors"),
        ({"kind": "likert", "field": "image_quality", "levels": ["a"]}, "no key 'levels'"),
        ({"kind": "findings", "field": "knee"}, "a list of findings"),
        ({"kind": "findings", "field": "knee", "findings": "tear"}, "findings of a form is a list"),
        ({"kind": "findings", "field": "knee", "findings": ["tear", "tear"]}, "names something twice"),
        ({"kind": "text", "required": "no"}, "true or false"),
        ({"kind": "text", "question": 3}, "a word or a sentence"),
        ({"kind": "preference"}, "side-by-side"),
    ],
)
def test_a_form_that_cannot_be_asked_is_refused(values, complaint):
    with pytest.raises(SettingsError, match=complaint):
        form_of(values)


def test_scales_cannot_be_asked_of_two_images_at_once():
    with pytest.raises(SettingsError, match="unclear which image"):
        form_of(QUALITY, panels=2)


FIELDS = fields_for([form_of(QUALITY), form_of({"kind": "fazekas"}), form_of({"kind": "text", "required": False})], "head")
GOOD = {"image_quality": 3, "fazekas.deep": 0, "fazekas.periventricular": 1}


def test_complete_answers_are_taken_in_the_order_of_the_questions():
    assert list(check_answers(FIELDS, dict(reversed(GOOD.items())))) == list(GOOD)
    assert check_answers(FIELDS, GOOD | {"remarks": ""}) == GOOD
    assert check_answers(FIELDS, GOOD | {"remarks": "movement"})["remarks"] == "movement"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image_quality": None}, "not answered yet: image_quality"),
        ({"image_quality": 0}, "one of 1"),
        ({"image_quality": True}, "one of 1"),
        ({"image_quality": 2.5}, "one of 1"),
        ({"image_quality": "3"}, "one of 1"),
        ({"fazekas.deep": 4}, "one of 0"),
        ({"remarks": 3}, "a text"),
        ({"remarks": "x" * 10_001}, "at most 10000"),
        ({"contrast": 3}, "no question 'contrast'"),
    ],
)
def test_answers_that_do_not_fit_are_refused(change, complaint):
    with pytest.raises(SettingsError, match=complaint):
        check_answers(FIELDS, GOOD | change)


@pytest.mark.parametrize(
    "circles",
    [
        {},
        {"nucleus pulposus": [1, 2, 3, 4]},
        CIRCLES | {"vertebra": [1, 2, 3, 4]},
        CIRCLES | {"nucleus pulposus": [1, 2, 3]},
        CIRCLES | {"nucleus pulposus": [1, 2, 3, 0]},
        CIRCLES | {"nucleus pulposus": [1, 2, float("nan"), 1]},
        CIRCLES | {"nucleus pulposus": "1 2 3 4"},
        "no circles",
    ],
)
def test_regions_have_to_be_complete(circles):
    field = form_of({"kind": "disc_signal"}).fields[0]
    assert field.check(CIRCLES) == {name: [float(n) for n in numbers] for name, numbers in CIRCLES.items()}
    with pytest.raises(SettingsError, match="region"):
        field.check(circles)


def test_three_keys_answer_three_scales_and_the_text_waits():
    sheet = Sheet.blank(FIELDS)
    for key in "301":
        assert not sheet.complete
        sheet = sheet.press(key)
    assert sheet.complete and sheet.current == "remarks" and sheet.checked() == GOOD
    assert sheet.press("7") == sheet, "a text takes no shortcut"


def test_a_key_without_meaning_changes_nothing_and_an_answer_can_be_changed():
    sheet = Sheet.blank(FIELDS).press("9").press("4")
    assert sheet.answers == {"image_quality": 4} and sheet.current == "fazekas.deep"
    changed = sheet.go_to("image_quality").press("2")
    assert changed.answers["image_quality"] == 2 and changed.current == "fazekas.deep"
    assert sheet.answers["image_quality"] == 4, "the sheet before is as it was"
    cleared = changed.clear("image_quality")
    assert cleared.missing == ("image_quality", "fazekas.deep", "fazekas.periventricular") and cleared.current == "image_quality"
    with pytest.raises(SettingsError, match="not answered yet"):
        cleared.checked()


def test_earlier_answers_can_be_corrected():
    sheet = Sheet.filled(FIELDS, GOOD | {"gone": 1})
    assert sheet.complete and sheet.current == "image_quality"
    assert sheet.press("1").checked() == GOOD | {"image_quality": 1}
