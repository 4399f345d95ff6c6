"""A row of the comparisons shows filters what it should and scores what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.evaluation.benchmark import BenchmarkRow
from MRIDenoiseLib.evaluation.figures import noise_corrected_psnr, psnr, ssim
from MRIDenoiseLib.image.noise import reference_noise
from MRIDenoiseLib.simulation.noise import benchmark_row


@pytest.fixture(scope="module")
def middle(row) -> slice:
    return slice(row.scored.start, row.scored.stop)


def test_twelve_middle_slices_are_scored_and_three_more_on_either_side_seen(row):
    assert row.scored == range(5, 17) and row.seen == range(2, 20)
    assert row.noisy.shape[0] == 18 and row.reference.shape[0] == 12


def test_a_short_volume_is_scored_as_far_as_it_goes(head, source):
    short = replace(head, voxels=np.ascontiguousarray(head.voxels[:, :, :14]))
    row = BenchmarkRow.of(short, source, "R")
    assert row.scored == range(1, 13) and row.seen == range(0, 14)
    assert row.score_filtered(row.noisy) == row.score_volume(row.volume)


def test_the_volume_is_stored_as_it_was_read_and_holds_the_benchmark_noise(row, head):
    assert row.volume.voxels.shape == head.voxels.shape and row.volume.slice_axis == head.slice_axis == 2
    assert np.percentile(row.clean[row.clean > 0], 99.5) == pytest.approx(1)
    noisy = benchmark_row("R", torch.from_numpy(row.clean)).numpy()
    assert np.array_equal(np.moveaxis(row.volume.voxels, 2, 0), noisy)


def test_the_frame_holds_the_body_and_sixteen_pixels_around_it_but_no_more(row):
    rows, columns = row.frame
    body = (row.clean > 0.08).any(axis=0)
    assert (rows, columns) == (slice(0, 78), slice(1, 80)), "the disc spans rows 15..61 and columns 17..63; the view ends at 72"
    assert body[rows, columns].sum() == body.sum() and row.noisy.shape[1:] == (78, 71)


def test_spacing_is_told_slices_first(row):
    assert row.spacing == pytest.approx((4.0, 1.1, 0.9))


def test_the_true_noise_is_that_of_bright_tissue(row):
    # Magnitude noise of sigma 13/255 keeps its strength in bright tissue and is weaker in air.
    assert row.noise_level == pytest.approx(13 / 255, rel=0.03)


def test_the_scores_are_those_of_the_whole_middle_slices(row, middle):
    clean, noisy = row.clean[middle], np.moveaxis(row.volume.voxels, row.volume.slice_axis, 0)[middle]
    counted = {"data_range": 1.0, "mask": clean > 0.08}
    found = row.score_volume(row.volume)
    assert found["psnr"] == pytest.approx(psnr(noisy, clean, **counted), abs=6e-4)
    assert found["ssim"] == pytest.approx(ssim(noisy, clean, **counted), abs=6e-6)
    own = reference_noise(clean, clean > 0.08)
    assert own > 0
    assert found["corrected"] == pytest.approx(noise_corrected_psnr(noisy, clean, noisy, reference_noise=own, **counted), abs=6e-4)


def test_a_filter_and_a_model_with_the_same_result_score_the_same(row):
    dimmed = 0.9 * row.noisy
    volume = row.volume.with_voxels(np.float32(0.9) * row.volume.voxels)
    assert row.score_filtered(dimmed) == row.score_volume(volume) != row.score_volume(row.volume)


def test_what_lies_outside_the_middle_slices_and_the_foreground_does_not_count(row):
    spoilt = row.noisy.copy()
    spoilt[:3], spoilt[-3:] = 7, 7
    # Far enough from the foreground for the window of SSIM.
    spoilt[:, :6], spoilt[:, :, :6] = 7, 7
    assert row.score_filtered(spoilt) == row.score_filtered(row.noisy)
    spoilt[8, 40, 40] = 7
    assert row.score_filtered(spoilt)["psnr"] < row.score_filtered(row.noisy)["psnr"] - 1
