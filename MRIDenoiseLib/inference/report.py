"""The account of a run that goes with its result: every setting, nothing about the patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__
from MRIDenoiseLib.inference.batch import Method
from MRIDenoiseLib.inference.settings import Settings

if TYPE_CHECKING:
    from MRIDenoiseLib.io import Derivation

NEGATIVE_SHARE = 1e-3
"""More negative voxels than this share give a warning: a magnitude image has none."""

_WRITTEN_TO_FILES = (
    "mode",
    "steps",
    "fidelity",
    "samples",
    "sharpness",
    "strength",
    "slices",
    "prompt",
    "noise_level_fraction",
    "noise_removed",
    "version",
)


def setting_warnings(requested: Settings, method: str) -> list[str]:
    """One sentence for each given option that the method does not use."""
    return [f"The option {name} has no meaning for {method} and was ignored." for name in requested.unused(method)]


def build_report(
    method: Method,
    *,
    strength: float,
    seed: int,
    bundle_hash: str,
    prompt: str,
    scale: float,
    noise_level: float,
    noise_removed: float | None,
    device: str,
    precision: str,
    seconds: float,
    slices: tuple[int, int],
    slice_axis: int,
    warnings: list[str],
) -> dict[str, Any]:
    """A JSON-ready account of a run, free of names, identifiers, dates and paths.

    Args:
        method: the one that ran; with its options, the strength and the seed the run can be repeated.
        strength: the part that was removed of what the method would remove.
        seed: of the noise fields.
        bundle_hash: sha256 of the bundle's card.
        prompt: the text the networks were given.
        scale: P99.5 of the body, in the volume's units.
        noise_level: standard deviation of the noise, in the volume's units.
        noise_removed: the part of the grain of flat tissue that was removed, 0 to 1; None where it could not be measured.
        device: where the networks ran at the end.
        precision: number format of their products.
        seconds: wall-clock time of the run.
        slices: half-open range that was denoised.
        slice_axis: of the voxels (z, y, x) it counts along.
        warnings: sentences for the user.
    """
    return {
        "research_use": RESEARCH_USE_ONLY,
        "version": __version__,
        "bundle": bundle_hash,
        "method": method.name,
        **method.options,
        "strength": strength,
        "seed": seed,
        "slices": list(slices),
        "slice_axis": slice_axis,
        "prompt": prompt,
        "intensity_scale": scale,
        "noise_level": noise_level,
        "noise_level_fraction": noise_level / scale,
        "noise_removed": noise_removed,
        "device": device,
        "precision": precision,
        "seconds": round(seconds, 3),
        "warnings": warnings,
    }


def derivation(report: Mapping[str, Any], suffix: str = "denoised") -> Derivation:
    """How a result was made, for its file; the patient's file needs the settings, not the machine they ran on.

    Args:
        report: of :func:`build_report`.
        suffix: what the result is, ``denoised`` or ``residual``.
    """
    # Imported here, because only a result that is written to a file needs the readers and writers of files.
    from MRIDenoiseLib.io import Derivation

    settings = {name: report[name] for name in _WRITTEN_TO_FILES if report.get(name) is not None}
    return Derivation(method=report["method"], bundle=report["bundle"], seed=report["seed"], settings=settings, suffix=suffix)
