"""The conclusions in sentences, and how numbers are written in them and in the report."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from MRIDenoiseLib.reader_study.analysis.analyse import Analysis
from MRIDenoiseLib.reader_study.analysis.arms import ArmComparison, PairEstimate, PairTest
from MRIDenoiseLib.reader_study.analysis.findings import PreferenceResult
from MRIDenoiseLib.reader_study.analysis.readings import ALL, DETECTION_MARGIN
from MRIDenoiseLib.statistics import Result


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    # Plus zero: what rounds to nothing has no sign.
    return "–" if isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def p_value(p: float) -> str:
    """Such as ``p = 0.012``."""
    return "p –" if isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Such as ``0.12 to 0.48``."""
    return "–" if isnan(low) else f"{number(low, digits)} to {number(high, digits)}"


def basis(result: Result) -> str:
    """What a number rests on: n, what was left out, and why something is missing."""
    parts = [f"n = {result.n}"]
    if result.left_out:
        parts.append(f"{result.left_out} left out")
    return ", ".join([*parts, *([result.reason] if result.reason else [])])


def named(field: str) -> str:
    """A field's name as words."""
    return field.replace("_", " ").replace(".", ", ")


def where(field: str, group: str) -> str:
    """Field and group, the group only where it is informative: studies without groups have one called all."""
    return named(field) if group in (ALL, "all") else f"{named(field)} ({group})"


@dataclass(frozen=True)
class Conclusions:
    """What a study shows, in sentences.

    Args:
        confirmatory: of the primary outcome, for which the level was fixed; over all groups where there are several.
        exploratory: everything else.
    """

    confirmatory: tuple[str, ...]
    exploratory: tuple[str, ...]


def conclusions(analysis: Analysis) -> Conclusions:
    """The conclusions of an analysis."""
    plan = analysis.plan
    # Of several groups, all of them together come first.
    primary = [one for one in analysis.comparisons if one.field == plan.primary][:1]
    wanted = [one for one in analysis.preferences if one.field == plan.primary][:1]
    others = [sentence for one in analysis.comparisons if one not in primary for sentence in _of_arms(one, analysis)]
    preferred = [sentence for one in analysis.preferences if one not in wanted for sentence in _of_preference(one, analysis)]
    return Conclusions(
        confirmatory=(
            *(sentence for one in primary for sentence in _of_arms(one, analysis)),
            *(sentence for one in wanted for sentence in _of_preference(one, analysis)),
        ),
        exploratory=(*_of_readers(analysis), *others, *_of_indices(analysis), *_of_findings(analysis), *preferred),
    )


def _of_arms(one: ArmComparison, analysis: Analysis) -> list[str]:
    what = where(one.field, one.group)
    if one.subjects == 0:
        return [f"{what}: no case was rated by every reader in every arm, so that the arms cannot be compared."]
    found = []
    for test, estimate in zip(one.tests.pairs, one.estimates, strict=True):
        found.append(_difference(what, test, estimate, one, analysis))
        if test.equivalence is not None:
            equal = test.equivalence
            why = f"; {equal.reason}" if equal.reason else ""
            level = f"{100 * (1 - 2 * one.tests.equivalence_alpha):.4g} % interval {interval(equal.low, equal.high)}"
            found.append(
                f"{what}: {test.first} equivalent to {test.second} within ±{equal.margin:g} points: {equal.verdict} "
                f"(mean difference {number(equal.mean)}, {level}, TOST {p_value(equal.p)}, n = {equal.n} subjects{why})."
            )
    return found


def _difference(what: str, test: PairTest, estimate: PairEstimate, one: ArmComparison, analysis: Analysis) -> str:
    difference = estimate.difference
    kind = next(question.kind for question in analysis.plan.questions if question.name == one.field)
    gets = "{} scores {} than {}" if kind == "scale" else "{} gets {} values than {}"
    verb = {
        "higher": gets.format(test.first, "higher", test.second),
        "lower": gets.format(test.first, "lower", test.second),
        "no difference shown": f"no difference is shown between {test.first} and {test.second}, which does not mean that they are equal",
    }[test.direction]
    return (
        f"{what}: {verb} (median difference {number(difference.median)}, 95 % interval "
        f"{interval(difference.median_low, difference.median_high)}; mean {number(difference.mean)}, "
        f"{interval(difference.mean_low, difference.mean_high)}; Wilcoxon {p_value(test.test.p)}"
        f"{_adjusted(test.bonferroni, len(one.tests.pairs))}; n = {test.test.n} subjects)."
    )


def _of_readers(analysis: Analysis) -> list[str]:
    found = []
    questions = {question.name: question for question in analysis.plan.questions}
    for one in analysis.agreement:
        if one.arm == ALL and one.group == analysis.plan.groups_of(questions[one.field])[0]:
            single, average = one.single, one.average
            word = f", {single.band}" if single.band else f" ({single.reason})"
            found.append(
                f"Agreement of {single.raters} readers in {named(one.field)}{word}: ICC(A,1) {number(single.value)} "
                f"({interval(single.low, single.high)}) of one reader, ICC(A,k) {number(average.value)} "
                f"({interval(average.low, average.high)}) of their mean; n = {single.n} images."
            )
    return found


def _of_indices(analysis: Analysis) -> list[str]:
    return [
        f"{where(one.field, one.group)}: {one.arm} against {analysis.plan.reference}: Spearman {number(one.spearman.value)} "
        f"({interval(one.spearman.low, one.spearman.high)}), bias {number(one.bland_altman.bias, 3)} with limits of agreement "
        f"{interval(one.bland_altman.lower, one.bland_altman.upper, 3)}, Lin's concordance {number(one.lin.value)} "
        f"({interval(one.lin.low, one.lin.high)}); n = {one.lin.n}."
        for one in analysis.indices
        if one.lin.n
    ]


def _of_findings(analysis: Analysis) -> list[str]:
    found = []
    for one in analysis.findings:
        if one.accuracy is None or one.equivalence is None:
            continue
        high, low = one.accuracy.sensitivity, one.accuracy.specificity
        found.append(
            f"{where(one.field, one.group)}, {one.arm}: sensitivity {number(high.value)} ({interval(high.low, high.high)}, n = {high.n} "
            f"readings), specificity {number(low.value)} ({interval(low.low, low.high)}, n = {low.n}); detection rate equivalent to "
            f"{analysis.plan.reference} within ±{100 * DETECTION_MARGIN:g} percentage points: {one.equivalence.verdict} "
            f"(TOST {p_value(one.equivalence.p)}, n = {one.equivalence.n} subjects)."
        )
    return found


def _of_preference(one: PreferenceResult, analysis: Analysis) -> list[str]:
    found = []
    for pair in one.pairs:
        test = pair.test
        ahead = f"no preference is shown between {pair.first} and {pair.second}"
        if pair.bonferroni < analysis.plan.alpha:
            better, worse = (pair.first, pair.second) if test.wins > test.losses else (pair.second, pair.first)
            ahead = f"{better} is preferred to {worse}"
        found.append(
            f"{where(one.field, one.group)}: {ahead} ({test.wins} subjects for {pair.first}, {test.losses} for {pair.second}, "
            f"{test.draws} draws; sign test {p_value(test.p)}{_adjusted(pair.bonferroni, len(one.pairs))}; n = {test.n})."
        )
    return found


def _adjusted(p: float, pairs: int) -> str:
    return f", {p_value(p)} after Bonferroni for {pairs} pairs" if pairs > 1 else ""
