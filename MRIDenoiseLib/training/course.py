"""How long and how fast a network is trained: all that the training loop needs to know of a stage."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from MRIDenoiseLib.errors import SettingsError

Schedule = Literal["trapezoid", "exponential"]

WARM_UP_STEPS = 100


@dataclass(frozen=True)
class Course:
    """The training of one network, whatever it is trained to do.

    Args:
        network: its name.
        steps: optimiser steps.
        minutes: of training, instead of ``steps``: for a machine that is lent for a while. The learning rate then falls to zero
            as a cosine of the time. Such a run can be resumed, but not to the very same weights.
        batch_size: crops a network call and process.
        reuse: in how many calls a crop is seen, each time newly mirrored and brightened, where a GPU would wait for new ones; on a CPU
            every crop is new.
        accumulate: calls whose gradients make one step; a step sees batch_size x accumulate x processes crops.
        learning_rate: peak.
        schedule: ``trapezoid`` warms up, stays, and falls linearly to zero over the last part; ``exponential`` multiplies
            by ``decay`` every epoch (the paper: 0.998).
        decay: see ``schedule``: the factor an epoch, or the part of the steps over which the trapezoid falls.
        epoch_steps: steps an epoch: what the schedule counts in, and how often the probes are logged.
        ema: decay of the running average of the weights, which is what ships.

    Raises:
        SettingsError: a value that cannot be trained with.
    """

    network: str
    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 4
    reuse: int = 1
    accumulate: int = 1
    learning_rate: float = 1e-4
    schedule: Schedule = "trapezoid"
    decay: float = 0.3
    epoch_steps: int = 500
    ema: float = 0.999

    def __post_init__(self) -> None:
        require_choice(self, "schedule", get_args(Schedule))
        if (self.steps is None) == (self.minutes is None):
            raise SettingsError("a stage has steps or minutes, and not both")
        if self.minutes is not None:
            require_number(self, "minutes")
            if self.minutes == 0 or self.schedule != "trapezoid":
                raise SettingsError("a stage with a number of minutes needs more than 0 of them and cannot have its own schedule")
        else:
            require_whole(self, "steps", 1)
        for name in ("reuse", "batch_size", "accumulate", "epoch_steps"):
            require_whole(self, name, 1)
        for name in ("learning_rate", "decay", "ema"):
            require_number(self, name)
        if not self.learning_rate > 0 or not 0 < self.decay <= 1 or not self.ema < 1:
            raise SettingsError("a stage needs a learning_rate above 0, a decay in (0, 1] and an ema in [0, 1)")

    def progress(self, step: int, minutes: float) -> float:
        """The part of the stage that is done, 1 at its end, after so many steps in so much time."""
        if self.minutes is not None:
            return min(1.0, minutes / self.minutes)
        assert self.steps is not None
        return step / self.steps

    def learning_rate_at(self, step: int, part: float = 0.0) -> float:
        """Of the step that comes next, ``step`` having been done, which are this part of a stage of so many minutes."""
        if self.minutes is not None:
            return self.learning_rate * min(1.0, (step + 1) / WARM_UP_STEPS) * math.cos(math.pi / 2 * part) ** 2
        assert self.steps is not None
        if self.schedule == "exponential":
            return self.learning_rate * self.decay ** (step // self.epoch_steps)
        warm_up = min(WARM_UP_STEPS, max(1, self.steps // 10))
        falling = max(1, round(self.decay * self.steps))
        return self.learning_rate * min(1.0, (step + 1) / warm_up, (self.steps - step) / falling)


def require_choice(owner: Any, name: str, choices: Iterable[str]) -> None:
    """Refuse a field that is none of these.

    Raises:
        SettingsError: it is none.
    """
    if getattr(owner, name) not in choices:
        raise SettingsError(f"a stage's {name} is one of {', '.join(choices)}, not '{getattr(owner, name)}'")


def require_whole(owner: Any, name: str, smallest: int) -> None:
    """Refuse a field that is not a whole number of at least ``smallest``.

    Raises:
        SettingsError: it is none.
    """
    value = getattr(owner, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
        raise SettingsError(f"{name} is a whole number of at least {smallest}, not {value!r}")


def require_number(owner: Any, name: str) -> None:
    """Refuse a field that is not a number of at least 0.

    Raises:
        SettingsError: it is none.
    """
    value = getattr(owner, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        # YAML reads 1e-4 as a word and 1.0e-4 as a number.
        raise SettingsError(f"{name} is a number of at least 0, written such as 0.0001 or 1.0e-4, not {value!r}")
