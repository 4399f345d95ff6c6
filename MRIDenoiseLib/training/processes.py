"""Several processes that train together: what they must agree on."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.progress import ShouldStop


def refuse_other_checkpoints(accelerator: Accelerator, step: int) -> None:
    """Machines that see different checkpoints would wait for each other without end.

    Raises:
        SettingsError: they do.
    """
    steps = accelerator.gather(torch.tensor([step], device=accelerator.device))
    if len(steps.unique()) > 1:
        raise SettingsError("the machines see different checkpoints: the run's folder must be one that all of them share")


def same_for_all(accelerator: Accelerator, part: float) -> float:
    """The part of a stage that is done by the first process's clock: all must leave the loop at the same step."""
    if accelerator.num_processes == 1:
        return part
    told = torch.tensor([part], dtype=torch.float64, device=accelerator.device)
    return float(broadcast(told)[0])


def told_to_stop(accelerator: Accelerator, should_stop: ShouldStop | None) -> bool:
    """Whether any process was told to stop: all must leave the loop at the same step."""
    stop = should_stop is not None and should_stop()
    if accelerator.num_processes == 1:
        return stop
    return bool(accelerator.reduce(torch.tensor([float(stop)], device=accelerator.device)).item())
