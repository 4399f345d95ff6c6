"""What is wrong with reading lists, found by counting: it shares nothing with the code that draws them."""

from __future__ import annotations

from collections import Counter
from itertools import product

from MRIDenoiseLib.reader_study.running.design import Design, Lists


def faults(plan: Design, lists: Lists) -> list[str]:
    """A sentence for every condition that does not hold."""
    found = []
    wanted = Counter(product((case.subject for case in plan.cases), plan.arms))
    if set(lists) != set(plan.readers):
        found.append("readers")
    if len(set(lists.values())) < len(plan.readers):
        found.append("two readers share an order")
    for reader, sessions in lists.items():
        if len(sessions) != plan.sessions:
            found.append(f"{reader}: number of sessions")
        read: Counter[tuple[str, str]] = Counter()
        lengths = []
        for number, session in enumerate(sessions):
            counted = [entry for entry in session if not entry.practice]
            begin = len(session) - len(counted)
            if any(entry.practice for entry in session[begin:]) or (number > 0) * begin or (number == 0) * (begin != len(plan.practice)):
                found.append(f"{reader}: practice comes first, and in the first session")
            subjects = [entry.case.subject for entry in session]
            if len(set(subjects)) < len(subjects):
                found.append(f"{reader}: a patient twice in session {number}")
            here = Counter({arm: 0 for arm in plan.arms})
            here.update(entry.arms[0] for entry in counted)
            if max(here.values()) - min(here.values()) > 1:
                found.append(f"{reader}: arms unbalanced in session {number}")
            read.update((entry.case.subject, entry.arms[0]) for entry in counted)
            lengths.append(len(counted))
        if max(lengths) - min(lengths) > 1 or min(lengths) == 0:
            found.append(f"{reader}: lengths {lengths}")
        again = read - wanted
        if wanted - read or sum(again.values()) != plan.repeats or max(again.values(), default=0) > 1:
            found.append(f"{reader}: not everything is read as often as it should")
        if len({subject for subject, _ in again}) < len(list(again)):
            found.append(f"{reader}: one patient repeated twice")
    return found
