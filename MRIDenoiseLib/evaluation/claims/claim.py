"""Files of measured numbers, as ``mridenoise bundle build --measured`` puts them into a model's card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MRIDenoiseLib.card import DETAILS
from MRIDenoiseLib.io.atomic import write_json
from MRIDenoiseLib.models.bundle.bundle import Bundle


def write_measured(path: Path, model: Bundle, command: str, numbers: Mapping[str, Any], details: Mapping[str, Any] | None = None) -> None:
    """Write what was measured on a model; a file that is there is replaced.

    Args:
        path: the JSON file; its name without ``.json`` is the name in the card.
        model: what was measured; its card's ``files`` say later which weights these numbers belong to.
        command: what gives the numbers again.
        numbers: for the card; ``what`` says in a sentence what they are.
        details: what a card has no room for.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {"command": command, "files": model.card["files"], **numbers} | ({DETAILS: dict(details)} if details else {})
    write_json(path, content, overwrite=True)
