"""Pairs by number: the same ones for a stream of any number of worker processes, from any place on."""

import torch
from training_cases import QuickBatches

from MRIDenoiseLib.training.batches import MOST_WORKERS, stream, workers_for


def test_worker_processes_give_the_same_batches_in_the_same_order():
    plain, ahead = ([b.measured for b in stream(QuickBatches(16), 2, 3, 9, workers)] for workers in (0, 2))
    assert len(plain) == 6
    assert all(torch.equal(one, other) for one, other in zip(plain, ahead, strict=True))
    assert torch.equal(plain[1], QuickBatches(16).batch(4, 2).measured)


def test_a_batch_that_a_worker_made_is_whole():
    made = next(stream(QuickBatches(16), 2, 0, 1, 1))
    assert made.prompts == QuickBatches(16).batch(0, 2).prompts
    assert torch.equal(made.noise_level, QuickBatches(16).batch(0, 2).noise_level)


def test_a_processor_feeds_itself_and_a_gpu_is_fed_by_the_cores_left_over(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert workers_for(torch.device("cpu")) == 0
    assert workers_for(torch.device("cuda")) == 15
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert workers_for(torch.device("cuda")) == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(128)), raising=False)
    assert workers_for(torch.device("cuda")) == MOST_WORKERS
