"""The anatomical plane nearest to the acquired slices."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.prompt.headers import Header, tag_name
from MRIDenoiseLib.volume import AcquisitionField

_PLANES = ("sagittal", "coronal", "axial")
"""By the patient axis the slice normal is nearest to: left-right, front-back, head-foot."""

CLEAR = 0.9
"""Cosine of the tilt (26 degrees) up to which a slice is plainly in its nearest plane."""


def read_plane(header: Header) -> AcquisitionField:
    """From Image Orientation (Patient): the direction cosines of rows and columns, whose cross product is the normal."""
    cosines = header.numbers("ImageOrientationPatient")
    if len(cosines) != 6:
        return AcquisitionField()
    return _nearest(np.cross(cosines[:3], cosines[3:]), tag_name("ImageOrientationPatient"))


def plane_of_geometry(ijk_to_ras: np.ndarray, slice_axis: int) -> AcquisitionField:
    """The same from a volume's 4x4 matrix; ``slice_axis`` counts the axes of voxels in the order (z, y, x)."""
    across = 2 - slice_axis
    first, second = (ijk_to_ras[:3, axis] for axis in range(3) if axis != across)
    return _nearest(np.cross(first, second), "geometry")


def _nearest(normal: np.ndarray, source: str) -> AcquisitionField:
    length = float(np.linalg.norm(normal))
    if not length > 1e-6:  # false for NaN too
        return AcquisitionField()
    cosines = np.abs(normal) / length
    axis = int(np.argmax(cosines))
    return AcquisitionField(_PLANES[axis], source, "high" if cosines[axis] >= CLEAR else "medium")
