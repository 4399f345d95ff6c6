"""From a model's folder to a function that denoises: the shortest way to the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.progress import Progress

if TYPE_CHECKING:
    from MRIDenoiseLib.inference.denoiser import Denoiser


def open_denoiser(
    folder: str | Path | None = None, device: str = "auto", progress: Progress | None = None, *, quick: bool = False
) -> Denoiser:
    """Load a model once; the object returned denoises one volume after the other.

    Args:
        folder: of the model; None takes the one that comes with the program.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``mps``.
        progress: called while the networks are being loaded, which takes seconds the first time.
        quick: import only those parts of diffusers that the networks need, which takes a fraction of the time; for processes
            that only denoise, see :func:`~MRIDenoiseLib.models.bundle.quick_import.import_diffusers`.

    Returns:
        To be called with a volume, and with :class:`~MRIDenoiseLib.inference.settings.Settings` where the model's
        recommendation is not wanted; gives a :class:`~MRIDenoiseLib.result.Result`.

    Raises:
        BundleError: there is no model, or one of its files is damaged.
        SettingsError: the computer does not have the device.

    Examples:
        >>> import MRIDenoiseLib as m
        >>> from MRIDenoiseLib.card import sample_data
        >>> denoise = m.open_denoiser(device="cpu")
        >>> result = denoise(m.read(sample_data("head_T1w_noisy.nii.gz")), m.Settings(slices=(8, 9)))
        >>> result.report["method"]
        'regression'
        >>> 0 < result.report["noise_removed"] < 1
        True
    """
    if progress is not None:
        progress(0.0, None, "Loading the networks")
    if quick:
        from MRIDenoiseLib.models.bundle.quick_import import import_diffusers

        import_diffusers()
    # Here and not above: they import diffusers.
    from MRIDenoiseLib.inference.denoiser import Denoiser
    from MRIDenoiseLib.models.bundle.bundle import Bundle

    return Denoiser(Bundle.load(folder or bundled_model(), text_later=True), device=device)
