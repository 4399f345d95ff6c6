"""Counting, timing and telling: operations against known formulas, rows in real child processes, marks where an image changed."""

import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from MRIDenoiseLib.errors import Cancelled, MRIDenoiseError
from MRIDenoiseLib.evaluation.speed import table
from MRIDenoiseLib.evaluation.speed.machine import Limits, facts, limits_of
from MRIDenoiseLib.evaluation.speed.measure import measure, work_of
from MRIDenoiseLib.evaluation.speed.networks import network_costs
from MRIDenoiseLib.evaluation.speed.rows import CHANGE, METHODS, USUAL, Measured, Row, Times, ladder_rows, phantom, table_rows
from MRIDenoiseLib.evaluation.speed.table import run
from MRIDenoiseLib.evaluation.speed.usage import peak_memory
from MRIDenoiseLib.inference import SliceBatch

CPU = torch.device("cpu")
SMALL = {"threads": 1, "size": 64, "slices": 2, "repeats": 2}


def test_operations_and_bytes_of_a_convolution_are_those_of_its_formula():
    layer = nn.Conv2d(3, 5, 3, padding=1, bias=False).requires_grad_(False)
    image = torch.zeros(2, 3, 8, 8)
    work = work_of(lambda: layer(image))
    assert work.operations == 2 * 2 * 5 * 8 * 8 * 3 * 9
    assert work.traffic == 4 * (image.numel() + layer.weight.numel() + 2 * 5 * 8 * 8)


def test_looking_at_a_tensor_anew_moves_nothing_and_adding_moves_three():
    one = torch.zeros(100)
    assert work_of(lambda: one.view(10, 10).transpose(0, 1)).traffic == 0
    assert work_of(lambda: one + one).traffic == 3 * 400


def test_the_way_back_counts_too_also_through_autograd_grad():
    layer = nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)
    leaf = torch.zeros(1, 4, 8, 8, requires_grad=True)
    forward = work_of(lambda: layer(leaf)).operations
    assert work_of(lambda: torch.autograd.grad(layer(leaf).sum(), leaf)).operations == 2 * forward


def test_the_roofline_takes_what_holds_the_work_up():
    limits = Limits(operations=100.0, traffic=10.0)
    assert limits.seconds(1000, 10) == 10 and limits.bound_by(1000, 10) == "operations"
    assert limits.seconds(10, 1000) == 100 and limits.bound_by(10, 1000) == "memory"


