"""A noisy volume in, a denoised one out: ``Denoiser(bundle)(volume, settings)``.

Each name below is imported when it is first used. So the settings can be read without loading torch, and
:func:`.opening.open_denoiser` can choose how the libraries of the networks are imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MRIDenoiseLib.inference.batch import Method, ModelSet, SliceBatch, bound, method_of, watched
    from MRIDenoiseLib.inference.denoiser import Denoiser
    from MRIDenoiseLib.inference.opening import open_denoiser
    from MRIDenoiseLib.inference.settings import Settings
    from MRIDenoiseLib.methods import METHODS
    from MRIDenoiseLib.result import Result

__all__ = [
    "METHODS",
    "Denoiser",
    "Method",
    "ModelSet",
    "Result",
    "Settings",
    "SliceBatch",
    "bound",
    "method_of",
    "open_denoiser",
    "watched",
]

_HOMES = {
    "METHODS": "MRIDenoiseLib.methods",
    "Denoiser": "MRIDenoiseLib.inference.denoiser",
    "Method": "MRIDenoiseLib.inference.batch",
    "ModelSet": "MRIDenoiseLib.inference.batch",
    "Result": "MRIDenoiseLib.result",
    "Settings": "MRIDenoiseLib.inference.settings",
    "SliceBatch": "MRIDenoiseLib.inference.batch",
    "bound": "MRIDenoiseLib.inference.batch",
    "method_of": "MRIDenoiseLib.inference.batch",
    "open_denoiser": "MRIDenoiseLib.inference.opening",
    "watched": "MRIDenoiseLib.inference.batch",
}
"""Name -> module that is imported when the name is first used."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
