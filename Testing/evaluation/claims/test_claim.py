"""What claims are measured on: the volume as it was read, with the noise of the comparisons."""

import numpy as np
import pytest
import torch

from MRIDenoiseLib.simulation.presets import benchmark_row


def test_the_volume_keeps_its_axes_and_holds_the_noise_of_the_comparisons(row, head):
    assert row.volume.voxels.shape == head.voxels.shape and row.volume.slice_axis == head.slice_axis == 2
    assert np.percentile(row.clean[row.clean > 0], 99.5) == pytest.approx(1)
    assert np.array_equal(row.volume.stack, benchmark_row("R", torch.from_numpy(row.clean)).numpy())


def test_the_true_noise_is_that_of_bright_tissue(row):
    # Magnitude noise of sigma 13/255 keeps its strength in bright tissue and is weaker in air.
    assert row.noise_level == pytest.approx(13 / 255, rel=0.03)
