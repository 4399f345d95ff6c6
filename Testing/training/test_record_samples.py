"""Pairs drawn from records: what the networks see at inference, the same cut for noisy and clean, only what may be trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pair_files import body, record, rician

from MRIDenoiseLib.data.records import Record, RecordStore, RecordWriter, record_acquisition
from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.prompt.vocabulary import WORDS
from MRIDenoiseLib.training.record_samples import MixedSampler, RecordSampler

SIZE = 96
SCALE, LEVEL = 800.0, 40.0


def store(folder: Path, *records: Record) -> RecordStore:
    writer = RecordWriter(folder)
    for each in records:
        writer.add(each)
    writer.finish()
    return RecordStore(folder)


def made(seed: int = 0, **changes) -> Record:
    clean = body(5, SIZE, seed)
    return record(rician(clean, LEVEL, seed), clean, scale=SCALE, noise_level=LEVEL, **changes)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RecordStore:
    return store(tmp_path_factory.mktemp("pairs") / "a", made(0), made(1, organ="head", contrast="T2w", acceleration=7.0))


def test_the_same_seed_and_position_give_the_same_batch(real: RecordStore) -> None:
    first, second = (RecordSampler([real], 64, seed=4).batch(9, 3) for _ in range(2))
    assert torch.equal(first.measured, second.measured) and first.prompts == second.prompts
    assert not torch.equal(first.measured, RecordSampler([real], 64, seed=4).batch(10, 3).measured)


def test_intensities_are_those_of_the_record_in_network_units(real: RecordStore) -> None:
    # Crops as large as the image are its slices, turned and mirrored.
    batch = RecordSampler([real], SIZE, seed=0).batch(0, 12)
    possible = [np.sort(2 * one.clean[z].ravel() / SCALE - 1) for one in real for z in range(5)]
    assert len(batch.clean) == 12
    for clean in batch.clean:
        values = np.sort(clean.numpy().ravel())
        assert min(np.abs(values - other).max() for other in possible) < 1e-5


def test_noisy_clean_and_body_are_cut_and_turned_alike(real: RecordStore) -> None:
    batch = RecordSampler([real], 64, seed=1).batch(0, 16)
    assert batch.measured.shape == (16, 5, 64, 64) and batch.clean.shape == batch.body.shape == (16, 1, 64, 64)
    inside = batch.body.bool()
    difference = (batch.measured[:, 2:3] - batch.clean)[inside]
    assert float(difference.std()) < 1.3 * 2 * LEVEL / SCALE, "no more than the noise"
    assert set(batch.body.unique().tolist()) <= {0.0, 1.0}
    assert float(batch.clean[inside].mean()) > 0 > float(batch.clean[~inside].mean())


def test_the_neighbours_are_the_slices_beside_it_or_the_slice_itself(tmp_path: Path) -> None:
    clean = body(5, SIZE) * np.arange(1, 6, dtype=np.float32)[:, None, None]
    batch = RecordSampler([store(tmp_path / "a", record(clean, clean, scale=SCALE, noise_level=1.0))], SIZE, seed=0).batch(0, 40)
    seen = set()
    for pair, centre in zip(batch.measured, batch.clean, strict=True):
        places = [(slice_ + 1).max() / 2 * SCALE / body(5, SIZE).max() for slice_ in pair]
        assert torch.equal(pair[2:3], centre)
        seen.add(tuple(round(float(place - places[2])) for place in places))
    whole, alone, nearest = (-2, -1, 0, 1, 2), (0, 0, 0, 0, 0), (-1, -1, 0, 1, 1)
    assert {whole, whole[::-1], alone, nearest, nearest[::-1]} <= seen
    assert all(abs(b - a) <= 1 for offsets in seen for a, b in zip(offsets[:-1], offsets[1:], strict=True))


def test_the_noise_level_told_is_about_the_noise_there_is(real: RecordStore) -> None:
    batch = RecordSampler([real], SIZE, seed=2).batch(0, 16)
    assert float(batch.noise_level.median()) == pytest.approx(2 * LEVEL / SCALE, rel=0.35)


def test_where_a_crop_is_too_small_to_tell_the_noise_the_volumes_counts(tmp_path: Path) -> None:
    clean = np.zeros((5, 40, 40), np.float32)
    clean[:, 15:25, 15:25] = 500
    few = record(rician(clean, 5, 0), clean, scale=500.0, noise_level=7.0)
    batch = RecordSampler([store(tmp_path / "a", few)], 40, seed=0).batch(0, 4)
    assert torch.allclose(batch.noise_level, torch.tensor(2 * 7.0 / 500))


def test_prompts_are_of_the_vocabulary_and_say_what_the_record_is(real: RecordStore) -> None:
    batch = RecordSampler([real], 64, seed=0).batch(0, 60)
    assert all(word in WORDS for prompt in batch.prompts for word in prompt.split())
    assert {"ge knee pd plain sag 2x", "ge head t2 plain sag 3x"} <= set(batch.prompts)
    assert any("unknown" in prompt for prompt in batch.prompts), "fields are dropped now and then"
    assert set(batch.acceleration.tolist()) == {2.0, 3.0} and set(batch.slice_spacing.tolist()) == {4.0}


def test_what_a_record_does_not_tell_stays_unknown() -> None:
    acquisition = record_acquisition(record(vendor="", field_strength=None, acceleration=1.2).meta)
    assert acquisition.vendor.value is None and acquisition.field_strength.value is None and acquisition.acceleration.value == 1.5


def test_only_the_split_asked_for_is_drawn_and_no_reference_that_holds_the_noise(tmp_path: Path) -> None:
    several = store(tmp_path / "a", made(0, split="test", organ="head"), made(1, gt_kind="inclusive", organ="breast"), made(2))
    assert all("knee" in prompt or "unknown" in prompt.split()[1] for prompt in RecordSampler([several], 64, 0).batch(0, 20).prompts)
    assert any("head" in prompt for prompt in RecordSampler([several], 64, 0, split="test").batch(0, 9).prompts)
    with pytest.raises(InputError, match="none of the validation split"):
        RecordSampler([several], 64, 0, split="validation")


def test_several_stores_are_drawn_from_alike(tmp_path: Path, real: RecordStore) -> None:
    other = store(tmp_path / "b", made(3, organ="shoulder"))
    prompts = RecordSampler([real, other], 64, 0).batch(0, 60).prompts
    assert sum("shoulder" in prompt for prompt in prompts) > 8


class Marked:
    """Batches whose values say where they come from and which pair of the batch they were."""

    def __init__(self, value: float) -> None:
        self.value = value

    def batch(self, index: int, batch_size: int) -> Batch:
        number = self.value + index + torch.arange(batch_size) / 100
        image = number.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
        return Batch(image.expand(-1, 3, -1, -1), image, image, number, number, number, [f"{value:.2f}" for value in number.tolist()])


def test_real_and_simulated_pairs_are_mixed_in_the_share_asked_for_and_in_random_order() -> None:
    sampler = MixedSampler(Marked(1000), Marked(2000), 0.25, seed=0)
    batches = [sampler.batch(index, 8) for index in range(200)]
    real = torch.stack([batch.noise_level < 2000 for batch in batches]).float()
    assert float(real.mean()) == pytest.approx(0.25, abs=0.04)
    assert real.mean(0) == pytest.approx(torch.full((8,), 0.25), abs=0.1), "at every place of the batch"
    assert len({float(row.sum()) for row in real}) > 2
    for index, batch in enumerate(batches[:20]):
        assert [float(prompt) for prompt in batch.prompts] == pytest.approx(batch.noise_level.tolist(), abs=0.006)
        assert torch.equal(batch.clean[:, 0, 0, 0], batch.noise_level) and batch.measured.shape == (8, 3, 4, 4)
        assert batch.noise_level.unique().numel() == 8 and ((batch.noise_level - index) % 1000 < 0.1).all()
    again = MixedSampler(Marked(1000), Marked(2000), 0.25, seed=0).batch(7, 8)
    assert torch.equal(again.noise_level, batches[7].noise_level)


@pytest.mark.parametrize(("share", "value"), [(0.0, 2000), (1.0, 1000)])
def test_a_share_of_none_or_all_draws_from_one_side_only(share: float, value: int) -> None:
    found = MixedSampler(Marked(1000), Marked(2000), share, seed=0).batch(0, 8).noise_level
    assert ((found >= value) & (found < value + 1)).all()
