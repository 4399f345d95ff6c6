"""What the user may choose about a denoising run, and how open choices are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from MRIDenoiseLib.errors import BundleError, SettingsError
from MRIDenoiseLib.inference.backend import PRECISIONS, Precision
from MRIDenoiseLib.sampling.fidelity_guided import FIDELITY, T_MIN, Mode
from MRIDenoiseLib.sampling.regression import VIEWS

METHOD_DEFAULTS: dict[str, dict[str, Any]] = {
    "fidelity-guided": {"mode": "tuned", "steps": 10, "fidelity": None, "strength": 1.0},
    "posterior-mean": {"steps": 1, "samples": 1, "strength": 1.0},
    "regression": {"samples": None, "strength": 1.0},
    "sharpened": {"sharpness": 0.5, "steps": 2, "samples": None, "strength": 1.0},
    "ddim": {"steps": 10, "strength": 1.0},
}
"""The methods, each with the options it understands and their values where neither user nor bundle says one; None is found out
by :meth:`Settings.resolved`."""

VIEWS_ON_A_PROCESSOR, VIEWS_ON_A_GPU = 1, 4
"""Views of a slice where nobody says how many: each costs a network call, and the first brings most."""

METHODS = tuple(METHOD_DEFAULTS)
OPTIONS = ("steps", "fidelity", "mode", "samples", "sharpness", "strength")
RESTS_ON = {"sharpened": "regression"}
"""Methods that begin with another one: what the bundle says of that one holds for them too."""


@dataclass(frozen=True)
class Settings:
    """Choices for one run; None leaves the choice to the bundle, and then to the method's own default.

    Args:
        method: ``fidelity-guided``, ``posterior-mean``, ``regression``, ``sharpened`` or ``ddim``.
        steps: network calls (``fidelity-guided``: optimiser steps; ``posterior-mean``: calls a sample;
            ``sharpened``: calls of the flow).
        fidelity: weight of the likelihood in ``fidelity-guided``, >= 0.
        mode: ``tuned`` or ``paper``, for ``fidelity-guided``.
        samples: how many samples ``posterior-mean`` averages; how many mirrored and turned views ``regression`` and
            ``sharpened`` do, by default one on a processor and four on a GPU.
        sharpness: of ``sharpened``, from 0 (most faithful: the regression network's answer itself) to 1 (sharpest).
        strength: the part, above 0 to 1, of what the method would take away that is taken away. A little less than all
            costs little error and leaves small, weak lesions more of their contrast.
        seed: of the noise fields, >= 0.
        device: ``auto``, ``cpu``, ``cuda`` (also ``cuda:1`` ...) or ``mps``; None takes the Denoiser's.
        slices: (A, B), 0-based, half-open, along the acquired plane; the others are copied unchanged.
        batch_size: slices a network call; None chooses by device. Never changes the result.
        precision: number format of the networks' products, see :func:`.backend.choose_precision`.
        compiled: compile the networks first, which takes up to minutes and pays for long series only.

    Raises:
        SettingsError: a value that cannot work.

    Examples:
        >>> import MRIDenoiseLib as m
        >>> m.Settings(method="sharpened", sharpness=0.5).options()
        {'sharpness': 0.5}
    """

    method: str | None = None
    steps: int | None = None
    fidelity: float | None = None
    mode: Mode | None = None
    samples: int | None = None
    sharpness: float | None = None
    strength: float | None = None
    seed: int = 0
    device: str | None = None
    slices: tuple[int, int] | None = None
    batch_size: int | None = None
    precision: Precision = "auto"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise SettingsError(f"unknown method {self.method!r}: choose one of {', '.join(METHODS)}")
        if self.mode is not None and self.mode not in FIDELITY:
            raise SettingsError(f"unknown mode {self.mode!r}: choose one of {', '.join(FIDELITY)}")
        for name, value in (("number of steps", self.steps), ("number of samples", self.samples), ("batch size", self.batch_size)):
            if value is not None and not 1 <= value <= 1000:
                raise SettingsError(f"the {name} must be between 1 and 1000, not {value}")
        if self.fidelity is not None and not 0 <= self.fidelity < float("inf"):
            raise SettingsError(f"the fidelity weight must be zero or a positive number, not {self.fidelity}")
        if self.sharpness is not None and not 0 <= self.sharpness <= 1:
            raise SettingsError(f"the sharpness is a number from 0 to 1, not {self.sharpness}")
        if self.strength is not None and not 0 < self.strength <= 1:
            raise SettingsError(f"the strength is a number above 0 and at most 1, not {self.strength}")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"unknown precision {self.precision!r}: choose one of {', '.join(PRECISIONS)}")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"the seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if self.slices is not None and not 0 <= self.slices[0] < self.slices[1]:
            raise SettingsError(f"slices A:B need 0 <= A < B, not {self.slices[0]}:{self.slices[1]}")

    def resolved(self, default_method: str, default_settings: Mapping[str, Any], *, on_gpu: bool = False) -> Settings:
        """The same with every choice the method needs made: the user's, else the bundle's, else the method's own.

        Args:
            default_method: the bundle's.
            default_settings: the bundle's, for that method and for those that rest on it.
            on_gpu: whether a GPU does the work, where more views cost little.

        Raises:
            BundleError: the bundle names a method or an option that does not exist.
            SettingsError: more steps than the method has timesteps.
        """
        if default_method not in METHODS or not set(default_settings) <= set(OPTIONS):
            raise BundleError(
                f"card.json asks for a method or an option this version does not know: {default_method}, {sorted(default_settings)}"
            )
        try:
            Settings(method=default_method, **default_settings)
        except (SettingsError, TypeError) as error:
            raise BundleError("card.json gives its default method settings that cannot work; get the model again.") from error
        method = self.method or default_method
        values = dict(METHOD_DEFAULTS[method])
        if default_method in (method, RESTS_ON.get(method)):
            offered = {name: value for name, value in default_settings.items() if name in values}
            if self.mode is not None and self.mode != offered.get("mode", "tuned"):
                # A fidelity tuned for one mode means nothing in the other.
                offered.pop("fidelity", None)
            values |= offered
        values |= {name: getattr(self, name) for name in values if getattr(self, name) is not None}
        if "regression" in (method, RESTS_ON.get(method)):
            values["samples"] = values["samples"] or (VIEWS_ON_A_GPU if on_gpu else VIEWS_ON_A_PROCESSOR)
            if values["samples"] > len(VIEWS):
                raise SettingsError(f"{method} averages at most {len(VIEWS)} views of a slice, not {values['samples']}")
        if method == "fidelity-guided":
            if values["fidelity"] is None:
                values["fidelity"] = FIDELITY[values["mode"]]
            longest = 1000 - T_MIN[values["mode"]]
            if values["steps"] > longest:
                raise SettingsError(f"mode {values['mode']} takes at most {longest} steps, not {values['steps']}")
        return replace(self, method=method, **({name: None for name in OPTIONS} | values))

    def options(self) -> dict[str, Any]:
        """The method's options that have a value: its sampler's keyword arguments, and ``strength``."""
        return {name: getattr(self, name) for name in OPTIONS if getattr(self, name) is not None}

    def unused(self, method: str) -> tuple[str, ...]:
        """The options given here that ``method`` does not understand."""
        return tuple(name for name in self.options() if name not in METHOD_DEFAULTS[method])
