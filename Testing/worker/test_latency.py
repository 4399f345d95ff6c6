"""A window's user waits for the worker no longer than need be."""

import subprocess
import sys

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.speed.latency import import_seconds, preview_seconds, ready_seconds
from MRIDenoiseLib.volume import Volume

NEEDLESS = ("torch._dynamo", "transformers", "peft", "accelerate", "sympy", "scipy.stats", "SimpleITK")
"""What a worker can have its model ready without."""

LOAD = """
import sys
from pathlib import Path
from MRIDenoiseLib.worker.jobs import Jobs
from MRIDenoiseLib.worker.protocol import Load
jobs = Jobs(Path())
jobs.do(Load(1, sys.argv[1], "cpu"), lambda *_: None, lambda: False)
print("loaded", *(name for name in {needless!r} if name in sys.modules))
jobs.prepare()
print("prepared", "transformers" in sys.modules)
"""


def test_a_worker_has_its_model_ready_before_it_imports_what_only_other_work_needs(tiny_bundle):
    command = [sys.executable, "-c", LOAD.format(needless=NEEDLESS), str(tiny_bundle)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-2:] == ["loaded", "prepared True"]


@pytest.mark.slow
@pytest.mark.alone
def test_a_worker_is_ready_in_twice_the_time_that_torch_takes_to_import():
    # The processor's time of both: other programs on this machine change the clock's by far more than a slow start does.
    torch = min(import_seconds("torch", 1).processor for _ in range(3))
    ready = min(ready_seconds().processor for _ in range(2))
    assert ready < 2.5 * torch, "2 seconds more, where torch takes 1.3"


@pytest.mark.slow
@pytest.mark.alone
def test_a_second_preview_does_not_measure_the_volume_again():
    rng = np.random.default_rng(0)
    body = np.zeros((30, 256, 256), np.float32)
    # A small body: what is left is the work on the whole volume.
    body[:, 110:146, 110:146] = 500
    voxels = np.hypot(body + rng.normal(0, 30, body.shape), rng.normal(0, 30, body.shape)).astype(np.float32)
    first, *later = preview_seconds(Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0])), times=3, method="regression", samples=1)
    assert min(waited.processor for waited in later) < 0.5 * first.processor
    assert min(waited.processor for waited in later) < 3, "a slice of 30, on a slow processor"