def test_the_machines_limits_are_measured_and_lie_within_what_machines_can_do():
    limits = limits_of(CPU, torch.float32, threads=1)
    assert 1e9 < limits.operations < 1e14 and 1e8 < limits.traffic < 1e13
    assert facts(CPU, 1)["PyTorch"] == torch.__version__


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="only on x86 can oneDNN be told to use fewer instructions")
def test_a_processor_without_instructions_for_bfloat16_is_found_out():
    code = "from MRIDenoiseLib.evaluation.speed.machine import fast_bfloat16; print(fast_bfloat16(1))"

    def found(**environment: str) -> bool:
        answer = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
        return answer.stdout.strip() == "True"

    assert not found(ONEDNN_MAX_CPU_ISA="AVX2")
    known = Path("/proc/cpuinfo")
    if known.exists():
        assert found() == any(flag in known.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def test_median_and_p95():
    times = Times(tuple(range(1, 102)))
    assert times.median == 51 and times.p95 == 96
    assert math.isnan(Times(()).median)


def test_what_was_measured_survives_the_way_between_processes():
    one = Measured(first=1.0, slice=Times((1.0, 2.0)), psnr=math.nan, notes=("a",))
    text = json.dumps({name: None if isinstance(value, float) and math.isnan(value) else value for name, value in one.as_json().items()})
    back = Measured.from_json(json.loads(text))
    assert back.slice.seconds == (1.0, 2.0) and back.notes == ("a",) and math.isnan(back.psnr) and math.isnan(back.operations)


def test_the_phantom_fills_the_view_and_its_slices_are_the_first_axis():
    volume = phantom(64, 3, seed=0)
    assert volume.voxels.shape == (3, 64, 64) and volume.slice_axis == 0
    assert (volume.voxels != phantom(64, 3, seed=1).voxels).mean() > 0.9


def test_the_peak_is_this_processes_own_and_not_that_of_the_one_that_started_it():
    hoard = bytearray(os.urandom(1)) * (600 * 2**20)
    code = "from MRIDenoiseLib.evaluation.speed.usage import peak_memory; b = b'1' * (50 * 2**20); print(peak_memory())"
    child = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert peak_memory() > 600 and 50 < child < 300
    assert hoard


# Rows ------------------------------------------------------------------------------------------------------------------------------


def test_every_step_of_the_ladder_changes_one_thing_and_the_last_is_what_users_have():
    rows = ladder_rows(Row(title="", bundle="x"), "fidelity-guided", "bfloat16", 4, compiled=True)
    assert len(rows) > 4
    for before, after in zip(rows, rows[1:], strict=False):
        changed = {field.name for field in fields(Row) if getattr(before, field.name) != getattr(after, field.name)}
        assert len(changed - {"title"}) == 1
    usual = Row(title="", bundle="x")
    for name in ("channels_last", "inference_mode", "cropped", "text_cached"):
        assert getattr(rows[-1], name) == getattr(usual, name) and getattr(rows[0], name) != getattr(usual, name)


def test_a_table_has_every_method_in_every_format_and_batch_and_peers_once():
    rows = table_rows(Row(title=""), ["default", "ddim"], ["float32", "bfloat16"], [1, 4], peers=True)
    assert len(rows) == 2 * 2 * 2 + 2 and len({(row.title, row.precision, row.batch, row.peer) for row in rows}) == len(rows)


def test_a_row_counts_the_operations_of_its_networks(tiny_bundle):
    row = Row(title="guided", settings={"method": "fidelity-guided", "steps": 3}, bundle=str(tiny_bundle), **SMALL)
    one = measure(row)
    costs = {cost.part: cost for cost in network_costs("tiny", 64)}
    expected = 3 * (costs["denoiser"].operations + costs["degradation"].with_gradient)
    assert one.operations == pytest.approx(expected, rel=0.02)
    assert len(one.slice.seconds) == len(one.with_transfer.seconds) == 2 and one.slice.median > 0
    assert one.volume.median > 2 * 0.5 * one.slice.median and one.psnr > 5


def test_switching_everything_off_gives_the_same_image(tiny_bundle):
    base = Row(title="", bundle=str(tiny_bundle), **SMALL)
    first, *_, last = ladder_rows(base, "posterior-mean", "float32", 2, compiled=False)
    # Timed on the small phantom, judged on the sample head as always.
    slow, fast = (measure(replace(row, head=False)) for row in (first, last))
    # Random networks see other pixels at the border where nothing is cropped.
    assert slow.psnr == pytest.approx(fast.psnr, abs=0.2)


def test_a_batch_that_stays_on_the_device_is_brought_there_once(tiny_bundle, monkeypatch):
    brought = []
    stacks = SliceBatch.stacks
    monkeypatch.setattr(SliceBatch, "stacks", lambda batch, count: brought.append(type(batch)) or stacks(batch, count))
    for switches in ({}, {"cropped": False}):
        brought.clear()
        measure(Row(title="", settings=METHODS["regression"], bundle=str(tiny_bundle), volumes=0, **SMALL, **switches))
        own = [kind for kind in brought if kind is not SliceBatch]
        # Once as users have it; counting the operations does so as well where the row itself does not crop.
        assert len(own) == (1 if not switches else 2), "first, counted, and every repeat took what was there"


@pytest.mark.parametrize("switches", [{}, {"batch": 2}])
def test_a_row_without_the_memory_for_its_batch_is_a_sentence(tiny_bundle, monkeypatch, switches):
    def full(self, batch, **options):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("MRIDenoiseLib.evaluation.speed.measure._Trial._as_configured", full)
    with pytest.raises(MRIDenoiseError, match="not enough memory"):
        measure(Row(title="", settings=METHODS["regression"], bundle=str(tiny_bundle), **SMALL, **switches))


def test_every_usual_method_can_be_timed_with_random_weights():
    for method in USUAL:
        assert measure(Row(title="", settings=METHODS[method], config="tiny", volumes=0, **SMALL)).slice.median > 0


def test_networks_with_random_weights_are_timed_and_not_judged():
    one = measure(Row(title="", settings=METHODS["posterior-mean"], config="tiny", **SMALL))
    assert one.slice.median > 0 and math.isnan(one.psnr)


def test_a_row_that_fails_is_told_of_in_a_sentence_and_the_others_go_on(tmp_path, tiny_bundle):
    rows = [
        Row(title="no model", bundle=str(tmp_path / "nothing"), **SMALL),
        Row(title="fine", settings=METHODS["posterior-mean"], bundle=str(tiny_bundle), **SMALL),
    ]
    told = []
    found = run(rows, failed=lambda row, why: told.append((row.title, why)))
    ((row, one),) = found
    assert row.title == "fine" and one.slice.median > 0 and 100 < one.memory < 4000
    assert told[0][0] == "no model" and "\n" not in told[0][1] and "Traceback" not in told[0][1]


def test_rounds_go_through_all_rows_again_but_for_those_that_failed(tmp_path, tiny_bundle, monkeypatch):
    # In this process: that each row has one of its own is for the test before.
    monkeypatch.setattr(table, "_in_child", lambda row, should_stop: measure(row))
    rows = [
        Row(title="no model", bundle=str(tmp_path / "nothing"), **SMALL),
        Row(title="one", settings=METHODS["posterior-mean"], bundle=str(tiny_bundle), volumes=0, **SMALL),
        Row(title="two", settings=METHODS["regression"], bundle=str(tiny_bundle), volumes=1, **SMALL),
    ]
    told, order = [], []
    found = run(rows, lambda fraction, left, message: order.append((fraction, message)), failed=lambda row, why: told.append(why), rounds=2)
    assert [message.split()[-1] for _, message in order] == ["model", "one", "two", "one", "two"]
    assert [fraction for fraction, _ in order] == sorted(fraction for fraction, _ in order)
    assert len(told) == 1
    assert [(row.title, len(one.slice.seconds), len(one.volume.seconds)) for row, one in found] == [("one", 4, 0), ("two", 4, 2)]


def test_rounds_become_one_line_with_all_times_and_the_most_memory():
    rounds = [
        Measured(first=3.0, slice=Times((1.0, 2.0)), memory=10.0, psnr=30.0, notes=("a",)),
        Measured(first=5.0, slice=Times((3.0,)), memory=20.0, psnr=30.0, notes=("a", "b")),
    ]
    one = Measured.of_rounds(rounds)
    assert one.first == 4 and one.slice.seconds == [1, 2, 3] and one.memory == 20 and one.psnr == 30 and one.notes == ("a", "b")


def test_a_stop_ends_the_row_in_progress_at_once(tiny_bundle):
    row = Row(title="", settings={"method": "fidelity-guided", "steps": 500}, bundle=str(tiny_bundle), **SMALL)
    asked = threading.Event()
    threading.Timer(1.0, asked.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run([row], should_stop=asked.is_set)
    assert time.monotonic() - began < 10


# Tables ----------------------------------------------------------------------------------------------------------------------------


def test_a_change_beyond_the_gate_is_marked_and_counted_from_the_first_row_of_the_method():
    row = Row(title="a", settings={"method": "ddim"})
    other = replace(row, settings={"method": "regression"})
    found = [(other, Measured(psnr=20.0)), (row, Measured(psnr=30.0)), (row, Measured(psnr=30.0 - 1.5 * CHANGE))]
    assert [round(table.change_of(*pair, found), 4) for pair in found] == [0, 0, -0.03]
    assert render(table.speed_table(found, {})).count("!") == 1


def test_the_ratio_to_a_peer_is_of_whole_volumes_a_slice():
    ours = Row(title="ours", slices=10), Measured(slice=Times((0.1,)), volume=Times((2.0,)))
    peer = Row(title="BM4D", peer="BM4D", slices=10), Measured(slice=Times((8.0,)), volume=Times((80.0,)))
    assert "40 x" in render(table.volume_table([ours, peer]))


def render(what) -> str:
    from rich.console import Console

    console = Console(width=250, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(what)
    return console.export_text()
