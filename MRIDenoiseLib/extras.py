"""Libraries that only comparisons and pictures need, imported when they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from MRIDenoiseLib.errors import SettingsError

PEERS = "peers"
"""The extra that installs the denoisers and segmenters of other packages."""


def needed(module: str, extra: str) -> ModuleType:
    """Import a library of an optional extra.

    Args:
        module: what to import, for example ``dipy.denoise.nlmeans``.
        extra: the extra of this package that installs it.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise SettingsError(
            f"this comparison needs the package {name}: install the extra '{extra}' (pip install -e '.[{extra}]')"
        ) from error
