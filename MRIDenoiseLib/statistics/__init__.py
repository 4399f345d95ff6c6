"""The statistics of image comparisons and reader studies: each result names its test, its n, and the reason for a missing number."""

from MRIDenoiseLib.statistics.bootstrap import clustered_interval, clustered_median_interval
from MRIDenoiseLib.statistics.categories import CategoryAgreement, gwet_ac2, weighted_kappa
from MRIDenoiseLib.statistics.differences import (
    Comparison,
    Equivalence,
    NonInferiority,
    PairedDifference,
    bootstrap_equivalence,
    compare,
    equivalence,
    non_inferiority,
    paired_difference,
)
from MRIDenoiseLib.statistics.intraclass import IntraclassCorrelation, band, intraclass
from MRIDenoiseLib.statistics.measurements import BlandAltman, Correlation, bland_altman, lins_concordance, spearman
from MRIDenoiseLib.statistics.proportions import Accuracy, CurveArea, Rate, SignTest, accuracy, curve_area, rate, sign_test, wilson
from MRIDenoiseLib.statistics.rank_tests import Friedman, SignedRank, bonferroni, friedman, holm, signed_rank
from MRIDenoiseLib.statistics.result import Result, subject_means

__all__ = [
    "Accuracy",
    "BlandAltman",
    "CategoryAgreement",
    "Comparison",
    "Correlation",
    "CurveArea",
    "Equivalence",
    "Friedman",
    "IntraclassCorrelation",
    "NonInferiority",
    "PairedDifference",
    "Rate",
    "Result",
    "SignTest",
    "SignedRank",
    "accuracy",
    "band",
    "bland_altman",
    "bonferroni",
    "bootstrap_equivalence",
    "clustered_interval",
    "clustered_median_interval",
    "compare",
    "curve_area",
    "equivalence",
    "friedman",
    "gwet_ac2",
    "holm",
    "intraclass",
    "lins_concordance",
    "non_inferiority",
    "paired_difference",
    "rate",
    "sign_test",
    "signed_rank",
    "spearman",
    "subject_means",
    "weighted_kappa",
    "wilson",
]
