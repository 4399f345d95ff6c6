"""The worker's loop around the jobs."""

import io
import threading

import pytest

from MRIDenoiseLib.worker import server
from MRIDenoiseLib.worker.protocol import Load
from MRIDenoiseLib.worker.server import Server


class Prepared:
    """Jobs that only note when they are to prepare themselves."""

    def __init__(self, error: Exception | None = None) -> None:
        self.times = 0
        self._error = error

    def prepare(self) -> None:
        self.times += 1
        if self._error:
            raise self._error


def asked_after(seconds: float, jobs: Prepared, folder) -> Load:
    """What the loop does next when a request comes so late."""
    loop = Server(io.BytesIO(), io.BytesIO(), folder)
    job = Load(1, None, "cpu")
    threading.Timer(seconds, loop._waiting.put, [job]).start()
    assert loop._next(jobs) is job
    return job


def test_nothing_is_prepared_while_requests_follow_each_other(tmp_path):
    jobs = Prepared()
    asked_after(0.0, jobs, tmp_path)
    assert jobs.times == 0


@pytest.mark.parametrize("error", [None, ImportError("a broken library")])
def test_what_is_prepared_while_idle_may_fail_and_the_next_request_is_done_all_the_same(tmp_path, monkeypatch, capfd, error):
    monkeypatch.setattr(server, "SECONDS_UNTIL_IDLE", 0.05)
    jobs = Prepared(error)
    asked_after(0.4, jobs, tmp_path)
    assert jobs.times == 1
    assert ("a broken library" in capfd.readouterr().err) == bool(error)
