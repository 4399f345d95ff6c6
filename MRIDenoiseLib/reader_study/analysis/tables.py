"""The report's tables: every number with its test and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from MRIDenoiseLib.page import paragraph, table
from MRIDenoiseLib.reader_study.analysis.agreement import ReaderAgreement, ReferenceAgreement, RepeatAgreement
from MRIDenoiseLib.reader_study.analysis.arms import ArmComparison
from MRIDenoiseLib.reader_study.analysis.findings import FindingResult, IndexAgreement, PreferenceResult
from MRIDenoiseLib.reader_study.analysis.readings import DETECTION_MARGIN, Missing
from MRIDenoiseLib.reader_study.analysis.words import basis, interval, named, number, p_value
from MRIDenoiseLib.statistics import Rate


def missing(found: Sequence[Missing]) -> str:
    """Who left what unrated."""
    rows = [(one.reader, named(one.field), one.group, f"{one.missing} of {one.of}") for one in found]
    return _table("Images without a rating", ("reader", "question", "group", "missing"), rows)


def arms(one: ArmComparison) -> str:
    """A line an arm."""
    rows = [
        (
            arm.arm,
            str(arm.n),
            number(arm.mean),
            number(arm.deviation),
            number(arm.median),
            interval(arm.lower_quartile, arm.upper_quartile),
        )
        for arm in one.arms
    ]
    left_out = f"; incomplete cases left out: {one.cases_left_out}" if one.cases_left_out else ""
    caption = f"Mean of {one.readers} reader{'s' if one.readers > 1 else ''}, over subjects{left_out}"
    return _table(caption, ("arm", "n subjects", "mean", "SD", "median", "quartiles"), rows)


def tests(one: ArmComparison) -> str:
    """Friedman's test and a line a pair."""
    overall = one.tests.friedman
    caption = (
        f"{overall.method}: chi squared({overall.degrees}) = {number(overall.statistic)}, {p_value(overall.p)}, W = {number(overall.w)}, "
        f"{basis(overall)}"
    )
    pairs = one.tests.pairs
    rows = [
        (
            f"{test.first} − {test.second}",
            f"{number(estimate.difference.median)} ({interval(estimate.difference.median_low, estimate.difference.median_high)})",
            f"{number(estimate.difference.mean)} ({interval(estimate.difference.mean_low, estimate.difference.mean_high)})",
            f"{p_value(test.test.p)}; {basis(test.test)}",
            p_value(test.bonferroni),
            p_value(test.holm),
            number(test.test.effect),
            test.direction,
        )
        for test, estimate in zip(pairs, one.estimates, strict=True)
    ]
    method = "; ".join(dict.fromkeys(test.test.method for test in pairs))
    head = ("pair", "median difference", "mean difference", "Wilcoxon", f"Bonferroni ({len(pairs)} pairs)", "Holm", "effect r", "shown")
    text = paragraph(f"{caption}.") + _table(f"{method}; differences with 95 % bootstrap intervals over subjects", head, rows)
    held = [
        (test, test.equivalence, test.non_inferiority, estimate.equivalence)
        for test, estimate in zip(pairs, one.estimates, strict=True)
        if test.equivalence is not None and estimate.equivalence is not None
    ]
    if not held:
        return text
    lines = [
        (
            f"{test.first} − {test.second}",
            number(equal.mean),
            interval(equal.low, equal.high),
            f"{p_value(equal.p)}; {basis(equal)}",
            equal.verdict,
            f"{interval(resampled.low, resampled.high)}: {resampled.verdict}",
            "–" if lower is None else f"{p_value(lower.p)}: {lower.verdict}",
        )
        for test, equal, lower, resampled in held
    ]
    columns = ("pair", "mean difference", "interval", "TOST", "equivalent", "bootstrap interval", "non-inferior (more is better)")
    return text + _table(f"Equivalence: {held[0][1].method}", columns, lines)


def agreement(found: Sequence[ReaderAgreement]) -> str:
    """Between readers, a line an arm; kappa below it."""
    rows = []
    for one in found:
        rows.append(
            (
                one.arm,
                f"{number(one.single.value)} ({interval(one.single.low, one.single.high)})",
                one.single.band,
                f"{number(one.average.value)} ({interval(one.average.low, one.average.high)})",
                one.average.band,
                basis(one.single),
            )
        )
    head = ("arm", "ICC(A,1), one reader", "band", f"ICC(A,k), mean of {found[0].single.raters}", "band", "images")
    text = _table("Agreement between readers: two-way mixed, absolute agreement, 95 % intervals", head, rows)
    kappas = [
        (
            one.arm,
            f"{pair.first} – {pair.second}",
            f"{number(pair.kappa.value)} ({interval(pair.kappa.low, pair.kappa.high)})",
            f"{number(pair.ac2.value)} ({interval(pair.ac2.low, pair.ac2.high)})",
            basis(pair.kappa),
        )
        for one in found
        for pair in one.kappas
    ]
    return text + (_table(_of_kappas(), ("arm", "readers", "weighted kappa", "AC2", "images"), kappas) if kappas else "")


