"""What every statistic brings along: on how much it rests, how it was made, and why a number is missing where one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
"""Of the intervals, where nothing else is stated."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The common part of all results; a number that cannot be had is NaN.

    Args:
        n: the samples that the numbers rest on: pairs, subjects or images, as the method says.
        method: the name to print next to the numbers.
        left_out: samples that were given but lack a value.
        reason: why numbers are missing; empty where all are there.
    """

    n: int
    method: str
    left_out: int = 0
    reason: str = ""


def complete(*columns: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a number in every column.

    Args:
        columns: of one length each.

    Returns:
        The complete rows (rows x columns) and which of the given they are (a mask).

    Raises:
        ValueError: the columns are not of one length, or hold something infinite.
    """
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise ValueError(f"the columns are of different lengths: {', '.join(str(len(column)) for column in columns)}")
    table = np.stack([np.asarray(column, dtype=float) for column in columns], axis=1)
    if np.isinf(table).any():
        raise ValueError("a value is infinite")
    whole = ~np.isnan(table).any(axis=1)
    return table[whole], whole


def owners(subjects: Sequence[str] | np.ndarray | None, whole: np.ndarray) -> np.ndarray:
    """The subject of each complete row, as numbers from 0; without ``subjects`` every row is a subject of its own.

    Raises:
        ValueError: there are not as many subjects as rows.
    """
    if subjects is None:
        return np.arange(int(whole.sum()))
    if len(subjects) != len(whole):
        raise ValueError(f"need as many subjects as rows, got {len(subjects)} and {len(whole)}")
    return np.unique(np.asarray(subjects)[whole], return_inverse=True)[1]


def subject_means(table: np.ndarray, subjects: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each subject's rows: tests take subjects as samples, not their slices, volumes or organs.

    Args:
        table: rows x columns, or one number a row; complete.
        subjects: whose row it is.

    Returns:
        Subjects x columns (or a number a subject), and the subjects in that order, sorted.
    """
    names, owner = np.unique(np.asarray(subjects), return_inverse=True)
    sums = np.zeros((len(names), *np.shape(table)[1:]))
    np.add.at(sums, owner, table)
    counts = np.bincount(owner, minlength=len(names)).reshape(-1, *([1] * (np.ndim(table) - 1)))
    return sums / counts, names
