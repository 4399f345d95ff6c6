"""Which rows of a table may count."""

import math

import pytest

from MRIDenoiseLib.evaluation.figures.honest_reference import counts


@pytest.mark.parametrize(
    ("own", "added", "counted"),
    [(0.0099, 0.03, True), (0.0101, 0.03, False), (0.0, 0.01, True), (math.nan, 0.03, False), (0.01, math.nan, False)],
)
def test_a_row_counts_where_a_third_of_the_added_noise_or_less_is_the_references_own(own, added, counted):
    assert counts(own, added) is counted
