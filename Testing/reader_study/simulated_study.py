"""A whole study that is made up: two organs' scales, Fazekas grades, disc indices, findings, preferences, repeats and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from MRIDenoiseLib.reader_study.analysis.power import SimulatedReaders
from MRIDenoiseLib.reader_study.analysis.readings import AnalysisPlan, Question
from MRIDenoiseLib.reader_study.running.scores import Score

ARMS = ("noisy", "ours", "reference")
READERS = ("R1", "R2")
SCALE, FAZEKAS = (1, 2, 3, 4), (0, 1, 2, 3)

QUESTIONS = (
    Question("image_quality", "scale", "Image quality", SCALE),
    Question("fazekas.deep", "fazekas", "Fazekas", FAZEKAS, ("head",)),
    Question("fazekas.periventricular", "fazekas", "Fazekas", FAZEKAS, ("head",)),
    Question("disc_signal.L4", "index", "Disc signal", (), ("lumbar spine",)),
    Question("disc_signal.L5", "index", "Disc signal", (), ("lumbar spine",)),
    Question("knee.meniscal tear", "finding", "Knee", SCALE, ("knee",)),
    Question("knee.effusion", "finding", "Knee", SCALE, ("knee",)),
    Question("preference", "preference", "Preference", (), ("knee",)),
)


def plan(subjects: int, **changes: object) -> AnalysisPlan:
    cases = tuple((f"S{number:03d}", group) for group in ("head", "lumbar spine", "knee") for number in range(1, subjects + 1))
    whole = AnalysisPlan("Fast MR of everything", ARMS, READERS, cases, QUESTIONS, "image_quality", "reference")
    return replace(whole, **changes)  # type: ignore[arg-type]


def plain_plan(subjects: int, arms: tuple[str, ...] = ARMS, **changes: object) -> AnalysisPlan:
    """One question about one group, as :func:`as_scores` answers it."""
    cases = tuple((f"S{number:03d}", "all") for number in range(1, subjects + 1))
    whole = AnalysisPlan("One question", arms, READERS, cases, (Question("image_quality", "scale", "", SCALE),), "image_quality", arms[-1])
    return replace(whole, **changes)  # type: ignore[arg-type]


def as_scores(table: np.ndarray, arms: Sequence[str], field: str, group: str = "all") -> list[Score]:
    """One simulated study as the scores of an unblinded one; readers are called R1, R2 ..., subjects S001 and up.

    Args:
        table: subjects x readers x arms x times; what is NaN was not read.
        arms: names of the arms.
        field, group: what was asked, and of which cases.
    """
    return [
        Score(
            reader=f"R{reader + 1}",
            session=time * len(arms) + arm + 1,
            subject=f"S{subject + 1:03d}",
            group=group,
            arm=arms[arm],
            field=field,
            value=float(value),
            repeat=time,
            seconds=10.0,
            blinded_id=f"{subject:04d}{arm}",
        )
        for (subject, reader, arm, time), value in np.ndenumerate(table)
        if not np.isnan(value)
    ]


def scores(subjects: int, seed: int = 0) -> list[Score]:
    """The noisy arm is a point worse, ours is as good as the reference; discs measured on the noisy arm are 0.1 too bright."""
    rng = np.random.default_rng(seed)
    readers = SimulatedReaders(agreement=0.8)
    found: list[Score] = []
    for number, group in enumerate(("head", "lumbar spine", "knee")):
        table = readers.read((2.1, 3.1, 3.1), studies=1, subjects=subjects, readers=2, times=2, seed=seed + number)[0].astype(float)
        # A quarter is read twice.
        table[subjects // 4 :, ..., 1] = np.nan
        found += as_scores(table, ARMS, "image_quality", group)
    graded = SimulatedReaders(agreement=0.9, of_subject=0.85, lowest=0, highest=3)
    for number, name in enumerate(("fazekas.deep", "fazekas.periventricular")):
        table = graded.read((1.2, 1.2, 1.2), studies=1, subjects=subjects, readers=2, seed=seed + 10 + number)[0]
        found += as_scores(table, ARMS, name, "head")
    for number, name in enumerate(("knee.meniscal tear", "knee.effusion")):
        table = graded.read((1.3, 1.3, 1.3), studies=1, subjects=subjects, readers=2, seed=seed + 20 + number)[0]
        found += as_scores(table + 1, ARMS, name, "knee")
    for name in ("disc_signal.L4", "disc_signal.L5"):
        true = rng.uniform(0.2, 0.8, (subjects, 1, 1, 1))
        noise = np.array([0.06, 0.02, 0.02]).reshape(1, 1, 3, 1) * rng.standard_normal((subjects, 2, 3, 1))
        found += as_scores(true + np.array([0.1, 0.0, 0.0]).reshape(1, 1, 3, 1) + noise, ARMS, name, "lumbar spine")
    preferred = rng.choice(4, size=(subjects, 2), p=(0.1, 0.4, 0.4, 0.1))
    shares = np.where(preferred[..., None] == 3, 1 / 3, preferred[..., None] == np.arange(3))
    found += as_scores(shares[..., None], ARMS, "preference", "knee")
    # The second reader did not come to the last case.
    last = f"S{subjects:03d}"
    return [score for score in found if not (score.reader == "R2" and score.subject == last and score.group == "head")]
