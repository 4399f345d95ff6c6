"""Voxels brought to another order of axes stay at their places in space."""

import itertools

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.geometry import on_grid_of

SHAPE = (3, 4, 5)
OBLIQUE = np.array([[1.8, 0.4, 0.3, -20.0], [-0.5, 2.2, -0.2, 7.0], [-0.24, 0.1, 4.0, 5.0], [0, 0, 0, 1]])
OBLIQUE[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] * [1.8, 2.2, 4.0]
TURNS = list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3)))


def turned(order: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels and matrix of a grid, and the matrix of the same grid whose axis c runs along axis order[c], backwards where told."""
    voxels = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    sizes = SHAPE[::-1]
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    for c, (axis, back) in enumerate(zip(order, flips, strict=True)):
        turn[axis, c] = -1 if back else 1
        turn[axis, 3] += sizes[axis] - 1 if back else 0
    return voxels, OBLIQUE, OBLIQUE @ turn


@pytest.mark.parametrize(("order", "flips"), TURNS)
def test_every_voxel_keeps_its_place_in_space(order, flips):
    voxels, matrix, wanted = turned(order, flips)
    shape = tuple(SHAPE[::-1][axis] for axis in order)[::-1]
    found = on_grid_of(voxels, matrix, wanted, shape)
    assert found.shape == shape
    for k, j, i in np.ndindex(*shape):
        x, y, z, _ = np.rint(np.linalg.solve(matrix, wanted @ [i, j, k, 1])).astype(int)
        assert found[k, j, i] == voxels[z, y, x]


@pytest.mark.parametrize("change", [np.diag([1.1, 1, 1, 1]), np.diag([2, 1, 1, 1]), np.eye(4) + 0.5 * np.eye(4, k=3)])
def test_a_grid_with_other_points_is_refused(change):
    voxels, matrix, _ = turned((0, 1, 2), (False,) * 3)
    with pytest.raises(InputError, match="does not lie on the grid"):
        on_grid_of(voxels, matrix, matrix @ change, SHAPE)


def test_a_grid_of_another_size_is_refused():
    voxels, matrix, _ = turned((0, 1, 2), (False,) * 3)
    with pytest.raises(InputError):
        on_grid_of(voxels, matrix, matrix, (3, 4, 6))
