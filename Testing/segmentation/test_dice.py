"""Dice by hand."""

import math

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.segmentation import dice


def test_the_example_of_the_textbook():
    one = np.array([1, 1, 1, 1, 0, 0])
    other = np.array([0, 1, 1, 1, 1, 1])
    assert dice(one, other, 1).mean == pytest.approx(2 * 3 / (4 + 5))
    assert dice(one, other, 1) == dice(other, one, 1)
    assert dice(one, one, 1).mean == 1


def test_a_class_that_neither_has_is_left_out_and_one_that_one_has_is_zero():
    found = dice(np.array([1, 1, 2, 0]), np.array([1, 1, 0, 0]), 3)
    assert found.classes[:2] == (1, 0) and math.isnan(found.classes[2])
    assert found.mean == 0.5
    assert math.isnan(dice(np.zeros(3, int), np.zeros(3, int), 3).mean)


def test_classes_are_matched_by_their_order_and_never_by_overlap():
    labels = np.array([1, 1, 2, 2])
    assert dice(3 - labels, labels, 2).mean == 0


def test_another_shape_is_refused():
    with pytest.raises(InputError, match="shape"):
        dice(np.zeros(3, int), np.zeros(4, int), 1)
