"""Training pairs: honest (noise independent of the target), replayable, and told the same things as at inference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.data import samples
from MRIDenoiseLib.data.manifest import CleanVolume, ManifestRow, manifest_acquisition
from MRIDenoiseLib.data.samples import LONE_PAIR, LONE_SLICE, PairSampler
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.vocabulary import WORDS
from MRIDenoiseLib.simulation.slabs import TARGETS, simulated_slab
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
    assert batch.measured.shape == (5, 5, 64, 64) and batch.clean.shape == batch.body.shape == (5, 1, 64, 64)
    assert batch.noise_level.shape == batch.acceleration.shape == batch.slice_spacing.shape == (5,)
    assert (batch.noise_level > 0).all() and ((batch.acceleration >= 1.5) & (batch.acceleration <= 3)).all()
    assert all(word in WORDS for prompt in batch.prompts for word in prompt.split())
    assert batch.clean.min() >= -1 - 1e-6, "no intensity below zero"


def test_the_noise_level_told_is_about_the_noise_there_is(volumes):
    batch = PairSampler(volumes, 64, seed=1).batch(0, 24)
    inside = batch.body.bool()
    errors = [(batch.measured[i, 2:3] - batch.clean[i])[inside[i]].std() for i in range(24) if inside[i].sum() > 500]
    told = [batch.noise_level[i] for i in range(24) if inside[i].sum() > 500]
    ratio = torch.stack(told) / torch.stack(errors)
    # Faint noise in coarse views is told too high, as it is at inference: anatomy fills all of k-space there.
    assert 0.8 < float(ratio.median()) < 1.5 and float(ratio.min()) > 0.7


def test_batches_of_one_group_are_other_slices_of_the_same_acquisitions_and_need_no_order(volumes):
    """Whether a run goes on in the middle of a group, or asked for more pairs before, changes nothing."""
    sampler = PairSampler(volumes, 64, seed=3)
    grown = [sampler.batch(TARGETS, 2), sampler.batch(TARGETS + 1, 4), sampler.batch(TARGETS + 2, 3)]
    assert torch.equal(grown[2].measured, PairSampler(volumes, 64, seed=3).batch(TARGETS + 2, 3).measured)
    assert torch.equal(grown[1].measured, PairSampler(volumes, 64, seed=3).batch(TARGETS + 1, 4).measured)
    assert torch.equal(grown[0].acceleration, grown[1].acceleration[:2])
    assert not torch.equal(grown[0].clean, grown[1].clean[:2])


def test_a_group_is_simulated_once(volumes, monkeypatch):
    acquired = []
    monkeypatch.setattr(samples, "simulated_slab", lambda *given: acquired.append(1) or simulated_slab(*given))
    sampler = PairSampler(volumes, 64, seed=1)
    for index in range(2 * TARGETS):
        sampler.batch(index, 4)
    assert 2 * 4 <= len(acquired) <= 2 * 4 + 3, "a few places hold too little body and are drawn again"


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


def test_slices_that_a_volume_lacks_at_its_ends_are_the_nearest_noise_and_all(volumes, monkeypatch):
    monkeypatch.setattr(samples, "seldom_all_neighbours", lambda noisy, generator: noisy)
    kinds = set()
    ends = [replace(volume, slices=volume.slices[:3], body=volume.body[:3]) for volume in volumes]
    for index in range(TARGETS):
        for measured in PairSampler(ends, 64, seed=0).batch(index, 8).measured:
            kinds.add(tuple(same(measured[k], measured[k + 1]) for k in range(4)))
    first, middle, last = (True, True, False, False), (True, False, False, True), (False, False, True, True)
    assert kinds == {first, middle, last}


def test_neighbours_are_dropped_all_or_all_but_the_nearest(volumes):
    drawn = [PairSampler(volumes, 64, seed=7).batch(index, 20).measured for index in range(2 * TARGETS)]
    measured = torch.cat(drawn)
    alike = [tuple(same(one[k], one[k + 1]) for k in range(4)) for one in measured]
    lone, pair, all_there = alike.count((True,) * 4), alike.count((True, False, False, True)), alike.count((False,) * 4)
    assert lone / len(alike) == pytest.approx(LONE_SLICE, abs=0.1)
    assert pair / len(alike) > LONE_PAIR - 0.1 and all_there > len(alike) / 5


def test_a_view_of_a_volume_with_noise_of_its_own_is_coarser(volumes, monkeypatch):
    """Fine stripes in one slice, as if they were noise: made twice as coarse, they are gone."""
    stripes = np.where(np.arange(96) % 2 == 0, 0.7, 0.3).astype(np.float32)
    slices = np.broadcast_to(stripes, volumes[0].slices.shape).copy()
    noisy = replace(volumes[0], slices=slices, body=np.ones(slices.shape, bool))
    monkeypatch.setattr(samples, "simulated_slab", lambda clean, *_: seen.append(float(clean[:, 16:48, 16:48].std())))
    for coarsening in (1.0, 2.0):
        seen = []
        with pytest.raises(InputError):
            PairSampler([replace(noisy, coarsening=coarsening)], 64, seed=0).batch(0, 1)
        assert max(seen) > 0.1 if coarsening == 1 else max(seen) < 0.02
