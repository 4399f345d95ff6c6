"""De Werra's theorem, on graphs of all shapes: patients with several cases, arms of unequal size, pairs read more than once."""

from __future__ import annotations

from collections import Counter

import pytest

from MRIDenoiseLib.reader_study.running.balance import FairDraw, deal


def readings(draw: FairDraw) -> list[tuple[str, str]]:
    patients, arms = 1 + draw.below(12), 1 + draw.below(5)
    return [(f"patient {draw.below(patients)}", f"arm {draw.below(arms)}") for _ in range(1 + draw.below(60))]


@pytest.mark.parametrize("sessions", range(1, 7))
def test_every_patient_every_arm_and_the_whole_are_spread_evenly(sessions):
    for seed in range(100):
        given = readings(FairDraw("graph", seed, sessions))
        dealt = deal(given, sessions, FairDraw("deal", seed))
        assert len(dealt) == len(given)
        groups = {("all", "")} | {("patient", patient) for patient, _ in given} | {("arm", arm) for _, arm in given}
        for kind, name in groups:
            counts = Counter({session: 0 for session in range(sessions)})
            counts.update(
                session
                for (patient, arm), session in zip(given, dealt, strict=True)
                if kind == "all" or name == (patient if kind == "patient" else arm)
            )
            assert len(counts) == sessions and max(counts.values()) - min(counts.values()) <= 1, (seed, kind, name)


def test_lots_decide_among_the_ways():
    given = [(f"patient {n}", arm) for n in range(9) for arm in "abc"]
    ways = {tuple(deal(given, 3, FairDraw(seed))) for seed in range(20)}
    assert len(ways) == 20 and deal(given, 3, FairDraw(1)) == deal(given, 3, FairDraw(1))
