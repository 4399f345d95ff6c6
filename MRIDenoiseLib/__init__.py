"""MRI Denoise: a regression network, given what was scanned and how strong the noise is, makes fast, noisy MR volumes easier to read.

Three lines denoise a volume:

    import MRIDenoiseLib as m
    result = m.open_denoiser()(m.read("head_T1w.nii.gz"))
    m.write(result.volume, "head_T1w_denoised.nii.gz")

A model may also hold the networks of text-guided conditional diffusion; those methods are chosen by name, ``Settings(method=...)``.

This package imports neither Slicer nor Qt, and importing it loads no torch: each name below is imported when it is first used, and
the networks load only with :func:`open_denoiser`. Research use only, not for diagnosis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from MRIDenoiseLib.inference.opening import open_denoiser
    from MRIDenoiseLib.inference.settings import Settings
    from MRIDenoiseLib.io import read, write
    from MRIDenoiseLib.volume import Acquisition, Volume

__all__ = ["Acquisition", "Settings", "Volume", "open_denoiser", "read", "write"]

__version__ = "0.2.0"

RESEARCH_USE_ONLY = "Research use only. NOT FOR DIAGNOSTIC USE."
"""The mark that every result carries when it leaves the program."""

_HOMES = {
    "Acquisition": "MRIDenoiseLib.volume",
    "Settings": "MRIDenoiseLib.inference.settings",
    "Volume": "MRIDenoiseLib.volume",
    "open_denoiser": "MRIDenoiseLib.inference.opening",
    "read": "MRIDenoiseLib.io",
    "write": "MRIDenoiseLib.io",
}
"""Name -> module that is imported when the name is first used."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
