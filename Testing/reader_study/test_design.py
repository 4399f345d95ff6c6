"""Reading lists: every condition holds wherever it can, checked by code that shares nothing with what draws them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from itertools import product

import pytest
from list_checker import faults

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.running.balance import FairDraw
from MRIDenoiseLib.reader_study.running.design import CaseName, Design, reading_lists

ARMS = ("noisy", "ours", "reference", "peer")


def design(readers: int = 2, sessions: int = 3, arms: int = 3, cases: int = 9, **more) -> Design:
    names = tuple(CaseName(f"S{number:02}", "head") for number in range(cases))
    return Design(more.pop("seed", 1), tuple(f"R{n}" for n in range(1, readers + 1)), sessions, ARMS[:arms], names, **more)


@pytest.mark.parametrize("readers", [1, 2, 3, 4])
def test_every_combination_that_can_satisfy_the_conditions_does_and_no_other_is_accepted(readers):
    for sessions, arms, cases in product(range(1, 5), range(2, 5), range(3, 61)):
        plan = design(readers, sessions, arms, cases, seed=cases)
        if arms > sessions:
            with pytest.raises(SettingsError, match=f"at least {arms} sessions are needed, not {sessions}"):
                reading_lists(plan)
        else:
            assert faults(plan, reading_lists(plan)) == [], (sessions, arms, cases)


@pytest.mark.parametrize("repeats", range(10))
@pytest.mark.parametrize("arms", [2, 3])
def test_repeats_and_practice_keep_the_conditions(arms, repeats):
    practice = tuple(CaseName(f"P{number}", "head") for number in range(repeats % 3))
    plan = design(3, arms + 1, arms, 9, repeats=repeats, practice=practice)
    assert faults(plan, reading_lists(plan)) == []


def test_the_checker_sees_what_is_wrong():
    plan = design(cases=6, repeats=0)
    good = reading_lists(plan)
    first, second, third = good["R1"]
    swapped = (*first[:-1], second[0]), (first[-1], *second[1:]), third
    cases = {
        "share an order": {"R1": good["R1"], "R2": good["R1"]},
        "lengths": good | {"R1": (first + second, (), third)},
        "as often": good | {"R1": (first[1:], second, third)},
        "twice in session": good | {"R1": swapped},
        "unbalanced": good | {"R1": (tuple(e for s in good["R1"] for e in s if e.arms == ("ours",)), second, third)},
    }
    for words, lists in cases.items():
        assert any(words in fault for fault in faults(plan, lists)), words


def test_a_patient_with_two_cases_counts_as_one_patient():
    cases = tuple(CaseName(f"S{n}", group) for n in range(5) for group in ("head T1w", "head T2w"))
    plan = Design(3, ("R1", "R2"), 4, ARMS[:2], cases)
    for session in (session for sessions in reading_lists(plan).values() for session in sessions):
        subjects = [entry.case.subject for entry in session]
        assert len(set(subjects)) == len(subjects)
    with pytest.raises(SettingsError, match="S0 has 2 cases in 2 arms, 4 readings, .* at least 4 sessions are needed, not 3"):
        reading_lists(Design(3, ("R1",), 3, ARMS[:2], cases))


def test_what_cannot_be_is_refused_with_the_reason():
    with pytest.raises(SettingsError, match="room for 0; add a session"):
        reading_lists(design(repeats=1))
    with pytest.raises(SettingsError, match="room for 9"):
        reading_lists(design(sessions=4, repeats=10))
    with pytest.raises(SettingsError, match="practise on other patients"):
        reading_lists(design(practice=(CaseName("S00", "head"),)))
    with pytest.raises(SettingsError, match="would be an empty one"):
        reading_lists(design(sessions=4, arms=3, cases=1))
    with pytest.raises(SettingsError, match="too few cases"):
        reading_lists(design(3, 2, 2, 1))


def test_side_by_side_each_case_comes_once_and_panels_are_balanced():
    plan = design(2, 2, 3, 24, repeats=4, side_by_side=True, practice=(CaseName("P", "head"),))
    lists = reading_lists(plan)
    assert lists["R1"] != lists["R2"]
    for sessions in lists.values():
        entries = [entry for session in sessions for entry in session]
        assert sum(entry.practice for entry in entries) == 1 and sessions[0][0].practice
        counted = Counter(entry.case for entry in entries if not entry.practice)
        assert set(counted) == set(plan.cases) and sorted(counted.values())[-4:] == [2] * 4 and sum(counted.values()) == 28
        assert all(sorted(entry.arms) == sorted(plan.arms) for entry in entries)
        orders = Counter(entry.arms for entry in entries)
        assert len(orders) == 6 and max(orders.values()) - min(orders.values()) <= 1
        for session in sessions:
            assert len({entry.case.subject for entry in session}) == len(session)


def test_the_same_seed_gives_the_same_lists_everywhere_and_another_seed_others():
    """The hash was taken on Linux with Python 3.11; it may never change, or a study could not be made again."""
    plan = design(2, 4, 3, 7, repeats=3, practice=(CaseName("P", "head"),), seed=20240611)

    def digest(plan: Design) -> str:
        lists = {reader: [[asdict(entry) for entry in session] for session in sessions] for reader, sessions in reading_lists(plan).items()}
        return hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()

    assert digest(plan) == "c7af95e9141d0e9a0652150c2d16dad823a64ddefefceaa1ab3cb6ffc577592c"
    assert digest(design(2, 4, 3, 7, repeats=3, practice=(CaseName("P", "head"),), seed=20240612)) != digest(plan)


def test_no_arm_has_a_place_of_its_own_in_the_order():
    """Over 200 studies every arm's mean place in a session lies within four standard errors of the middle, and so does its session."""
    places: dict[str, list[float]] = {arm: [] for arm in ARMS[:3]}
    sessions: dict[str, Counter[int]] = {arm: Counter() for arm in ARMS[:3]}
    for seed in range(200):
        for number, session in enumerate(reading_lists(design(1, 3, 3, 9, seed=seed))["R1"]):
            for place, entry in enumerate(session):
                places[entry.arms[0]].append(place / (len(session) - 1))
                sessions[entry.arms[0]][number] += 1
    for arm, found in places.items():
        assert abs(sum(found) / len(found) - 0.5) < 4 * 0.32 / len(found) ** 0.5
        assert set(sessions[arm].values()) == {600}


def test_first_seen_arm_is_not_told_by_the_patient():
    """Each of the six orders of three arms over sessions is drawn for a patient in about a sixth of 600 studies."""
    orders: Counter[tuple[str, ...]] = Counter()
    for seed in range(600):
        lists = reading_lists(design(1, 3, 3, 3, seed=seed))["R1"]
        orders[tuple(entry.arms[0] for session in lists for entry in session if entry.case.subject == "S00")] += 1
    assert len(orders) == 6
    assert all(abs(count - 100) < 45 for count in orders.values()), orders


def test_draws_are_uniform_and_follow_their_words_alone():
    draw = FairDraw(1, "R1")
    counts = Counter(draw.below(6) for _ in range(6000))
    assert set(counts) == set(range(6)) and all(abs(count - 1000) < 150 for count in counts.values())
    assert FairDraw(1, "R1").shuffled(range(9)) == FairDraw(1, "R1").shuffled(range(9)) != FairDraw(1, "R2").shuffled(range(9))
    assert FairDraw("golden", 7).below(1000) == 107 and FairDraw("golden", 7).shuffled(range(5)) == [4, 0, 1, 3, 2]