def repeated(found: Sequence[RepeatAgreement]) -> str:
    """Intra-reader agreement of each reader."""
    rows = [
        (
            one.reader,
            f"{number(one.single.value)} ({interval(one.single.low, one.single.high)})",
            one.single.band,
            f"{number(one.kappa.value)} ({interval(one.kappa.low, one.kappa.high)})" if one.kappa else "–",
            _rate(one.same) if one.same else "–",
            basis(one.single),
        )
        for one in found
    ]
    return _table(
        "Agreement of readers with themselves, second reading", ("reader", "ICC(A,1)", "band", "weighted kappa", "same", "images"), rows
    )


def against_reference(found: Sequence[ReferenceAgreement], reference: str) -> str:
    """Grades on an arm against those of the same reader on the reference."""
    rows = [
        (
            named(one.field),
            one.group,
            one.arm,
            one.reader,
            f"{number(one.kappa.value)} ({interval(one.kappa.low, one.kappa.high)})",
            f"{number(one.ac2.value)} ({interval(one.ac2.low, one.ac2.high)})",
            _rate(one.same),
            basis(one.kappa),
        )
        for one in found
    ]
    head = ("grade", "group", "arm", "reader", "weighted kappa", "AC2", "same grade", "images")
    return _table(f"The same reader's grade on {reference}. {_of_kappas()}", head, rows)


def index(one: IndexAgreement) -> str:
    """Rank correlation, bias and concordance."""
    limits = one.bland_altman
    rows = [
        ("Spearman", number(one.spearman.value), interval(one.spearman.low, one.spearman.high), p_value(one.spearman.p), one.spearman),
        ("bias", number(limits.bias, 3), interval(limits.bias_low, limits.bias_high, 3), "", limits),
        ("lower limit of agreement", number(limits.lower, 3), interval(limits.lower_low, limits.lower_high, 3), "", limits),
        ("upper limit of agreement", number(limits.upper, 3), interval(limits.upper_low, limits.upper_high, 3), "", limits),
        ("Lin's concordance", number(one.lin.value), interval(one.lin.low, one.lin.high), "", one.lin),
    ]
    lines = [(name, value, ends, p, f"{result.method}; {basis(result)}") for name, value, ends, p, result in rows]
    return _table("Readers' mean index of each disc", ("", "value", "95 % interval", "p", "method"), lines)


def findings(found: Sequence[FindingResult]) -> str:
    """Detection and accuracy, a line an arm."""
    rows = []
    for one in found:
        cells = [one.arm, _rate(one.detection)]
        if one.accuracy is not None and one.area is not None:
            cells += [_rate(one.accuracy.sensitivity), _rate(one.accuracy.specificity)]
            cells += [
                f"{number(one.area.value)} ({interval(one.area.low, one.area.high)})" + (f"; {one.area.reason}" if one.area.reason else "")
            ]
        else:
            cells += ["–"] * 3
        if one.difference is not None and one.equivalence is not None:
            cells += [f"{p_value(one.difference.p)}; {basis(one.difference)}", f"{one.equivalence.verdict} ({p_value(one.equivalence.p)})"]
        else:
            cells += ["", ""]
        rows.append(tuple(cells))
    undecided = f"; {found[0].undecided} cases without consensus left out of accuracy" if found[0].undecided else ""
    caption = f"Present: certainty 3 or 4; {found[0].detection.method}{undecided}"
    head = (
        "arm",
        "detection rate",
        "sensitivity",
        "specificity",
        "area under ROC",
        "detection against reference (Wilcoxon)",
        f"equivalent within ±{100 * DETECTION_MARGIN:g} % (TOST)",
    )
    return _table(caption, head, rows)


def shares(one: PreferenceResult) -> str:
    """How often each arm was preferred."""
    rows = [(arm.arm, f"{100 * arm.share:.0f} % ({interval(100 * arm.low, 100 * arm.high, 0)})", str(arm.n)) for arm in one.shares if arm.n]
    return _table("Share of choices, 95 % bootstrap intervals over subjects", ("arm", "preferred", "n choices"), rows)


def preferences(one: PreferenceResult) -> str:
    """A line a pair of arms."""
    rows = [
        (
            f"{pair.first} – {pair.second}",
            f"{pair.test.wins} – {pair.test.losses}, {pair.test.draws} draws",
            f"{number(pair.test.share)} ({interval(pair.test.low, pair.test.high)})",
            f"{p_value(pair.test.p)}; {basis(pair.test)}",
            p_value(pair.bonferroni),
            p_value(pair.holm),
        )
        for pair in one.pairs
    ]
    head = ("pair", "subjects for first – second", "share of first", "sign test", f"Bonferroni ({len(rows)} pairs)", "Holm")
    return _table(one.pairs[0].test.method, head, rows)


def _of_kappas() -> str:
    return "Cohen's kappa with quadratic weights and Gwet's AC2, 95 % bootstrap intervals drawing whole subjects"


def _rate(found: Rate) -> str:
    if found.n == 0:
        return f"– ({found.reason})"
    return f"{number(found.value)} ({interval(found.low, found.high)}), {found.hits} of {found.n}"


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return table(head, rows, caption=caption)
