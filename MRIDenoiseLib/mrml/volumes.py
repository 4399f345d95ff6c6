"""A scalar volume node of the scene as a :class:`~MRIDenoiseLib.volume.Volume`, with the DICOM headers behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io import read_slices
from MRIDenoiseLib.io.dicom.files import DicomFile, load, quiet, whole_number
from MRIDenoiseLib.io.dicom.frames import Frame, frames_in
from MRIDenoiseLib.io.dicom.stack import Stack, stack
from MRIDenoiseLib.io.geometry import check_grid, check_voxels, same_grid
from MRIDenoiseLib.prompt import read_acquisition
from MRIDenoiseLib.volume import Acquisition, Unmeasured, Volume

INSTANCES = "DICOM.instanceUIDs"
"""Attribute in which Slicer keeps the SOP Instance UIDs (0008,0018) of a volume's files, parted by blanks."""


ROLE = "MRIDenoise.role"
"""Attribute of what we put into the scene: what it is among our results."""


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
        # Faults of the files do not prevent denoising of the image that was made from them.
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


_OTHER_KINDS = {
    "vtkMRMLLabelMapVolumeNode": "a label map",
    "vtkMRMLVectorVolumeNode": "a colour or vector image",
    "vtkMRMLDiffusionWeightedVolumeNode": "a set of diffusion-weighted images",
    "vtkMRMLSequenceNode": "a sequence",
    "vtkMRMLMultiVolumeNode": "a set of volumes",
    "vtkMRMLSegmentationNode": "a segmentation",
}


def to_volume(node: slicer.vtkMRMLNode, file_of_instance: Callable[[str], str] | None = None) -> Volume:
    """The image of a scalar volume node, with what its DICOM headers or its name state about how it was acquired.

    The grid is the node's own: a transform above it moves it in the scene and does not change the voxels.

    Args:
        node: of class ``vtkMRMLScalarVolumeNode``.
        file_of_instance: from SOP Instance UID (0008,0018) to the path of its file, or to an empty string where the
            database does not know it; not given, the headers are not looked for.

    Returns:
        A copy of the voxels as float32 (z, y, x); ``pixel_type`` is the node's scalar type. ``headers`` are there when
        the files lie on the node's grid, slice by slice in the order of axis 0. NaN stands for what was not measured.

    Raises:
        InputError: it is not one grey, non-constant image without infinite values on a straight grid; the message gives the reason.
    """
    check_grey_volume(node)
    name = node.GetName() or "the volume"
    voxels = slicer.util.arrayFromVolume(node)
    matrix = grid_of(node)
    check_grid(matrix, name)
    with np.errstate(over="ignore"):
        copy = voxels.astype(np.float32)
    unmeasured = _taken_out(copy, name)
    volume = Volume(
        copy,
        matrix,
        voxels.dtype.name,
        name=node.GetName() or "",
        acquired_axis=_acquired_axis(node),
        unmeasured=unmeasured,
        account="denoised by MRI Denoise" if node.GetAttribute(ROLE) in ("denoised", "preview") else "",
    )
    headers: tuple = ()
    if file_of_instance is not None:
        source = read_source(node, matrix, copy.shape, file_of_instance)
        headers, volume = source.headers, replace(volume, headers=source.of_slices)
    facts = read_acquisition(headers, name=volume.name, ijk_to_ras=volume.ijk_to_ras, slice_axis=volume.slice_axis)
    return volume.with_acquisition(facts)


def _taken_out(voxels: np.ndarray, what: str) -> Unmeasured | None:
    """Put 0 in the place of NaN, and return where that was; None where there is none."""
    mask = np.isnan(voxels)
    if mask.all():
        raise InputError(f"{what} holds no numbers at all (NaN everywhere); load or export it again")
    check_voxels(voxels[~mask], what)
    if not mask.any():
        return None
    values = voxels[mask]
    voxels[mask] = 0
    return Unmeasured(mask, values)


def acquisition_of(node: slicer.vtkMRMLNode, file_of_instance: Callable[[str], str]) -> Acquisition:
    """What the first readable DICOM file behind a volume node, or else its name, states about how it was acquired.

    One file is read and no voxel touched, so that the panel can call this whenever another volume is chosen.

    Args:
        node: of class ``vtkMRMLScalarVolumeNode``.
        file_of_instance: see :func:`to_volume`.

    Raises:
        InputError: it is not one grey image.
    """
    check_grey_volume(node)
    headers = first_header(node, file_of_instance)
    return read_acquisition(headers, name=node.GetName() or "", ijk_to_ras=grid_of(node), slice_axis=slice_axis_of(node))


def grid_of(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """The 4x4 matrix from voxel index (i, j, k, 1) to RAS mm in the node's own frame, without its transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix), dtype=np.float64)


def slice_axis_of(node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """The axis of a node's voxels (z, y, x) across which slices were acquired, see :attr:`Volume.slice_axis`."""
    no_voxels = np.broadcast_to(np.float32(0), node.GetImageData().GetDimensions()[::-1])
    return Volume(no_voxels, grid_of(node), acquired_axis=_acquired_axis(node)).slice_axis


def check_grey_volume(node: slicer.vtkMRMLNode) -> None:
    """Raise InputError unless a node holds one grey image."""
    name = node.GetName() or "the volume"
    kind = node.GetClassName()
    if kind != "vtkMRMLScalarVolumeNode":
        raise InputError(f"{name} is {_OTHER_KINDS.get(kind, 'not an image')}; choose a grey volume")
    image = node.GetImageData()
    if image is None:
        raise InputError(f"{name} holds no image; load it again")
    if 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        raise InputError(f"{name} holds no voxels; export the image again")
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(f"{name} holds {components} values a voxel (RGB or vectors); only grey images can be denoised")


def _acquired_axis(node: slicer.vtkMRMLNode) -> int | None:
    """Slicer puts the slices of a DICOM series along axis k."""
    return 0 if node.GetAttribute(INSTANCES) else None
