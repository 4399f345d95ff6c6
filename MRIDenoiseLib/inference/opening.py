"""A model's folder in, something that denoises out: the shortest way to the networks."""

from __future__ import annotations

from pathlib import Path

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.inference.denoiser import Denoiser
from MRIDenoiseLib.models.bundle.bundle import Bundle


def open_denoiser(folder: str | Path | None = None, device: str = "auto") -> Denoiser:
    """Load a model once; what comes back denoises one volume after the other.

    Args:
        folder: of the model; None takes the one that comes with the program.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``mps``.

    Returns:
        To be called with a volume, and with :class:`~MRIDenoiseLib.inference.settings.Settings` where the model's
        recommendation is not wanted; gives a :class:`~MRIDenoiseLib.inference.denoiser.Result`.

    Raises:
        BundleError: there is no model, or one of its files is damaged.
        SettingsError: the device is not there.

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
    return Denoiser(Bundle.load(Path(folder) if folder is not None else bundled_model()), device=device)
