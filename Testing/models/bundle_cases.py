"""The card of the bundle that the tests write, and what a careless or hostile author does to a bundle."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.files import read_json, sha256, write_canonical_json

CACHED, UNCACHED = "siemens knee t2w", "ge head t1w 2x"
CARD = {
    "default_method": "regression",
    "default_settings": {"steps": 4},
    "training": {"steps": 0, "data": [{"organ": "knee", "contrast": "PDw"}, {"organ": "head", "contrast": ""}]},
}
MEASURED = {
    "lesions": {
        "command": "mridenoise measure lesions --data DIR",
        "what": "contrast kept",
        "headline": {"says": "Two of three are kept.", "figures": {"lesions": 3, "kept": 2}},
        "rows": [0.5, 0.25],
    }
}


def rewrite_json(folder: Path, name: str, change: Callable[[dict], object]) -> None:
    """Change a JSON file and let the card agree, as a careless or hostile author would."""
    content = read_json(folder, name)
    change(content)
    write_canonical_json(folder / name, content)
    accept(folder, name)


def accept(folder: Path, name: str) -> None:
    card = read_json(folder, "card.json")
    card["files"][name] = sha256(folder / name)
    write_canonical_json(folder / "card.json", card)


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and len(re.findall(r"\.\s", message)) == 0, message
    with pytest.raises(BundleError):
        Bundle.verify(folder)
    return message
