"""The worker: a process that does one job after the other, hears a cancel at any time, and ends with its owner."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import BinaryIO

from MRIDenoiseLib.errors import CANCELLED, FAULT, explain
from MRIDenoiseLib.worker.exchange import owner_lives, remove_exchange
from MRIDenoiseLib.worker.jobs import Job, Jobs
from MRIDenoiseLib.worker.process_tree import end_children
from MRIDenoiseLib.worker.protocol import (
    VERSION,
    Cancel,
    Event,
    Failed,
    Hello,
    Progress,
    ProtocolError,
    Shutdown,
    decode_request,
    encode,
)

SECONDS_BETWEEN_PROGRESS = 0.1
SECONDS_BETWEEN_LOOKS = 1.0
"""At the owner, which may have been killed."""
SECONDS_UNTIL_IDLE = 2.0
"""Without a job; what a later one may need is then prepared."""
FOR_A_FAULT = "try again, and report it if it happens again"


class Server:
    """Answers requests until its owner is gone.

    Args:
        requests: lines from the client.
        answers: lines to the client.
        folder: where arrays are exchanged; its owner is the client's process.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO, folder: Path) -> None:
        self._requests = requests
        self._answers = answers
        self._folder = folder
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._sending = threading.Lock()

    def serve(self) -> None:
        """Do jobs; never returns, because the process ends with its owner."""
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._watch_owner, daemon=True).start()
        self._send(Hello(VERSION, os.getpid()))
        jobs = Jobs(self._folder)
        while True:
            self._do(jobs, self._next(jobs))

    def _next(self, jobs: Jobs) -> Job:
        """The next job, with something prepared while there is no request."""
        try:
            return self._waiting.get(timeout=SECONDS_UNTIL_IDLE)
        except queue.Empty:
            try:
                jobs.prepare()
            except Exception:  # noqa: BLE001 - the job that needs it will report it; others do not
                traceback.print_exc()
        return self._waiting.get()

    def _do(self, jobs: Jobs, job: Job) -> None:
        reported = 0.0

        def progress(fraction: float, seconds_left: float | None, what: str) -> None:
            nonlocal reported
            now = time.monotonic()
            if now - reported >= SECONDS_BETWEEN_PROGRESS:
                reported = now
                self._send(Progress(job.job, fraction, seconds_left, what))

        def should_stop() -> bool:
            return job.job in self._cancelled

        try:
            line = encode(jobs.do(job, progress, should_stop))
        except Exception as error:  # noqa: BLE001 - the edge: here every error becomes one sentence
            status, sentence = explain(error, FOR_A_FAULT)
            line = encode(Failed(job.job, sentence, cancelled=status == CANCELLED, fault=status == FAULT))
            if status == FAULT:
                traceback.print_exc()
        self._write(line)

    def _listen(self) -> None:
        for line in self._requests:
            try:
                message = decode_request(line)
            except ProtocolError as error:
                self._send(Failed(None, explain(error, FOR_A_FAULT)[1], fault=True))
                continue
            if isinstance(message, Shutdown):
                break
            if isinstance(message, Cancel):
                self._cancelled.add(message.job)
            else:
                self._waiting.put(message)
        self._end()

    def _watch_owner(self) -> None:
        while owner_lives(self._folder):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._end()

    def _send(self, event: Event) -> None:
        self._write(encode(event))

    def _write(self, line: bytes) -> None:
        try:
            with self._sending:
                self._answers.write(line)
                self._answers.flush()
        except OSError:
            self._end()

    def _end(self) -> None:
        """Leave at once, whatever the main thread is computing: with every child process, and without the arrays.

        The owner needs no more of them: it has closed the connection, or has ended.
        """
        remove_exchange(self._folder)
        end_children()
        os._exit(0)


def main() -> None:
    """Serve over standard input and output; what libraries print goes to standard error instead."""
    warnings.simplefilter("ignore")
    # Read when transformers and diffusers are imported: only errors.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    # Ctrl-C in the terminal that started the owner reaches this process too, but it is the owner who decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    Server(sys.stdin.buffer, answers, Path(sys.argv[1])).serve()
