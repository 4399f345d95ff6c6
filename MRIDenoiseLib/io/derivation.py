"""What was done to an image: carried by every result that leaves the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from MRIDenoiseLib import RESEARCH_USE_ONLY


@dataclass(frozen=True)
class Derivation:
    """How a result was made, in words that may be written into its file.

    Args:
        method: the sampler's name, or what else was done.
        bundle: the model bundle's hash (hexadecimal; its first 12 digits are written), or ``none``.
        seed: the random seed; 0 where nothing is random.
        settings: further settings of the method, name to number or word.
        suffix: what the series' description gets at its end, such as ``denoised`` or ``residual``.
    """

    method: str
    bundle: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = "denoised"

    @property
    def note(self) -> str:
        """The account as far as a NIfTI header holds it: at most 79 characters, the number of steps where it fits."""
        text = f"NOT FOR DIAGNOSTIC USE; {self.method}; bundle {self.bundle[:12]}; seed {self.seed}"
        steps = f"; steps {self.settings['steps']}" if "steps" in self.settings else ""
        return (text + steps if len(text + steps) <= 79 else text)[:79]

    @property
    def description(self) -> str:
        """The whole account, for Derivation Description (0008,2111) and image headers, at most 1024 characters."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        text = f"{self.suffix} by MRI Denoise, method {self.method}, bundle {self.bundle[:12]}, seed {self.seed}"
        return f"{RESEARCH_USE_ONLY} {text}{', ' + settings if settings else ''}"[:1024]
