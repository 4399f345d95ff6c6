"""Whether an index measured on an arm is the one measured on the reference: rank, bias and concordance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.reader_study.analysis.plan import AnalysisPlan
from MRIDenoiseLib.reader_study.analysis.readings import Readings
from MRIDenoiseLib.statistics import BlandAltman, Correlation, bland_altman, lins_concordance, spearman


@dataclass(frozen=True)
class IndexAgreement:
    """An index on an arm against the reference.

    Args:
        field, group, arm: of what; the field may be all levels of a form.
        spearman: rank correlation, which does not see a bias.
        bland_altman: arm - reference.
        lin: concordance.
        slope, intercept: of the least-squares line of the arm on the reference, for the figure; NaN where there is none.
        values: (reference, arm) of each row, the readers' mean.
    """

    field: str
    group: str
    arm: str
    spearman: Correlation
    bland_altman: BlandAltman
    lin: Correlation
    slope: float
    intercept: float
    values: tuple[tuple[float, float], ...]


def index_agreement(field: str, levels: Sequence[Readings], plan: AnalysisPlan) -> tuple[IndexAgreement, ...]:
    """Of every arm against the reference.

    Args:
        field: what to call it.
        levels: readings of one question, or of one question a level of the spine, whose rows are taken together.
        plan: tells the reference; without one there is nothing to agree with.
    """
    found = []
    for arm in levels[0].arms if plan.reference else ():
        if arm == plan.reference:
            continue
        given, held = (np.concatenate([readings.arm(name).mean(axis=1) for readings in levels]) for name in (arm, plan.reference))
        subjects = np.concatenate([readings.subjects for readings in levels])
        whole = ~np.isnan(given) & ~np.isnan(held)
        measured, wanted = given[whole], held[whole]
        line = np.polyfit(wanted, measured, 1) if len(wanted) > 1 and np.ptp(wanted) > 0 else (np.nan, np.nan)
        found.append(
            IndexAgreement(
                field=field,
                group=levels[0].group,
                arm=arm,
                spearman=spearman(given, held, subjects, plan.seed),
                bland_altman=bland_altman(given, held, subjects=subjects, seed=plan.seed),
                lin=lins_concordance(given, held, subjects, plan.seed),
                slope=float(line[0]),
                intercept=float(line[1]),
                values=tuple((float(x), float(y)) for x, y in zip(wanted, measured, strict=True)),
            )
        )
    return tuple(found)
