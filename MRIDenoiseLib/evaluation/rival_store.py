"""Keeps the rivals' numbers, which take minutes a row, while the model they are compared with changes."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.benchmark import BORDER, MARGIN, SLICES, BenchmarkRow
from MRIDenoiseLib.evaluation.rivals import RIVALS, Best
from MRIDenoiseLib.io.atomic import replacing

TOLERANCE = 2e-3
"""By how much scores of the same noisy image may differ between two computers."""


class RivalStore:
    """A JSON file of rivals' best scores, or memory only.

    An entry belongs to a file, a noise and a rival. It is used only while the rival's settings and the slices are what they
    were, and the noisy image still has the scores it had, so that neither the noise nor a measure has changed since.

    Args:
        path: the file, which need not exist yet; None keeps nothing beyond this object's life.
        lock: held while the file is changed, where several processes work on it.

    Raises:
        InputError: the file holds something else.
    """

    def __init__(self, path: Path | None = None, lock: AbstractContextManager[Any] | None = None) -> None:
        self._path = path
        self._lock = lock or nullcontext()
        self._entries = self._read()

    def get(self, row: BenchmarkRow, noisy: dict[str, float], name: str) -> Best | None:
        """A rival's best on a row whose noisy image has the scores ``noisy``; None when it is not known."""
        entry = self._entries.get(_key(row, name))
        if entry is None or entry["grid"] != _grid(name):
            return None
        if not same_image(entry["noisy"], noisy):
            return None
        return Best(**entry["best"])

    def put(self, row: BenchmarkRow, noisy: dict[str, float], name: str, best: Best) -> None:
        """Keep a rival's best; the file is whole at every moment, and what another process has added to it stays.

        Raises:
            OutputError: the file cannot be written.
        """
        with self._lock:
            self._entries = self._entries | self._read()
            self._entries[_key(row, name)] = {"grid": _grid(name), "noisy": noisy, "best": asdict(best)}
            if self._path is not None:
                with replacing(self._path, True) as temporary:
                    temporary.write_text(json.dumps(self._entries, indent=1), encoding="utf-8")

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._path is None or not self._path.is_file():
            return {}
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self._path} cannot be read as a store of earlier comparisons; give another file") from error
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) and "best" in entry for entry in entries.values()):
            raise InputError(f"{self._path} is no store of earlier comparisons; give another file")
        return entries


def same_image(earlier: dict[str, float], now: dict[str, float]) -> bool:
    """Whether a noisy image with these scores is the one that had those: neither noise nor measure has changed since."""
    return all(abs(earlier[measure] - value) <= TOLERANCE for measure, value in now.items())


def _key(row: BenchmarkRow, name: str) -> str:
    return f"{row.source.file} {row.noise} {name}"


def _grid(name: str) -> str:
    return f"{RIVALS[name].grid}; {SLICES} slices, margin {MARGIN}, border {BORDER}"
