"""What a user waits for before the first slice: command line, worker, preview; beside what Python and torch take by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

PREVIEWED = {"256 x 256, 48 slices": (256, 48), "512 x 512, 100 slices": (512, 100)}


class Wait(NamedTuple):
    """One thing that was waited for, or the memory that it took.

    Args:
        what: for people.
        value: how much.
        unit: of it.
    """

    what: str
    value: float
    unit: str


def waiting_times(progress: Callable[[float, float | None, str], None] | None = None) -> list[Wait]:
    """Measure them all with the bundled model, on a machine on which nothing else should run.

    Args:
        progress: told before each.
    """
    from MRIDenoiseLib.evaluation.speed.latency import LARGE, command_seconds, import_seconds, streamed_memory
    from MRIDenoiseLib.evaluation.speed.volumes import phantom
    from MRIDenoiseLib.worker.latency import preview_seconds, ready_seconds

    def say(what: str) -> None:
        if progress is not None:
            progress(0.95, None, f"Timing {what}")

    say("the start of programs")
    found = [
        Wait("import torch", import_seconds("torch").wall, "s"),
        Wait("mridenoise --help", command_seconds(["--help"]).wall, "s"),
        Wait("mridenoise denoise --help", command_seconds(["denoise", "--help"]).wall, "s"),
    ]
    say("the worker")
    found.append(Wait("worker started until the model is ready", ready_seconds().wall, "s"))
    for name, (size, slices) in PREVIEWED.items():
        say(f"a preview of {name}")
        first, *later = preview_seconds(phantom(size, slices, seed=0))
        found.append(Wait(f"first preview of a slice of {name}", first.wall, "s"))
        found.append(Wait(f"next preview of a slice of {name}", min(one.wall for one in later), "s"))
    say("a large volume")
    streamed = streamed_memory()
    size_of = " x ".join(map(str, (*LARGE[1:], LARGE[0])))
    found.append(Wait(f"memory for {size_of} beyond the loaded volume and the networks'", streamed.copies, "volumes"))
    return found
