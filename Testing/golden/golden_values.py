"""The committed values of the golden results, and how results are held against them or, bit for bit, against those of another commit."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from golden_results import Result, Results, Section, section_of

VALUES = Path(__file__).resolve().with_name("values.json")
VOXELS = 32
"""So many places of an array are committed, with its mean and standard deviation."""
SMALLEST_SCALE = 0.1
"""A figure near zero, of which the log keeps six digits behind the point, is not held to a part of itself."""
AGAIN = "python scripts/golden.py --write --data DIR"
OTHER_WEIGHTS = f"the values belong to other weights than the bundled model has; run {AGAIN}"


def write(results: Results, weights: Mapping[str, str], path: Path = VALUES) -> None:
    """Commit these results.

    Args:
        results: all of them.
        weights: file -> sha256 of the model that gave them.
        path: where to.
    """
    lines = [f" {json.dumps(name)}: {json.dumps(_summary(result))}" for name, result in sorted(results.items())]
    head = json.dumps(dict(weights), indent=1).replace("\n", "\n ")
    path.write_text(f'{{"weights": {head},\n"values": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def read(path: Path = VALUES) -> dict[str, Any]:
    """``weights``: those that the values belong to; ``values``: name -> what is committed of a result."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def differences(results: Results, weights: Mapping[str, str], committed: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for every result that is not as committed; of values that belong to other weights, one for all of them.

    Args:
        results: of all sections that could be made; committed values of other sections are not looked at.
        weights: file -> sha256 of the model that gave them.
        committed: see :func:`read`.
    """
    same_weights = committed["weights"] == dict(weights)
    if not same_weights and any(section_of(name).of_the_model for name in results):
        yield OTHER_WEIGHTS
    made = {name.split("/")[0] for name in results}
    values = {name: value for name, value in committed["values"].items() if name.split("/")[0] in made}
    for name in sorted({*results, *values}):
        if not same_weights and section_of(name).of_the_model:
            continue
        if name not in values:
            yield f"{name}: no value is committed; run {AGAIN}"
        elif name not in results:
            yield f"{name}: there is no such result any more"
        else:
            found = _difference(_summary(results[name]), values[name], section_of(name))
            if found:
                yield f"{name}: {found}"


def digests(results: Results) -> dict[str, str]:
    """Name -> sha256 of every bit of a result."""
    return {name: hashlib.sha256(_bytes(result)).hexdigest() for name, result in sorted(results.items())}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Names of the results whose digests are not the same, or that are in one of two only."""
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


def _bytes(result: Result) -> bytes:
    if isinstance(result, np.ndarray):
        return f"{result.dtype.str} {result.shape} ".encode() + np.ascontiguousarray(result).tobytes()
    return json.dumps(result, sort_keys=True).encode()


def _summary(result: Result) -> dict[str, Any]:
    """What is committed of a result."""
    if isinstance(result, str):
        return {"lines": result.splitlines()}
    if isinstance(result, dict):
        return {"figures": {name: _short(value) for name, value in sorted(result.items())}}
    values = result.astype(np.float64).ravel()
    return {
        "shape": list(result.shape),
        "largest": _short(np.abs(values).max()),
        "mean": _short(values.mean()),
        "std": _short(values.std()),
        "voxels": [_short(value) for value in values[_places(values.size)]],
    }


def _places(size: int) -> np.ndarray:
    """Where the voxels lie: steps of the golden ratio, which fall into one row or column no more often than chance."""
    places: np.ndarray = (np.arange(1, VOXELS + 1) * ((math.sqrt(5) - 1) / 2) % 1 * size).astype(np.int64)
    return places


def _short(value: float) -> float:
    """Nine digits, more than float32 holds."""
    return float(f"{value:.9g}")


def _difference(found: Mapping[str, Any], committed: Mapping[str, Any], section: Section) -> str:
    """What differs between two summaries, in words; empty where nothing does."""
    if found.keys() != committed.keys():
        return "it is of another kind"
    if "lines" in found:
        return "; ".join(_other_lines(found["lines"], committed["lines"])[:3])
    if "figures" in found:
        return "; ".join(_other_figures(found["figures"], committed["figures"], section)[:3])
    if found["shape"] != committed["shape"]:
        return f"its shape is {found['shape']} instead of {committed['shape']}"
    return "; ".join(_other_voxels(found, committed, section)[:3])


def _other_lines(found: list[str], committed: list[str]) -> list[str]:
    wrong = [f"'{one}' instead of '{other}'" for one, other in zip(found, committed, strict=False) if one != other]
    return wrong + ["it has another number of lines"] * (len(found) != len(committed))


def _other_figures(found: Mapping[str, float], committed: Mapping[str, float], section: Section) -> list[str]:
    if found.keys() != committed.keys():
        return [f"it has other figures: {', '.join(sorted(found.keys() ^ committed.keys()))}"]
    allowed = {name: max(abs(value), SMALLEST_SCALE) * section.of_figures for name, value in committed.items()}
    return _apart([(name, found[name], committed[name], allowed[name]) for name in committed])


def _other_voxels(found: Mapping[str, Any], committed: Mapping[str, Any], section: Section) -> list[str]:
    allowed = committed["largest"] * section.tolerance
    voxels = enumerate(zip(found["voxels"], committed["voxels"], strict=True))
    wrong = _apart([(f"voxel {number}", one, other, allowed) for number, (one, other) in voxels])
    summed = _apart([(name, found[name], committed[name], allowed) for name in ("mean", "std")])
    return summed + (wrong if len(wrong) > section.strays else [])


def _apart(numbers: list[tuple[str, float, float, float]]) -> list[str]:
    """Of (name, found, committed, allowed) those that are further apart than is allowed; two that are no numbers are not."""
    told = []
    for name, one, other, allowed in numbers:
        same_kind = math.isnan(one) == math.isnan(other)
        if not same_kind or abs(one - other) > allowed:
            told.append(f"{name} {one} instead of {other}")
    return told
