"""Small volumes for the tests: grids of every kind, as arrays, as files and as nodes."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from MRIDenoiseLib import mrml

SHAPE = (4, 6, 5)
ACCOUNT = mrml.Account({"method": "fidelity-guided", "seed": 7, "note": 'a "quoted"; one: <ü>'}, "0123abcd")


def _rotation(*angles: float) -> np.ndarray:
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[[one, one, other, other], [one, other, one, other]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        result = turn @ result
    return result


def _grid(axes: np.ndarray, spacing: tuple[float, float, float] = (0.7, 0.9, 4.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = [-30, 12, 55.5]
    return matrix


GRIDS = {
    "RAS": _grid(np.eye(3)),
    "LAS": _grid(np.diag([-1.0, 1.0, 1.0])),
    "oblique": _grid(_rotation(0.3, -0.2, 0.4)),
    "sagittal": _grid(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])),
    "coronal": _grid(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])),
}
"""Kind of grid -> IJK to RAS, slices 4 mm apart along k."""


def voxels(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Whole numbers from 1 to 250 as int16 (z, y, x), so that every scalar type holds them."""
    return np.random.default_rng(seed).integers(1, 251, shape).astype(np.int16)


def matrix_of(array: np.ndarray) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, array)
    return matrix


def array_of(node, what: str = "GetIJKToRASMatrix") -> np.ndarray:
    """The matrix that a node's getter fills."""
    matrix = vtk.vtkMatrix4x4()
    getattr(node, what)(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def add_volume(scene, array: np.ndarray, grid: np.ndarray = GRIDS["RAS"], name: str = "head T1w"):
    """A scalar volume node with a display node."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, array)
    node.SetIJKToRASMatrix(matrix_of(grid))
    node.CreateDefaultDisplayNodes()
    return node


def add_shift(scene, millimetres: tuple[float, float, float] = (5.0, -7.0, 11.0)):
    """A linear transform node that turns and moves."""
    array = np.eye(4)
    array[:3, :3] = _rotation(0.0, 0.0, 0.5)
    array[:3, 3] = millimetres
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    node.SetMatrixTransformToParent(matrix_of(array))
    return node


def at_points(array: np.ndarray, grid: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of an array (z, y, x) at RAS points (n, 3), each of which must be the centre of a voxel."""
    index = (np.linalg.inv(grid) @ np.c_[points, np.ones(len(points))].T)[:3]
    whole = np.rint(index).astype(int)
    assert np.abs(index - whole).max() < 1e-2, "the points are no voxel centres"
    return array[whole[2], whole[1], whole[0]]


def centres(shape: tuple[int, ...], grid: np.ndarray) -> np.ndarray:
    """RAS of all voxel centres (n, 3), in the order of the raveled array."""
    k, j, i = np.indices(shape).reshape(3, -1)
    return (grid @ np.stack([i, j, k, np.ones_like(i)]))[:3].T


def denoise(scene, source, residual: bool = True) -> mrml.ResultNodes:
    """Put a result into the scene: half of every voxel, and the other half as its residual about zero."""
    volume = mrml.to_volume(source)
    half = volume.with_voxels(volume.voxels / 2)
    return mrml.add_results(scene, source, half, half.with_voxels(half.voxels - half.voxels.mean()) if residual else None, ACCOUNT)
