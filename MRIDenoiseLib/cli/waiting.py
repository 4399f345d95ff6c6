"""What a user waits for before the first slice: command line, worker, preview; beside what Python and torch take by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from MRIDenoiseLib.errors import Cancelled

if TYPE_CHECKING:
    from MRIDenoiseLib.progress import Progress, ShouldStop

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


def waiting_times(progress: Progress, should_stop: ShouldStop) -> Iterator[Wait]:
    """Measure them all with the bundled model on the processor, on a machine on which nothing else should run.

    Args:
        progress: told before each.
        should_stop: asked before each.

    Raises:
        Cancelled: when told to stop.
        MRIDenoiseError, CalledProcessError: a program or the worker that was measured failed.
    """
    from MRIDenoiseLib.evaluation.speed.latency import LARGE, command_seconds, import_seconds, streamed_memory
    from MRIDenoiseLib.evaluation.speed.volumes import phantom
    from MRIDenoiseLib.evaluation.speed.waiting import preview_seconds, ready_seconds

    def say(what: str) -> None:
        if should_stop():
            raise Cancelled("stopped; nothing was written")
        progress(0.95, None, f"Timing {what}")

    say("the start of programs")
    yield Wait("import torch", import_seconds("torch").wall, "s")
    yield Wait("mridenoise --help", command_seconds(["--help"]).wall, "s")
    yield Wait("mridenoise denoise --help", command_seconds(["denoise", "--help"]).wall, "s")
    say("the worker")
    yield Wait("worker started until the model is ready", ready_seconds().wall, "s")
    for name, (size, slices) in PREVIEWED.items():
        say(f"a preview of {name}")
        first, *later = preview_seconds(phantom(size, slices, seed=0))
        yield Wait(f"first preview of a slice of {name}", first.wall, "s")
        yield Wait(f"next preview of a slice of {name}", min(one.wall for one in later), "s")
    say("a large volume")
    slices, size = LARGE
    name = f"{size} x {size} x {slices}"
    yield Wait(f"memory for {name} beyond the loaded volume and the networks'", streamed_memory().copies, "volumes")
