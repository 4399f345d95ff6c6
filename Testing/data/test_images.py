"""What is known of an image before its voxels are read."""

import pytest

from MRIDenoiseLib.data.images import Slab

AXIAL = (0.0, 0.0, 1.0)


def test_slabs_know_how_far_they_cover_each_other() -> None:
    slab = Slab(AXIAL, (0.0, 0.0, 0.0), 40.0, 4.0)
    assert slab.covered_by(slab) == 1
    assert slab.covered_by(Slab(AXIAL, (5.0, 9.0, 10.0), 40.0, 4.0)) == pytest.approx(0.75)
    assert slab.covered_by(Slab((0.0, 0.0, -1.0), (0.0, 0.0, 50.0), 40.0, 4.0)) == 0
    assert slab.parallel(Slab((0.0, 0.1, -0.995), (0.0, 0.0, 0.0), 40.0, 4.0)) and not slab.parallel(
        Slab((1.0, 0.0, 0.0), (0, 0, 0), 40, 4)
    )
