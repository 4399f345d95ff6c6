"""Training pairs: honest (noise independent of the target), replayable, and told the same things as at inference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.prompt.vocabulary import WORDS
from MRIDenoiseLib.training.samples import PairSampler, random_acquisition
from MRIDenoiseLib.training.volumes import CleanVolume, ManifestRow, manifest_acquisition
from MRIDenoiseLib.volume import Acquisition


@pytest.fixture(scope="module")
def volumes() -> list[CleanVolume]:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    slices = np.stack([np.where(np.hypot(x, y) < 0.8, 0.6 + 0.3 * np.sin(9 * x + 0.2 * k), 0.0) for k in range(6)]).astype(np.float32)
    rows = [ManifestRow(f"v{k}.nii", "made here", "none", organ, "T1w", "Siemens", f"s{k}") for k, organ in enumerate(("head", "knee"))]
    return [CleanVolume(slices, slices > 0.1, 3.0, manifest_acquisition(row, Acquisition()), row) for row in rows]


def test_the_same_seed_and_position_give_the_same_batch(volumes):
    first, second = (PairSampler(volumes, 64, seed=4).batch(9, 3) for _ in range(2))
    assert torch.equal(first.measured, second.measured) and first.prompts == second.prompts
    assert not torch.equal(first.measured, PairSampler(volumes, 64, seed=4).batch(10, 3).measured)


def test_a_batch_has_the_shapes_and_the_words_it_promises(volumes):
    batch = PairSampler(volumes, 64, seed=0).batch(0, 5)
    assert batch.measured.shape == (5, 3, 64, 64) and batch.clean.shape == batch.body.shape == (5, 1, 64, 64)
    assert batch.noise_level.shape == batch.acceleration.shape == batch.slice_spacing.shape == (5,)
    assert (batch.noise_level > 0).all() and ((batch.acceleration >= 1.5) & (batch.acceleration <= 3)).all()
    assert all(word in WORDS for prompt in batch.prompts for word in prompt.split())
    assert batch.clean.min() >= -1 - 1e-6, "no intensity below zero"


def test_the_noise_level_told_is_about_the_noise_there_is(volumes):
    batch = PairSampler(volumes, 64, seed=1).batch(0, 24)
    inside = batch.body.bool()
    errors = [(batch.measured[i, 1:2] - batch.clean[i])[inside[i]].std() for i in range(24) if inside[i].sum() > 500]
    told = [batch.noise_level[i] for i in range(24) if inside[i].sum() > 500]
    ratio = torch.stack(told) / torch.stack(errors)
    # Faint noise in coarse views is told too high, as it is at inference: anatomy fills all of k-space there.
    assert 0.8 < float(ratio.median()) < 1.5 and float(ratio.min()) > 0.7


def test_at_the_ends_of_a_volume_the_slice_is_its_own_neighbour_with_the_same_noise(volumes):
    ends = [replace(volume, slices=volume.slices[:2], body=volume.body[:2]) for volume in volumes]
    measured = PairSampler(ends, 64, seed=0).batch(0, 16).measured
    alike = torch.stack([(measured[:, k] == measured[:, 1]).flatten(1).all(dim=1) for k in (0, 2)])
    assert alike.any(dim=0).all(), "of two slices each lacks a neighbour"
    assert 0 < alike.all(dim=0).sum() < 16 and alike[0].sum() < 16 and alike[1].sum() < 16, "the other one has noise of its own"


def test_acquisitions_are_varied_widely():
    generator = torch.Generator().manual_seed(0)
    drawn = [random_acquisition(generator) for _ in range(300)]
    sigmas = [a for a in drawn if isinstance(a, float)]
    machines = [a for a in drawn if not isinstance(a, float)]
    assert 0.1 < len(sigmas) / 300 < 0.3
    assert max(sigmas) / min(sigmas) > 8
    assert {1.0, 1.5, 2.0, 3.0} <= {m.reduction for m in machines} and len({m.apodisation for m in machines}) >= 5
