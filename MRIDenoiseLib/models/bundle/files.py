"""A bundle as files: which ones it may have, what the card states about them, and whether that is still true.

Nothing here opens a weight or a configuration; that happens after every file has been compared with the card.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from MRIDenoiseLib.card import CARD
from MRIDenoiseLib.errors import BundleError

INDEX = "model_index.json"
PROMPTS = "prompt_embeddings.safetensors"
EVIDENCE = "evidence"
"""The folder of whole measurements; the card has only their headlines."""
README = "README.md"
"""The card as a page for people."""
FIRST_FORMAT = "mridenoise-bundle/1"
"""The first format, without evidence and page: the card itself holds all that was measured, and all about the training."""
FORMAT = "mridenoise-bundle/2"

ALLOWED_ENDINGS = frozenset({".json", ".safetensors", ".txt", ".md"})
CODE_ENDINGS = frozenset(
    {".bin", ".ckpt", ".dill", ".h5", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth", ".py", ".pyc", ".so", ".zip"}
)
"""Endings of files that can hold a pickle or a program: loading one could run any code of its author."""

LARGEST_JSON = 64 * 2**20


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def list_files(folder: Path) -> list[str]:
    """Every file below ``folder`` as a sorted relative name with forward slashes.

    Raises:
        BundleError: no such folder, a symbolic link, something not a plain file, or an ending that does not belong in a bundle.
    """
    if not folder.is_dir():
        raise BundleError(f"There is no model folder at {folder}; name one that holds a card.json.")
    names = []
    for parent, folders, files in os.walk(folder, followlinks=False):
        for entry in sorted(folders + files):
            path = Path(parent) / entry
            name = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise BundleError(f"{folder}: {name} is a symbolic link, which a model folder may not hold; copy the file itself there.")
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise BundleError(f"{folder}: {name} is not a plain file; remove it or get the model again.")
            if path.suffix.lower() in CODE_ENDINGS:
                raise BundleError(
                    f"{folder}: {name} is of a kind that can carry a program and is never loaded; weights must be .safetensors."
                )
            if path.suffix.lower() not in ALLOWED_ENDINGS:
                raise BundleError(f"{folder}: {name} does not belong in a model folder; remove it or get the model again.")
            names.append(name)
    return sorted(names)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of the bundle.

    Raises:
        BundleError: the file is missing, too large, not JSON, not an object, or requests code of its own.
    """
    path = folder / name
    if not path.is_file():
        raise BundleError(f"{folder}: {name} is missing; get the model again.")
    if path.stat().st_size > LARGEST_JSON:
        raise BundleError(f"{folder}: {name} is too large to be what it should be; get the model again.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BundleError(f"{folder}: {name} is not readable JSON; get the model again.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{folder}: {name} must hold one JSON object; get the model again.")
    if content.get("auto_map"):
        raise BundleError(f"{folder}: {name} asks to load code of its own (auto_map), which is refused.")
    return content


def write_canonical_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object so that the same content always gives the same bytes, because a card holds their hash. Not for reports."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_card(folder: Path) -> dict[str, Any]:
    """The card, with its list of files checked for form but not yet against the folder.

    Raises:
        BundleError: no card, or a card that is not one of ours.
    """
    card = read_json(folder, CARD)
    if card.get("format") not in (FIRST_FORMAT, FORMAT):
        raise BundleError(f"{folder}: card.json does not say format {FORMAT} or {FIRST_FORMAT}; this program cannot use that model.")
    listed = card.get("files")
    if not isinstance(listed, dict) or not listed:
        raise BundleError(f"{folder}: card.json lists no files; get the model again.")
    for name, digest in listed.items():
        _check_name(folder, name)
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise BundleError(f"{folder}: card.json gives no SHA-256 for {name}; get the model again.")
    return card


def evidence_file(name: str) -> str:
    """The file of a bundle that holds a whole measurement, or the whole account of the training."""
    return f"{EVIDENCE}/{name}.json"


def files_of_parts(files: Mapping[str, str]) -> dict[str, str]:
    """Those of a card's ``files`` that a result may depend on: the parts of the model, without its descriptions."""
    return {name: digest for name, digest in files.items() if name != README and not name.startswith(f"{EVIDENCE}/")}


def _check_name(folder: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if not name or name.startswith("/") or ".." in parts or re.search(r"[\\:\x00-\x1f]", name):
        raise BundleError(f"{folder}: card.json names {name!r}, which lies outside the model folder; this model is refused.")
    if str(PurePosixPath(name)) != name or name == CARD:
        raise BundleError(f"{folder}: card.json names {name!r}, which is not a plain file name of this folder; this model is refused.")


def check_files(folder: Path) -> dict[str, Any]:
    """Compare every file with the card, both ways and by content; return the card.

    Raises:
        BundleError: the first thing that does not match.
    """
    present = list_files(folder)
    card = read_card(folder)
    listed = card["files"]
    for name in sorted(listed):
        if name not in present:
            raise BundleError(f"{folder}: {name} is missing; get the model again.")
    for name in present:
        if name != CARD and name not in listed:
            raise BundleError(f"{folder}: {name} is not listed in card.json; remove it or get the model again.")
    for name in sorted(listed):
        if sha256(folder / name) != listed[name]:
            raise BundleError(f"{folder}: {name} was changed (its SHA-256 is not the card's); get the model again.")
    return card
