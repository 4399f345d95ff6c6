"""M4Raw: brains at 0.3 T, every contrast measured two to six times, one HDF5 file a repetition (doi 10.1038/s41597-023-02181-4).

``2022061003_T203.h5`` is repetition 3 of subject 2022061003's T2w scan. Each repetition becomes a noisy volume, and the
complex average of the others its reference; the published labels, which include the input itself, are not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from MRIDenoiseLib.data.cases import MEASURED_ONCE, Case, Check, Dropped, Pair, Say
from MRIDenoiseLib.data.raw import RawHeader, acquisition_of, coil_images, dataset, opened, read_header, values
from MRIDenoiseLib.data.repetitions import noisy_and_clean, repetition_pairs
from MRIDenoiseLib.errors import InputError

CONTRASTS = {"T1": "T1w", "T2": "T2w", "FLAIR": "T2-FLAIR"}
FIELD_STRENGTH = 0.3
FIELD_OF_VIEW = 240.0
"""mm, of rows and of columns; the published protocol, for files whose header does not tell."""
SLICE_SPACING = 6.0
"""mm: 5 mm slices 1 mm apart; the published protocol."""
SLICE_THICKNESS = 5.0
SOURCE, LICENCE = "M4Raw", "CC BY 4.0"

_NAME = re.compile(r"(?P<subject>[^_]+)_(?P<contrast>T1|T2|FLAIR)(?P<repetition>\d+)\.h5")


def find_m4raw(folder: Path, say: Say) -> list[Case | Dropped]:
    """One case for each subject and contrast below a folder, in the order of their names; then the files that are left over.

    Raises:
        InputError: there is no such folder, or no file named as M4Raw names them.
        Cancelled: from ``say``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that holds the M4Raw files")
    say("Listing files")
    scans: dict[tuple[str, str], dict[int, Path]] = {}
    dropped: list[Case | Dropped] = []
    for number, path in enumerate(sorted(folder.rglob("*.h5")), 1):
        name = _NAME.fullmatch(path.name)
        if name is None:
            dropped.append(Dropped(f"file {number}", "listing", "its name is not one of M4Raw's, such as 2022061003_T101.h5"))
            continue
        repetitions = scans.setdefault((name["subject"], name["contrast"]), {})
        if int(name["repetition"]) in repetitions:
            dropped.append(Dropped(f"file {number}", "listing", "its repetition lies there twice, and would be its own reference"))
            continue
        repetitions[int(name["repetition"])] = path
    if not scans:
        raise InputError(f"{folder} holds no M4Raw files such as 2022061003_T101.h5; choose another folder")
    return [_case(number, *key, list(scans[key].values())) for number, key in enumerate(sorted(scans), 1)] + dropped


def _case(number: int, subject: str, contrast: str, paths: Sequence[Path]) -> Case | Dropped:
    label = f"scan {number}"
    if len(paths) < 2:
        return Dropped(label, "matching", MEASURED_ONCE)
    return Case(
        label=label,
        subject=subject,
        study="",
        series=f"{subject} {contrast}",
        read=partial(_read, contrast, paths),
        names=tuple(str(path) for path in paths),
        slice_thickness=SLICE_THICKNESS,
        source=SOURCE,
        licence=LICENCE,
    )


def _read(contrast: str, paths: Sequence[Path], check: Check) -> Iterator[Pair]:
    with ExitStack() as files:
        measured = [files.enter_context(opened(path)) for path in paths]
        kspaces = [dataset(file, "kspace") for file in measured]
        shapes = {kspace.shape for kspace in kspaces}
        if len(shapes) != 1 or any(len(shape) != 4 for shape in shapes):
            raise InputError("its repetitions differ in size, or are not slices x coils x rows x columns; download them again")
        header = read_header(measured[0])
        depth = shapes.pop()[0]
        slices = (np.stack([coil_images(values(kspace, z), RawHeader()) for kspace in kspaces]) for z in range(depth))
        noisy, clean = noisy_and_clean(slices, check)
    rows, columns = header.pixel if header.pixel and header.matrix == noisy.shape[2:] else FIELD_OF_VIEW / np.array(noisy.shape[2:])
    acquisition = acquisition_of(header, organ="head", contrast=CONTRASTS[contrast], fat=None, plane="axial", field_strength=FIELD_STRENGTH)
    yield from repetition_pairs(noisy, clean, (SLICE_SPACING, float(rows), float(columns)), acquisition)
