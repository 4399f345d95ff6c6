"""Cells on Dask workers: killed ones cost a new start, failed ones an entry, and a stopped run goes on."""

import os
import signal
import time

import psutil
import pytest

from MRIDenoiseLib.errors import Paused, SettingsError
from MRIDenoiseLib.evaluation.comparison.cells import run_cell
from MRIDenoiseLib.evaluation.comparison.engine import run_cells


@pytest.fixture
def cells(plan_of):
    """Sixteen cells of a fraction of a second each."""
    plan = plan_of(methods=["median", "curvature"], volumes=[{"subjects": ["s1", "s2"], "noises": ["R"]}])
    scored = [cell for cell in plan.scored(plan.choose({})) if cell.method != "limits"]
    return [type(cell)(**{**vars(cell), "seed": seed}) for seed in range(4) for cell in scored]


def workers() -> list[psutil.Process]:
    """The processes that a local cluster's nannies have started."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX signal")
def test_a_killed_worker_costs_its_cell_a_new_start_on_another(cells):
    done = {}
    for cell, outcome in run_cells(cells, jobs=2):
        if not done:
            victim = max(workers(), key=lambda process: process.cpu_times().user)
            victim.send_signal(signal.SIGKILL)
        done[cell.name] = outcome
    assert set(done) == {cell.name for cell in cells}
    assert not [outcome.error for outcome in done.values() if outcome.error]
    assert not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_cluster_that_runs_already_gives_the_same_results(cells):
    import distributed

    few = cells[:4]
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        there = dict((cell.name, outcome) for cell, outcome in run_cells(few, jobs=1, scheduler=cluster.scheduler_address))
    assert len(there) == len(few) == 4
    for cell in few:
        here = run_cell(cell)
        assert there[cell.name].figures == pytest.approx(here.figures, nan_ok=True) and not here.error


@pytest.mark.slow
@pytest.mark.alone
def test_told_to_stop_it_stops_soon_and_leaves_no_process(cells):
    stop = []
    began = None
    with pytest.raises(Paused, match="the same command resumes it"):
        for _ in run_cells(cells, jobs=2, should_stop=lambda: bool(stop)):
            if not stop:
                stop.append(True)
                began = time.monotonic()
    assert began is not None and time.monotonic() - began < 20
    assert not workers()


def test_a_scheduler_that_does_not_answer_is_said_so(cells):
    with pytest.raises(SettingsError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        list(run_cells(cells[:1], jobs=1, scheduler="tcp://127.0.0.1:1"))
