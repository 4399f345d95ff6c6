"""`slicer.i18n`: every text goes through the application's translate(), which a test may give translations."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import slicer

_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


def translate(context: str, text: str) -> str:
    return slicer.app.translate(context, text)


def tr(text: str) -> str:
    """Translate in the context of the calling file; a translation with other placeholders than the text's is refused."""
    context = Path(inspect.currentframe().f_back.f_code.co_filename).stem
    translated = translate(context, text)
    if set(_PLACEHOLDER.findall(text)) != set(_PLACEHOLDER.findall(translated)):
        raise ValueError(f"the translation {translated!r} of {text!r} has other placeholders")
    return translated
