"""Another package's tissue classifier finds the phantom's tissues as ours does, through the same door."""

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.segmentation_time import phantom
from MRIDenoiseLib.evaluation.claims.segmenters import in_order_of_brightness, n4_corrected, segmenters, without_outliers
from MRIDenoiseLib.evaluation.pictures import draw_segmentations
from MRIDenoiseLib.segmentation import dice

MODULES = {"Atropos": "ants"}


@pytest.mark.parametrize("name", ["ours", "Atropos"])
def test_every_one_finds_the_phantoms_tissues(name):
    if name in MODULES:
        pytest.importorskip(MODULES[name], reason="needs the extra 'peers'")
    made = phantom(shape=(6, 96, 100))
    inside = made.labels > 0
    way = segmenters()[name]
    image = without_outliers(made.image / made.bias if way.corrected else made.image, inside)
    labels = way.run(image, inside, made.spacing, 3)
    assert dice(in_order_of_brightness(labels, made.image, 3), made.labels, 3).mean > 0.93
    assert not labels[~inside].any()


def test_the_field_n4_takes_away_is_the_one_put_in():
    made = phantom(snr=50, levels=(100, 100, 100))
    inside = made.labels > 0
    taken = np.log(made.image / n4_corrected(made.image, inside, made.spacing))[inside]
    true = np.log(made.bias[inside])
    assert np.corrcoef(taken, true)[0, 1] > 0.9 and (taken - true).std() < 0.5 * true.std()


def test_labels_are_ordered_by_brightness_and_a_missing_one_stays_missing():
    image = np.array([5.0, 5.0, 1.0, 9.0, 0.0])
    assert in_order_of_brightness(np.array([1, 1, 2, 4, 0]), image, 4).tolist() == [2, 2, 1, 3, 0]


def test_segmentations_are_drawn_side_by_side(tmp_path):
    made = phantom(shape=(6, 40, 44))
    draw_segmentations(made.image, made.labels > 0, {"truth": made.labels}, made.spacing, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000
