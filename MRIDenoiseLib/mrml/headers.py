"""The DICOM headers behind a volume node: which files, what they say, and which header belongs to which slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io import read_slices
from MRIDenoiseLib.io.dicom.files import DicomFile, load, quiet, whole_number
from MRIDenoiseLib.io.dicom.frames import Frame, frames_in
from MRIDenoiseLib.io.dicom.stack import Stack, stack
from MRIDenoiseLib.io.geometry import same_grid

INSTANCES = "DICOM.instanceUIDs"
"""Attribute in which Slicer keeps the SOP Instance UIDs (0008,0018) of a volume's files, parted by blanks."""


@dataclass(frozen=True, eq=False)
class SourceHeaders:
    """What was found behind a node.

    Args:
        headers: to read the acquisition from, in the order of the files' slices; empty where nothing was found.
        of_slices: the same in the order of the node's axis k, one a slice (one in all for an enhanced file), or empty
            where the files do not lie on the node's grid: it was resampled, cropped or moved, or files are missing.
    """

    headers: tuple[Any, ...] = ()
    of_slices: tuple[Any, ...] = ()


def source_files(node: slicer.vtkMRMLNode, file_of_instance: Callable[[str], str]) -> list[Path]:
    """The files that a volume was loaded from, those that still exist, each once.

    Args:
        node: a volume node.
        file_of_instance: from SOP Instance UID to the path of its file, or to an empty string where it is unknown.
    """
    names = [file_of_instance(uid) for uid in (node.GetAttribute(INSTANCES) or "").split()]
    return [path for path in dict.fromkeys(Path(name) for name in names if name) if path.is_file()]


def first_header(node: slicer.vtkMRMLNode, file_of_instance: Callable[[str], str]) -> tuple[Any, ...]:
    """The header of the first readable file behind a volume, alone in a tuple; an empty one where there is none.

    Args:
        node: a volume node.
        file_of_instance: see :func:`source_files`.
    """
    return next(((file.header,) for path in source_files(node, file_of_instance) for file in _readable([path])), ())


def read_source(
    node: slicer.vtkMRMLNode, ijk_to_ras: np.ndarray, shape: tuple[int, ...], file_of_instance: Callable[[str], str]
) -> SourceHeaders:
    """Read the headers behind a volume node, without pixels where slices are files of their own.

    A damaged file counts as one that is missing: the acquisition is a guess for the user to check, and an image that is
    already in the scene can be denoised without it.

    Args:
        node: a volume node.
        ijk_to_ras: its 4x4 matrix.
        shape: of its voxels (z, y, x).
        file_of_instance: see :func:`source_files`.
    """
    files = _readable(source_files(node, file_of_instance))
    unordered = tuple(file.header for file in files)
    if not files:
        return SourceHeaders()
    try:
        with quiet():
            found = stack(list(frames_in(files)), node.GetName() or "the volume")
            ordered = _headers(found.frames)
    except InputError:
        # What is wrong with the files keeps nobody from denoising the image that was made from them.
        return SourceHeaders(unordered)
    if not _is_shape(found, shape):
        return SourceHeaders(ordered)
    if same_grid(ijk_to_ras, found.ijk_to_ras, shape):
        return SourceHeaders(ordered, ordered)
    backwards = _last_slice_first(found.ijk_to_ras, len(found.frames))
    if same_grid(ijk_to_ras, backwards, shape) and len(ordered) == len(found.frames):
        return SourceHeaders(ordered, ordered[::-1])
    return SourceHeaders(ordered)


def _readable(paths: list[Path]) -> list[DicomFile]:
    files = []
    for path in paths:
        try:
            header = load(path)
        except InputError:
            continue
        if whole_number(header, "Rows") is not None:
            # Otherwise the header is cut short, and what it lacks would pass for not known.
            files.append(DicomFile(path, header))
    return files


def _headers(frames: tuple[Frame, ...]) -> tuple[Any, ...]:
    if frames[0].index is None:
        return tuple(frame.file.header for frame in frames)
    return read_slices((frame.file.path, frame.index) for frame in frames).headers


def _is_shape(found: Stack, shape: tuple[int, ...]) -> bool:
    header = found.frames[0].file.header
    return shape == (len(found.frames), whole_number(header, "Rows"), whole_number(header, "Columns"))


def _last_slice_first(ijk_to_ras: np.ndarray, slices: int) -> np.ndarray:
    """The matrix of the same grid with its slices counted from the other end."""
    flip = np.eye(4)
    flip[2, 2], flip[2, 3] = -1, slices - 1
    return ijk_to_ras @ flip
