"""One worker process as its client holds it: started, written to and read from without ever waiting, and ended with all it has started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from MRIDenoiseLib.card import ROOT
from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.worker.exchange import make_exchange, remove_exchange
from MRIDenoiseLib.worker.process_tree import end_trees, is_running, process_of

if TYPE_CHECKING:
    import psutil

GOODBYE = 0.5
"""Seconds a process gets to leave by itself."""
STDERR = "stderr.txt"


class WorkerError(MRIDenoiseError):
    """The worker cannot be started, or is busy with another job."""


class WorkerProcess:
    """A worker that was started.

    Args:
        command: what runs Python.
        environment: variables for it.

    Attributes:
        folder: where arrays are exchanged.

    Raises:
        WorkerError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self.folder = make_exchange()
        except OSError as error:
            raise WorkerError(f"there is no room in the folder for temporary files ({error.strerror})") from error
        # Safe: what lies in the folder that Slicer was started in must not be imported.
        variables = {**environment, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
        try:
            with (self.folder / STDERR).open("wb") as complaints:
                self._process = subprocess.Popen(
                    [*command, "-m", "MRIDenoiseLib.worker", str(self.folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    bufsize=0,
                    env=variables,
                    cwd=self.folder,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            remove_exchange(self.folder)
            raise WorkerError(f"the worker cannot be started: {error.strerror or error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        for pipe in (self._input, self._output):
            os.set_blocking(pipe.fileno(), False)
        self._members: list[psutil.Process] = []
        self.add_member(self._process.pid)
        self._unread = self._unsent = b""

    @property
    def pids(self) -> list[int]:
        """Numbers of the process that was started and, behind a launcher, of the worker itself."""
        return [member.pid for member in self._members]

    @property
    def ended(self) -> bool:
        """Whether it has ended, and all it wrote before is there to be read."""
        return self._process.poll() is not None

    @property
    def running(self) -> bool:
        """Whether it still does anything; see :func:`.process_tree.is_running`."""
        return is_running(self._process.pid)

    def add_member(self, pid: int) -> None:
        """Note a process that ends with this one; behind a launcher the worker is another than was started."""
        member = process_of(pid)
        if member is not None and member not in self._members:
            self._members.append(member)

    def send(self, line: bytes) -> None:
        """Write a line: what the pipe takes now, the rest with the next :meth:`send` or :meth:`receive`."""
        self._unsent += line
        self._flush()

    def receive(self) -> list[bytes]:
        """The whole lines that have come since the last time."""
        self._flush()
        while piece := self._output.read(1 << 16):
            self._unread += piece
        *lines, self._unread = self._unread.split(b"\n")
        return lines

    def last_words(self) -> str:
        """The last line of its standard error; empty where there is none."""
        try:
            lines = (self.folder / STDERR).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def wait_a_little(self) -> None:
        """Let it leave by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GOODBYE)

    def end(self) -> None:
        """End it with all it has started, and remove the arrays as far as the system lets them go."""
        end_trees(self._members)
        for pipe in (self._input, self._output):
            with suppress(OSError):
                pipe.close()
        self.wait_a_little()
        remove_exchange(self.folder)

    def _flush(self) -> None:
        while self._unsent:
            try:
                written = self._input.write(self._unsent)
            except OSError:
                return  # its reader has gone: `ended` shows it
            if not written:
                return
            self._unsent = self._unsent[written:]
