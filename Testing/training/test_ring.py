"""The ring: which pairs are in it at which call, and that a pair drawn from it is still the same pair."""

from collections import Counter

import pytest
import torch
from training_cases import QuickBatches

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.training import batches as ring
from MRIDenoiseLib.training.batches import Ring, has_ring, reused

CPU = torch.device("cpu")


class Numbered:
    """Batches of two pairs whose acceleration tells which batch they are of."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def batch(self, index: int, batch_size: int) -> Batch:
        self.made.append(index)
        image = torch.zeros(batch_size, 1, 8, 8)
        number = torch.full((batch_size,), float(index))
        return Batch(image.expand(-1, 5, -1, -1), image, image, number + 1, number, number, [f"batch {index}"] * batch_size)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(ring, "LEAST_PAIRS", 6)
    monkeypatch.setattr(ring, "MOST_PAIRS", 10)


def drawn(first: int, last: int, source: Numbered | None = None) -> list[Batch]:
    return list(reused(source or Numbered(), 2, first, last, 3, 5, CPU, 0))


def test_a_new_batch_comes_every_so_many_calls_and_takes_the_place_of_the_oldest():
    source = Numbered()
    seen = [set(batch.acceleration.int().tolist()) for batch in drawn(0, 60, source)]
    assert source.made == list(range(3 + 59 // 3)), "three at the start, then one every three calls"
    for number, batches in enumerate(seen):
        newest = 3 + number // 3
        assert all(newest - 5 <= batch < newest for batch in batches)
    often = Counter(number for batches in seen for number in batches)
    assert len(often) > 15, "nearly all that were made were seen"


def test_what_is_drawn_follows_from_the_number_of_the_call():
    whole, resumed = drawn(0, 40)[31:], drawn(31, 40)
    assert [batch.prompts for batch in whole] == [batch.prompts for batch in resumed]
    assert all(torch.equal(a.noise_level, b.noise_level) for a, b in zip(whole, resumed, strict=True))
    source = Numbered()
    drawn(31, 40, source)
    assert source.made[0] == 3 + 31 // 3 - 5, "a run that goes on simulates again no more than the ring holds"


def test_a_drawn_pair_is_mirrored_and_brightened_as_a_whole():
    quick = QuickBatches(16).batch(0, 4)
    own = Ring(1, CPU)
    own.put(0, quick)
    batch = own.draw(200, range(1), torch.Generator().manual_seed(0))
    noise = batch.measured[:, 1:2] - batch.clean
    level = noise.square().mean(dim=(1, 2, 3)).sqrt()
    assert torch.allclose(level / batch.noise_level, torch.ones(200), rtol=0.15), "the noise grows with the brightness"
    inside = batch.body.bool()
    assert float(batch.clean[inside].min()) > float(batch.clean[~inside].max()) - 0.2, "the body lies on its slice"
    assert len({round(float(value), 4) for value in batch.noise_level}) > 100, "a brightness of its own each time"
    ends = {bool((one[0] - one[1]).abs().sum() < (one[2] - one[1]).abs().sum()) for one in batch.measured}
    assert ends == {True, False} and set(batch.prompts) == set(quick.prompts)


def test_without_a_gpu_there_is_no_ring():
    assert not has_ring(CPU) and has_ring(torch.device("cuda"))
