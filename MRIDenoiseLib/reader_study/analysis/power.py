"""How many subjects a study needs: it is simulated many times over and analysed as it will be.

The readers are made up, with an agreement and a difference between arms that are known. Each image has a quality that no reader sees
exactly. What a reader perceives is that quality plus the reader's own strictness plus a perception of the moment, and the score is the
nearest point of the scale (an ordinal model with a latent trait).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.reader_study.analysis.arms import ArmTests, decide
from MRIDenoiseLib.statistics import Rate, rate


@dataclass(frozen=True)
class SimulatedReaders:
    """How readers perceive.

    Args:
        agreement: part of what is perceived that all readers of an image share, 0 to 1; before rounding to points it is ICC(A,1).
        of_subject: part that is the subject's in every arm; the rest of ``agreement`` is the single image's.
        strictness: part that is the reader's in every image.
        spread: standard deviation of what is perceived, in points.
        lowest, highest: ends of the scale.
    """

    agreement: float = 0.75
    of_subject: float = 0.5
    strictness: float = 0.05
    spread: float = 0.8
    lowest: int = 1
    highest: int = 4

    def __post_init__(self) -> None:
        # 0.7 and 0.3 do not add up to 1 by the last digit.
        if not (0 <= self.of_subject <= self.agreement and self.strictness >= 0 and self.agreement + self.strictness <= 1 + 1e-12):
            raise SettingsError(
                f"readers cannot share {self.agreement:g} of what they see with {self.of_subject:g} of it from the patient and "
                f"{self.strictness:g} from the reader: the parts have to fit into 1, and the patient's into the agreement"
            )
        if not self.spread > 0 or not self.lowest < self.highest:
            raise SettingsError("the spread of scores has to be above 0, and the scale to have at least two points")

    @property
    def categories(self) -> tuple[int, ...]:
        """The points of the scale."""
        return tuple(range(self.lowest, self.highest + 1))

    def mean_score(self, quality: float) -> float:
        """The mean score of images of a mean quality."""
        steps = np.arange(self.lowest, self.highest) + 0.5
        return float(self.lowest + stats.norm.sf((steps - quality) / self.spread).sum())

    def quality(self, mean_score: float) -> float:
        """The mean quality that gives a mean score.

        Raises:
            SettingsError: the score does not lie inside the scale.
        """
        if not self.lowest < mean_score < self.highest:
            raise SettingsError(f"a mean score lies between {self.lowest} and {self.highest}, not at {mean_score:g}")
        reach = 10 * self.spread
        return float(brentq(lambda quality: self.mean_score(quality) - mean_score, self.lowest - reach, self.highest + reach, xtol=1e-12))

    def read(self, mean_scores: Sequence[float], *, studies: int, subjects: int, readers: int, seed: int, times: int = 1) -> np.ndarray:
        """Scores of whole studies.

        Args:
            mean_scores: of each arm.
            studies, subjects, readers: how many.
            seed: of every draw.
            times: how often each reader reads each image.

        Returns:
            Studies x subjects x readers x arms x times, whole numbers.
        """
        draw = np.random.default_rng(seed).standard_normal
        arms = len(mean_scores)
        quality = np.array([self.quality(score) for score in mean_scores])
        perceived = (
            sqrt(self.of_subject) * draw((studies, subjects, 1, 1, 1))
            + sqrt(self.agreement - self.of_subject) * draw((studies, subjects, 1, arms, 1))
            + sqrt(self.strictness) * draw((studies, 1, readers, 1, 1))
            + sqrt(max(0.0, 1 - self.agreement - self.strictness)) * draw((studies, subjects, readers, arms, times))
        )
        points = np.rint(quality[:, None] + self.spread * perceived)
        return np.clip(points, self.lowest, self.highest).astype(int)


@dataclass(frozen=True)
class PairPower:
    """Two arms.

    Args:
        first, second: the arms.
        difference: true mean difference in points, first - second.
        detected: how often the right direction is shown; where the true difference is zero, how often any is.
        equivalent: how often they are called equivalent; None where that is not tested.
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
        reference: the arm that others are compared with, or empty.
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
        raise SettingsError(f"the reference '{reference}' is not one of the arms {', '.join(arms)}")
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
