"""How many subjects a study needs: it is simulated many times over and analysed as it will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.analysis.arms import ArmTests, decide
from MRIDenoiseLib.reader_study.running.simulation import SimulatedReaders
from MRIDenoiseLib.statistics import Rate, rate


@dataclass(frozen=True)
class PairPower:
    """Two arms.

    Args:
        first, second: the arms.
        difference: true mean difference in points, first - second.
        detected: how often the right direction is shown; where the true difference is zero, how often any is.
        equivalent: how often they are called equivalent; None where that is not asked.
    """

    first: str
    second: str
    difference: float
    detected: Rate
    equivalent: Rate | None


@dataclass(frozen=True)
class Power:
    """What a study of so many subjects shows.

    Args:
        subjects: how many.
        any_difference: how often Friedman's test is significant.
        pairs: every two arms.
    """

    subjects: int
    any_difference: Rate
    pairs: tuple[PairPower, ...]


def power(
    readers: SimulatedReaders,
    mean_scores: Mapping[str, float],
    *,
    subjects: int,
    number_of_readers: int = 2,
    reference: str = "",
    alpha: float = 0.05,
    margin: float = 0.25,
    simulations: int = 1000,
    seed: int = 0,
) -> Power:
    """Simulate and analyse studies.

    Args:
        readers: how they perceive.
        mean_scores: arm -> the mean score it is expected to get.
        subjects, number_of_readers: of the study.
        reference: the arm that others are held against, or empty.
        alpha, margin: as the study will have them.
        simulations: how many.
        seed: of all.

    Raises:
        SettingsError: there are not two arms, the reference is none of them, or a number cannot be.
    """
    arms, scores = tuple(mean_scores), tuple(mean_scores.values())
    if len(arms) < 2:
        raise SettingsError("a study compares at least two arms, such as noisy=2.4,denoised=3.1")
    if reference and reference not in arms:
        raise SettingsError(f"the reference '{reference}' is none of the arms {', '.join(arms)}")
    if subjects < 2 or number_of_readers < 1 or simulations < 1:
        raise SettingsError("a study needs at least two subjects and one reader, and one simulation at the least")
    if not 0 < alpha < 1 or not margin > 0:
        raise SettingsError(f"alpha lies between 0 and 1 and the margin above 0, not at {alpha:g} and {margin:g}")
    tables = readers.read(scores, studies=simulations, subjects=subjects, readers=number_of_readers, seed=seed)[..., 0].mean(axis=2)
    found = [decide(table, arms, reference, alpha, margin) for table in tables]
    return Power(
        subjects=subjects,
        any_difference=rate(np.array([tests.friedman.p < alpha for tests in found])),
        pairs=tuple(_of_pair(found, number, mean_scores) for number in range(len(found[0].pairs))),
    )


def _of_pair(found: list[ArmTests], number: int, mean_scores: Mapping[str, float]) -> PairPower:
    pairs = [tests.pairs[number] for tests in found]
    first, second = pairs[0].first, pairs[0].second
    difference = mean_scores[first] - mean_scores[second]
    right = ("higher", "lower") if difference == 0 else ("higher",) if difference > 0 else ("lower",)
    equal = [pair.equivalence.verdict == "yes" for pair in pairs if pair.equivalence is not None]
    return PairPower(
        first=first,
        second=second,
        difference=difference,
        detected=rate(np.array([pair.direction in right for pair in pairs])),
        equivalent=rate(np.array(equal)) if equal else None,
    )
