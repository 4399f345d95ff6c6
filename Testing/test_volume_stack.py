"""A volume as acquired slices: the same view for every orientation."""

import numpy as np
import pytest

from MRIDenoiseLib.volume import Volume

SPACING = {0: (5.0, 0.9, 1.1), 1: (0.9, 5.0, 1.1), 2: (0.9, 1.1, 5.0)}


def made(axis: int) -> Volume:
    voxels = np.arange(3 * 8 * 9, dtype=np.float32).reshape(3, 8, 9)
    k, j, i = SPACING[axis]
    return Volume(np.ascontiguousarray(np.moveaxis(voxels, 0, axis)), np.diag([i, j, k, 1.0]), headers=("one",) if axis == 0 else ())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_stack_is_a_view_with_slices_first_and_its_spacing_in_the_same_order(axis):
    volume = made(axis)
    assert volume.slice_axis == axis and volume.stack.shape == (3, 8, 9)
    assert np.shares_memory(volume.stack, volume.voxels)
    assert volume.stack_spacing == pytest.approx((5.0, 0.9, 1.1))
    assert np.array_equal(volume.unstacked(volume.stack), volume.voxels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_other_slices_lie_along_the_same_axis_and_keep_headers_only_where_there_are_as_many(axis):
    volume = made(axis)
    same, fewer = volume.with_stack(volume.stack + 1), volume.with_stack(volume.stack[:1])
    assert np.array_equal(same.stack, volume.stack + 1) and same.headers == volume.headers
    assert fewer.stack.shape == (1, 8, 9) and fewer.slice_axis == axis and fewer.headers == ()
    assert fewer.voxels.flags.c_contiguous and fewer.voxels.dtype == np.float32


@pytest.mark.parametrize(("count", "expected"), [(1, range(1, 2)), (2, range(0, 2)), (3, range(0, 3)), (9, range(0, 3))])
def test_the_middle_never_leaves_the_volume(count, expected):
    assert made(2).middle(count) == expected
