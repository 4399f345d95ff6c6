"""Python programs that start at once: one process imports the large libraries, and splits off another for every program. POSIX alone.

    with warm_python() as words:                                  # instead of [sys.executable]
        subprocess.run([*words, "-c", "import torch; ..."])       # or a file, and what follows it

Each program has a process, ``sys.argv``, a folder, variables, streams and an exit status of its own, as if it had been started afresh; only
the imports, which take ten times as long as most of what the tests let a program do, are there already.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

LIBRARY = str(Path(__file__).resolve().parents[2])
"""The folder of this very checkout's library."""
LARGE = (
    "MRIDenoiseLib.cli.app",
    "MRIDenoiseLib.evaluation.figures",
    "MRIDenoiseLib.inference",
    "MRIDenoiseLib.models.bundle.bundle",
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.schedulers.scheduling_ddim",
)


@contextmanager
def warm_python() -> Iterator[list[str]]:
    """The words with which a program is started, in place of the path of Python."""
    with tempfile.TemporaryDirectory() as folder:
        door = str(Path(folder) / "door")
        words, pipe = [sys.executable, __file__, "listen", door], subprocess.PIPE
        listens = subprocess.Popen(words, stdin=pipe, stdout=pipe, start_new_session=True, env=os.environ | {"PYTHONPATH": LIBRARY})
        try:
            assert listens.stdout is not None and listens.stdout.readline() == b"ready\n", "the large libraries could not be imported"
            # Neither site-packages nor variables: this program only hands on what it is told.
            yield [sys.executable, "-S", "-E", __file__, "start", door]
        finally:
            os.killpg(listens.pid, signal.SIGTERM)
            listens.wait()


def _start(door: str, words: list[str]) -> int:
    """Have a program run with this process's folder, variables and streams, and wait for its exit status."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(door)
        told = json.dumps({"words": words, "folder": str(Path.cwd()), "variables": dict(os.environ)}).encode()
        socket.send_fds(line, [len(told).to_bytes(8, "big")], [0, 1, 2])
        line.sendall(told)
        answer = line.recv(1)
    return answer[0] if answer else 1


def _listen(door: str) -> None:
    for name in LARGE:
        import_module(name)
    # What is never looked at again stays one piece of memory of all processes.
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(door)
        listening.listen()
        print("ready", flush=True)
        os.dup2(2, 1)
        # Standard input ends with the process that began this one, however that ends.
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            line, _ = listening.accept()
            with line:
                if os.fork() == 0:
                    listening.close()
                    size, streams, *_ = socket.recv_fds(line, 8, 3)
                    with line.makefile("rb") as rest:
                        told = json.loads(rest.read(int.from_bytes(size, "big")))
                    status = _become(told, streams)
                    line.sendall(bytes([status]))
                    os._exit(status)
            _bury()


def _become(told: dict, streams: list[int]) -> int:
    """Run the program, do what Python does at a program's end except for taking itself apart, and give the exit status."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Made anew: those of the start know whether one can seek in what they wrote to then, such as a test run's file.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["variables"])
    first, *rest = told["words"]
    status: object = 0
    try:
        if first == "-c":
            sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv, sys.path[0] = [first, *rest], str(Path(first).resolve().parent)
            runpy.run_path(first, run_name="__main__")
    except SystemExit as ended:
        status = ended.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - like Python
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status % 256 if isinstance(status, int) else int(status is not None)


def _bury() -> None:
    """Let go of those that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    task, place, *given = sys.argv[1:]
    sys.exit(_start(place, given) if task == "start" else _listen(place))
