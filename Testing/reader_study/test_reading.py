"""What a reader meets: the right case, once, timed, in its session, whatever happens to the program."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import date, timedelta, timezone

import pytest
from study_cases import GRID, Day, configuration, make_study, phantom, some_answers

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.reader_study.reading.answers import signal_index
from MRIDenoiseLib.reader_study.reading.folder import VOLUMES, read_plan
from MRIDenoiseLib.reader_study.reading.reading import Reading
from MRIDenoiseLib.reader_study.reading.scripted import read_with
from MRIDenoiseLib.reader_study.reading.store import RatingStore
from MRIDenoiseLib.reader_study.running.blinding import read_key
from MRIDenoiseLib.reader_study.running.scores import unblinded


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def reading(study, day, watch) -> Reading:
    return Reading(study.root, "R1", day, watch)


def test_a_session_goes_through_its_list_and_no_further(reading, study, day):
    plan = read_plan(study.reading)
    shown = []
    while (case := reading.next()) is not None:
        shown.append(case)
        reading.save(some_answers(case))
    assert [case.item for case in shown] == [item.id for item in plan.lists["R1"][0]]
    assert [case.position for case in shown] == [1, 2, 3, 4, 5, 6, 7] and {case.of for case in shown} == {7}
    assert [case.practice for case in shown] == [True] + [False] * 6
    assert shown[0].heading == "Practice case 1 of 7, session 1" and shown[6].heading == "Case 7 of 7, session 1"
    status = reading.status()
    assert (status.state, status.session, status.done, status.of, status.done_in_all, status.of_in_all) == ("waiting", 2, 0, 6, 7, 19)


def test_a_case_is_shown_as_the_plan_says_and_says_nothing_else(reading, study):
    shown = reading.next()
    assert shown is not None
    (panel,) = shown.panels
    window = read_plan(study.reading).windows[panel.path.stem]
    assert (panel.label, panel.window, panel.level) == ("A", window.width, window.level)
    assert panel.path.parent == study.reading / VOLUMES and panel.path.is_file()
    words = repr(shown).replace(str(study.root), "")
    assert not any(word in words for word in ("noisy", "ours", "reference", "S0", "P0"))


def test_the_washout_is_kept_by_date_and_the_reader_is_told_the_day(reading, day):
    read_with(reading, some_answers)
    assert reading.status().opens == date(2026, 3, 16)
    assert reading.status().sentence == "Session 2 of 3 opens on 2026-03-16, 14 days after the last case of session 1."
    day.pass_days(13.5)
    assert day.now.hour == 21 and reading.next() is None
    day.pass_days(0.2)
    shown = reading.next()
    assert shown is not None and shown.session == 2 and reading.status().state == "open"
    reading.save(some_answers(shown))
    day.now -= timedelta(days=10)
    assert reading.next() is None, "a clock that was put back opens nothing"


def test_the_day_is_that_of_the_place_where_is_read(study, day):
    """A case saved at 23:30 in Tokyo is saved the same day in London, and the session opens by the clock on the wall."""
    day.now = day.now.replace(hour=23, minute=30, tzinfo=timezone(timedelta(hours=9)))
    reading = Reading(study.root, "R1", day)
    read_with(reading, some_answers)
    assert reading.status().opens == date(2026, 3, 16)
    day.now = day.now.astimezone(timezone(timedelta(hours=-8)))
    assert reading.status().opens == date(2026, 3, 16)
    day.now = day.now.astimezone(timezone(timedelta(hours=12)))
    assert reading.status().opens == date(2026, 3, 17)


def test_all_sessions_are_read_and_then_it_is_finished(reading, day, study):
    for _ in range(3):
        read_with(reading, some_answers)
        day.pass_days(14)
    assert reading.next() is None
    assert reading.status().state == "finished" and reading.status().sentence == "All 19 cases are read. Thank you."
    seen = Counter((score.subject, score.arm) for score in unblinded(study.root))
    assert len(seen) == 18 and set(seen.values()) == {1}


def test_after_a_crash_the_same_case_comes_again_and_nothing_is_asked_twice(reading, study, day):
    for _ in range(3):
        reading.save(some_answers(reading.next()))
    case = reading.next()
    again = Reading(study.reading, "R1", day)
    assert again.next() == case
    assert again.status().done == 3


def test_time_counts_from_the_first_look_without_pauses(reading, watch, study):
    shown = reading.next()
    watch.seconds += 10
    reading.pause()
    assert reading.paused
    watch.seconds += 3600
    reading.pause()
    assert reading.seconds == 10
    reading.resume()
    reading.resume()
    watch.seconds += 5
    assert reading.next() == shown, "asked again it is the same case"
    assert reading.seconds == 15
    reading.save(some_answers(shown))
    watch.seconds += 100
    shown = reading.next()
    watch.seconds += 2.5
    reading.save(some_answers(shown))
    ratings = RatingStore.open(study.reading, read_plan(study.reading)).all()
    assert [rating.seconds for rating in ratings] == [15, 2.5]


def test_pause_without_a_case_does_nothing(reading):
    reading.pause()
    reading.resume()
    assert not reading.paused and reading.seconds == 0


def test_incomplete_answers_save_nothing_and_the_case_stays(reading, study):
    with pytest.raises(SettingsError, match="no case is shown"):
        reading.save({"image_quality": 3})
    shown = reading.next()
    with pytest.raises(SettingsError, match="not answered yet: image_quality"):
        reading.save({"remarks": "blurred"})
    assert RatingStore.open(study.reading, read_plan(study.reading)).all() == []
    assert reading.next() == shown
    assert reading.save(some_answers(shown)).done == 1
    with pytest.raises(SettingsError, match="no case is shown"):
        reading.save(some_answers(shown))


def test_a_case_of_the_session_can_be_corrected_and_of_an_earlier_one_not(reading, day, study):
    first = reading.next()
    reading.save(some_answers(first, 2) | {"remarks": "blurred"})
    second = reading.next()
    assert reading.rated() == (first.item,)
    shown = reading.revise(first.item)
    assert shown.earlier == {"image_quality": 2, "remarks": "blurred"} and shown.position == 1
    reading.save({"image_quality": 4})
    assert reading.next() == second
    latest = RatingStore.open(study.reading, read_plan(study.reading)).latest()["R1", first.item]
    assert {name: (rating.value, rating.revision) for name, rating in latest.items()} == {"image_quality": (4, 2)}
    with pytest.raises(SettingsError, match="can be corrected"):
        reading.revise(second.item)
    read_with(reading, some_answers)
    assert len(reading.rated()) == 7, "the last case can be corrected when the session is over"
    day.pass_days(14)
    reading.save(some_answers(reading.next()))
    with pytest.raises(SettingsError, match="can be corrected"):
        reading.revise(first.item)


def test_readers_do_not_see_each_other_s_answers(study, day):
    one, other = Reading(study.root, "R1", day), Reading(study.root, "R2", day)
    read_with(one, some_answers)
    assert other.status().done_in_all == 0 and other.rated() == ()
    read_with(other, some_answers)
    assert one.status().done_in_all == other.status().done_in_all == 7


def test_who_is_no_reader_and_what_is_no_study_is_said(study, tmp_path):
    with pytest.raises(InputError, match="'R3' is not a reader of this study; its readers are R1, R2"):
        Reading(study.root, "R3")
    with pytest.raises(InputError, match="no consensus session yet"):
        Reading(study.root, "consensus")
    with pytest.raises(InputError, match="not the folder of a reader study"):
        Reading(tmp_path, "R1")
    shutil.rmtree(study.reading / VOLUMES)
    with pytest.raises(InputError, match="a volume of this study is missing"):
        Reading(study.root, "R1").next()
    (study.reading / "plan.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match="damaged"):
        Reading(study.root, "R1")
    (study.reading / "plan.json").write_text('{"format": 2}')
    with pytest.raises(SettingsError, match="another version"):
        Reading(study.root, "R1")


def test_the_disc_signal_index_is_computed_of_the_blinded_image(tmp_path):
    forms = [{"kind": "disc_signal"}]
    study = make_study(tmp_path, configuration(forms=forms, primary_outcome="disc_signal", practice=[], washout_days=0))
    centre, edge = (GRID @ [10, 12, 4, 1])[:3].tolist(), (GRID @ [10, 4, 4, 1])[:3].tolist()
    circles = {"nucleus pulposus": [*edge, 1.5], "cerebrospinal fluid": [*centre, 3.0]}
    reading = Reading(study.root, "R1", Day())
    shown = reading.next()
    reading.save({"disc_signal": circles})
    assert reading.revise(shown.item).earlier == {"disc_signal": circles}
    (score,) = [score for score in unblinded(study.root) if score.reader == "R1"]
    image = read_key(study.key).volumes[score.blinded_id]
    noise = {"noisy": 30.0, "ours": 8.0, "reference": 4.0}[image.arm]
    source = phantom(int(image.subject[1:]), noise, "float32" if image.arm == "ours" else "int16")
    assert score.value == pytest.approx(signal_index(source, circles)["ratio"], rel=2e-3)


def test_side_by_side_the_panel_chosen_becomes_its_arm(tmp_path):
    forms = [{"kind": "preference"}]
    study = make_study(
        tmp_path, configuration(presentation="side-by-side", sessions=1, forms=forms, primary_outcome="preference", practice=[])
    )
    key = read_key(study.key)
    reading = Reading(study.root, "R1", Day())

    def prefers_ours(shown):
        assert [panel.label for panel in shown.panels] == ["A", "B", "C"]
        assert len({(panel.window, panel.level) for panel in shown.panels}) == 1
        arms = [key.volumes[panel.path.stem].arm for panel in shown.panels]
        return {"preference": arms.index("ours") + 1 if shown.position > 1 else 0}

    assert read_with(reading, prefers_ours) == 6
    scores = unblinded(study.root)
    assert len(scores) == 18
    shares = Counter()
    for score in scores:
        shares[score.arm] += score.value
    assert shares == pytest.approx({"ours": 5 + 1 / 3, "noisy": 1 / 3, "reference": 1 / 3})
