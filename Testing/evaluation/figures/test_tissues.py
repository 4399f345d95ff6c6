"""Tissue agreement: one mask for all, the blur control, progress and refusals."""

import dataclasses

import numpy as np
import pytest

from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.evaluation.claims.segmentation_time import phantom
from MRIDenoiseLib.evaluation.figures.tissues import compare_tissues, volume_bias
from MRIDenoiseLib.prompt import override
from MRIDenoiseLib.volume import Acquisition, Volume


def head(snr: float, seed: int = 0) -> Volume:
    made = phantom(bias=0.1, snr=snr, seed=seed, shape=(6, 72, 76))
    volume = Volume(made.image.astype(np.float32), np.diag([1.5, 1.5, 3.0, 1.0]))
    return volume.with_acquisition(override(Acquisition(), organ="knee" if seed else "head", contrast="T1w"))


def test_less_noise_agrees_better_and_the_first_image_is_also_shown_blurred():
    seen: list[float] = []
    target, rows = compare_tissues([("noisy", head(5, 1)), ("denoised", head(15, 2))], head(40), progress=seen.append)
    noisy, blurred, denoised = rows
    assert blurred.name.startswith("noisy, sigma") and [row.name for row in (noisy, denoised)] == ["noisy", "denoised"]
    assert noisy.agreement.mean < min(blurred.agreement.mean, denoised.agreement.mean)
    assert all(np.array_equal(row.segmentation.labels > 0, target.labels > 0) for row in rows), "the reference's mask for all"
    assert all([kind.name for kind in row.segmentation.classes] == [kind.name for kind in target.classes] for row in rows)
    assert target.anatomical and seen == sorted(seen) and seen[-1] == pytest.approx(1)


def test_another_grid_is_refused_and_a_wish_to_stop_is_heard():
    moved = Volume(head(9, 1).voxels, np.diag([1.5, 1.5, 4.0, 1.0]))
    with pytest.raises(InputError, match="moved and the reference"):
        compare_tissues([("moved", moved)], head(40))
    with pytest.raises(Cancelled):
        compare_tissues([("noisy", head(9, 1))], head(40), should_stop=lambda: True)


def test_the_bias_of_volumes_has_a_sign_and_what_one_class_gains_others_lose():
    target, rows = compare_tissues([("noisy", head(5, 1)), ("same", head(40))], head(40))
    noisy, _, same = rows
    assert volume_bias(same.segmentation, target) == (0, 0, 0)
    bias = volume_bias(noisy.segmentation, target)
    assert min(bias) < -1 and max(bias) > 1
    whole = [kind.millilitres for kind in target.classes]
    assert sum(part * ml for part, ml in zip(bias, whole, strict=True)) == pytest.approx(0, abs=1e-6), "one mask holds all"
    sizes = [kind.millilitres for kind in noisy.segmentation.classes]
    assert sizes[0] == pytest.approx(whole[0] * (1 + bias[0] / 100))
    gone = dataclasses.replace(target, classes=tuple(kind._replace(millilitres=0.0) for kind in target.classes))
    assert all(np.isnan(part) for part in volume_bias(target, gone))
