"""Where the model that comes with the program lies."""

from __future__ import annotations

from pathlib import Path

from MRIDenoiseLib.errors import BundleError

_CHECKOUT = Path(__file__).resolve().parents[2]


def bundled_model(name: str = "compact") -> Path:
    """The folder of a model that comes with the program.

    Raises:
        BundleError: the program was installed without its ``Resources`` folder.
    """
    folder = _CHECKOUT / "Resources" / "Models" / name
    if not (folder / "card.json").is_file():
        raise BundleError(f"The model '{name}' that comes with the program is not at {folder}; name a model folder with --bundle DIR.")
    return folder
