"""How much noise clean volumes and references have of their own, measured once and written next to them.

Reading the data then needs no network, and a later estimator does not silently change which of them count. Existing
figures are kept unless they are requested again, and a small file next to them records by which network each was measured.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import MANIFEST, check_columns, manifest_row, measured_matrix
from MRIDenoiseLib.data.records import INDEX, OWN_NOISE, OWN_NOISE_BY, RecordStore
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.io.atomic import json_text, replacing
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Pace, Progress, ShouldStop

WHAT = "standard deviation of an image's own noise in the body, part of the body's P99.5"
WEIGHTS = "noise_estimator/diffusion_pytorch_model.safetensors"
COLUMN = "own_noise"
VOLUMES = "volumes/"
"""Of a manifest, only what lies here is measured: repeats and headers are not targets."""


@dataclass(frozen=True)
class Estimator:
    """The network that measures.

    Args:
        network: see :func:`~MRIDenoiseLib.inference.analysis.analyse`.
        sha256: of its weights.
        name: of the model that it belongs to.
    """

    network: nn.Module
    sha256: str
    name: str

    @classmethod
    def of(cls, bundle: Bundle) -> Estimator:
        """That of a model.

        Raises:
            SettingsError: the model has none.
        """
        network = bundle.network("noise_estimator")
        if network is None:
            raise SettingsError("this model has no network that measures noise; name another one with --bundle")
        return cls(network, bundle.card["files"][WEIGHTS], bundle.card.get("name", ""))


@dataclass(frozen=True)
class OwnNoise:
    """What is known of one image.

    Args:
        file: its name in the manifest or among the prepared pairs.
        value: part of P99.5.
        measured: whether it was measured now, and not kept from before.
        notes: what its reader chose or found odd, a sentence each.
    """

    file: str
    value: float
    measured: bool
    notes: tuple[str, ...] = ()


def own_noise(slices: np.ndarray, network: nn.Module) -> float:
    """Of one image, as it is measured before denoising.

    Args:
        slices: float (slices, rows, columns) across the acquired plane.
        network: measures the noise.

    Returns:
        The standard deviation in the body, part of the body's P99.5, to four digits after the decimal point.

    Raises:
        InputError: no body can be found.
    """
    found = analyse(np.ascontiguousarray(slices, dtype=np.float32), network)
    return round(found.noise_level / found.scale, 4)


def measure(
    folder: Path, network: nn.Module, *, again: bool = False, progress: Progress | None = None, should_stop: ShouldStop | None = None
) -> list[OwnNoise]:
    """Measure the volumes of a manifest, or the references of prepared pairs.

    Args:
        folder: with a ``MANIFEST.csv`` or made by ``mridenoise prepare``.
        network: measures the noise.
        again: whether what is known is measured again.
        progress: called with (fraction, seconds left or None, what is being done).
        should_stop: called before every image.

    Raises:
        InputError: the folder is neither, or an image of it cannot be read.
        Cancelled: when a stop is requested.
    """
    known = {} if again else _known(folder)
    names = _names(folder)
    if not names:
        raise InputError(f"{folder} lists no image whose own noise could be measured; volumes lie in its subfolder {VOLUMES}")
    pace = Pace(len(names), progress, should_stop)
    pace.start()
    images = _images(folder, [name for name in names if name not in known])
    found = []
    for number, name in enumerate(names, 1):
        pace.check()
        if name in known:
            found.append(OwnNoise(name, known[name], measured=False))
        else:
            slices, notes = next(images)
            found.append(OwnNoise(name, own_noise(slices, network), measured=True, notes=notes))
        pace.reached(number, "Measuring own noise")
    return found


def write(folder: Path, found: list[OwnNoise], estimator: Estimator) -> None:
    """Write down what was found: a column of the manifest or a table next to the pairs, and by which network it was measured.

    Both files are there in the end, or neither is changed. Figures without a recorded origin stay without one.

    Raises:
        OutputError: they cannot be written.
    """
    values = {one.file: one.value for one in found}
    account = _account(folder)
    account["estimators"][estimator.sha256] = estimator.name
    account["measured_by"] |= {one.file: estimator.sha256 for one in found if one.measured}
    account["estimators"] = {digest: name for digest, name in account["estimators"].items() if digest in account["measured_by"].values()}
    is_store = (folder / INDEX).is_file()
    with ExitStack() as complete:
        table = complete.enter_context(replacing(folder / (OWN_NOISE if is_store else MANIFEST), overwrite=True))
        origins = complete.enter_context(replacing(folder / OWN_NOISE_BY, overwrite=True))
        rows = [["file", COLUMN], *([name, str(value)] for name, value in values.items())] if is_store else _manifest_with(folder, values)
        with table.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows(rows)
        origins.write_text(json_text(account), encoding="utf-8")


def _names(folder: Path) -> list[str]:
    """What there is to measure."""
    if (folder / INDEX).is_file():
        return RecordStore(folder).files
    return [row["file"] for row in _manifest(folder)[1] if row["file"].startswith(VOLUMES)]


def _known(folder: Path) -> dict[str, float]:
    """What was measured before."""
    if (folder / INDEX).is_file():
        return RecordStore(folder).own_noise
    try:
        return {row["file"]: float(row[COLUMN]) for row in _manifest(folder)[1] if row.get(COLUMN)}
    except ValueError as error:
        raise InputError(f"{folder / MANIFEST} holds an own_noise that is not a number; correct it, or measure with --again") from error


def _images(folder: Path, names: list[str]) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
    """Slices of the images of these names, each at the matrix that was measured, and the notes of their reader."""
    if (folder / INDEX).is_file():
        store = RecordStore(folder)
        for name in names:
            yield store.read(store.files.index(name)).clean, ()
        return
    rows = {row["file"]: row for row in _manifest(folder)[1]}
    for name in names:
        volume = measured_matrix(io.read(folder / name), manifest_row(folder / MANIFEST, rows[name] | {COLUMN: ""}))
        yield volume.stack, volume.notes


def _manifest(folder: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows as they are written; the column that is to be measured may be missing."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} holds neither a {MANIFEST} next to clean volumes nor pairs made by mridenoise prepare")
    with path.open(newline="", encoding="utf-8") as lines:
        columns, *rows = list(csv.reader(lines)) or [[]]
    check_columns(path, [*columns, COLUMN])
    return columns, [dict(zip(columns, row + [""] * (len(columns) - len(row)), strict=False)) for row in rows if row]


def _manifest_with(folder: Path, values: dict[str, float]) -> list[list[str]]:
    columns, rows = _manifest(folder)
    columns = columns if COLUMN in columns else [*columns, COLUMN]
    completed = [row | ({COLUMN: f"{values[row['file']]:.4f}"} if row["file"] in values else {}) for row in rows]
    return [columns, *([row.get(name, "") for name in columns] for row in completed)]


def _account(folder: Path) -> dict[str, Any]:
    path = folder / OWN_NOISE_BY
    if not path.is_file():
        return {"what": WHAT, "estimators": {}, "measured_by": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"what": WHAT, "estimators": dict(content["estimators"]), "measured_by": dict(content["measured_by"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged; delete it, and measure with --again") from error
