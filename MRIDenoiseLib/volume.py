"""The one currency that everything passes around: a Volume of MR voxels, and the Acquisition it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

Confidence = Literal["high", "medium", "low"]

LEAST_PLANE = 16
"""Pixels: slices with a shorter side show too little, where slices across another axis are larger."""

NOT_IN_FILE = "not in the file: please choose"


@dataclass(frozen=True)
class AcquisitionField:
    """One fact about how a volume was acquired, with where it was read and how sure that reading is.

    Args:
        value: the normalised word or number, or None when it is not known.
        source: where it was read, for example ``(0018,0015) BodyPartExamined = KNEE``, ``series name``, ``user``.
        confidence: ``high`` for a standard attribute that states it, ``medium`` for an inference from physics or a
            vendor's attribute, ``low`` for a name or a default.
        seen_in_training: False when the value lies outside the controlled vocabulary the models were trained on.
    """

    value: str | float | None = None
    source: str = NOT_IN_FILE
    confidence: Confidence = "low"
    seen_in_training: bool = True


@dataclass(frozen=True)
class Acquisition:
    """How a volume was acquired, as far as its headers, its name or its user state it.

    ``acceleration`` is T_full / T_fast, a plain ratio. ``parallel_imaging`` is the in-plane parallel reduction factor and
    is never multiplied into it. ``averages`` is NEX / NSA. ``field_strength`` is in tesla.

    Examples:
        >>> import MRIDenoiseLib as m
        >>> unknown = m.Acquisition()
        >>> unknown.organ.value is None, unknown.organ.source
        (True, 'not in the file: please choose')
    """

    organ: AcquisitionField = field(default_factory=AcquisitionField)
    contrast: AcquisitionField = field(default_factory=AcquisitionField)
    fat_suppression: AcquisitionField = field(default_factory=AcquisitionField)
    plane: AcquisitionField = field(default_factory=AcquisitionField)
    vendor: AcquisitionField = field(default_factory=AcquisitionField)
    acceleration: AcquisitionField = field(default_factory=AcquisitionField)
    parallel_imaging: AcquisitionField = field(default_factory=AcquisitionField)
    averages: AcquisitionField = field(default_factory=AcquisitionField)
    field_strength: AcquisitionField = field(default_factory=AcquisitionField)

    def names(self) -> tuple[str, ...]:
        """The field names, in the order in which they are shown."""
        return tuple(f.name for f in fields(self))


@dataclass(frozen=True, eq=False)
class Unmeasured:
    """Voxels of a file that hold no measurement, such as NaN outside the body or DICOM's pixel padding.

    Args:
        mask: bool (z, y, x), True where nothing was measured; the volume's voxels are 0 there.
        values: what the file holds there, in the order of ``voxels[mask]``; a result's file gets them back unchanged.
    """

    mask: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional MR image in physical intensities.

    Args:
        voxels: float32 array, axis order (z, y, x) = (k, j, i); rescale slope and intercept are already applied.
        ijk_to_ras: 4x4 float64 matrix from voxel index (i, j, k, 1) to RAS millimetres.
        pixel_type: NumPy name of the type the source stored (``int16``, ``uint16``, ``float32`` ...).
        acquisition: what is known about how it was acquired.
        headers: the source DICOM data sets without their pixels, one a slice in the order of axis 0 (one for all
            frames of an enhanced file that follow each other), or empty when the source was not DICOM.
        name: what the source may be called in front of the user (a file's stem). Never logged, never in a prompt.
        acquired_axis: the axis of ``voxels`` across which slices were acquired, where that is known without headers.
        notes: what a reader chose or found odd, a sentence each, to be shown to the user beside every result.
        unmeasured: voxels that hold no measurement, or None where every voxel does.
        nifti: the source's NIfTI header as nibabel reads it, whose codes and units a result keeps, or None.
        inverted_at: the physical value that is 0 in ``voxels`` where the source shows small values bright (DICOM's
            MONOCHROME1): what its files hold is ``inverted_at - voxels``. None where nothing was turned over.
        account: what an earlier run of ours wrote into an image file's header about how it was made; empty where none did.
        image_type: the words of Image Type (0008,0008) that a JSON file beside an image file states; empty for DICOM, whose headers do.

    Examples:
        >>> import numpy as np
        >>> import MRIDenoiseLib as m
        >>> thick = m.Volume(np.zeros((16, 256, 256), dtype=np.float32), ijk_to_ras=np.diag([0.9, 0.9, 3.0, 1.0]))
        >>> thick.spacing, thick.slice_axis
        ((3.0, 0.9, 0.9), 0)
    """

    voxels: np.ndarray
    ijk_to_ras: np.ndarray
    pixel_type: str = "float32"
    acquisition: Acquisition = field(default_factory=Acquisition)
    headers: tuple[Any, ...] = ()
    name: str = ""
    acquired_axis: int | None = None
    notes: tuple[str, ...] = ()
    unmeasured: Unmeasured | None = None
    nifti: Any = None
    inverted_at: float | None = None
    account: str = ""
    image_type: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.voxels.dtype != np.float32:
            raise TypeError(f"voxels must be float32 (z, y, x), got {self.voxels.dtype} {self.voxels.shape}")
        if self.ijk_to_ras.shape != (4, 4):
            raise TypeError(f"ijk_to_ras must be 4x4, got {self.ijk_to_ras.shape}")

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel spacing in mm along (z, y, x), the order of ``voxels``' axes."""
        i, j, k = (float(np.linalg.norm(self.ijk_to_ras[:3, axis])) for axis in range(3))
        return k, j, i

    @property
    def slice_axis(self) -> int:
        """The axis of ``voxels`` across which slices were acquired.

        DICOM stores one acquired slice a frame, so it is axis 0 there. Elsewhere it is the axis with the clearly
        largest spacing (thick slices), else, for nearly isotropic volumes, the one with the fewest samples. It is that one, too,
        where thick slices have only a few rows or columns left, as after three sagittal planes were cut out: there is nothing
        to see in them.
        """
        if self.acquired_axis is not None:
            return self.acquired_axis
        if self.headers:
            return 0
        spacing = np.array(self.spacing)
        largest = int(np.argmax(spacing))
        thick = spacing[largest] > 1.2 * np.delete(spacing, largest).max()
        if thick and np.delete(self.voxels.shape, largest).min() >= LEAST_PLANE:
            return largest
        # Of axes as short as each other, the one across thick slices.
        shape = np.array(self.voxels.shape)
        return largest if thick and shape[largest] == shape.min() else int(np.argmin(shape))

    @property
    def stack(self) -> np.ndarray:
        """The voxels as acquired slices, (slices, rows, columns): a view, nothing is copied."""
        return self.stacked(self.voxels)

    @property
    def stack_spacing(self) -> tuple[float, float, float]:
        """In mm along the axes of :attr:`stack`: between slices, between rows, between columns."""
        across = self.slice_axis
        rows, columns = (spacing for axis, spacing in enumerate(self.spacing) if axis != across)
        return self.spacing[across], rows, columns

    def stacked(self, voxels: np.ndarray) -> np.ndarray:
        """A view of an array with the axes of ``voxels`` (and more behind them) as (slices, rows, columns)."""
        return np.moveaxis(voxels, self.slice_axis, 0)

    def unstacked(self, slices: np.ndarray) -> np.ndarray:
        """A view of an array (slices, rows, columns) with the axes of ``voxels``."""
        return np.moveaxis(slices, 0, self.slice_axis)

    def with_stack(self, slices: np.ndarray) -> Volume:
        """The same volume holding other slices (slices, rows, columns).

        Where their number differs, what belongs to single slices is dropped: the headers, and which voxels are unmeasured.
        """
        voxels = np.ascontiguousarray(self.unstacked(slices), dtype=np.float32)
        if voxels.shape == self.voxels.shape:
            return replace(self, voxels=voxels)
        return replace(self, voxels=voxels, headers=(), acquired_axis=self.slice_axis, unmeasured=None, nifti=None)

    def middle(self, count: int) -> range:
        """Up to ``count`` slices in the middle of :attr:`stack`."""
        total = self.voxels.shape[self.slice_axis]
        first = max(0, total // 2 - count // 2)
        return range(first, min(total, first + count))

    def with_voxels(self, voxels: np.ndarray) -> Volume:
        """The same volume holding other voxels of the same shape."""
        if voxels.shape != self.voxels.shape:
            raise ValueError(f"expected shape {self.voxels.shape}, got {voxels.shape}")
        return replace(self, voxels=np.ascontiguousarray(voxels, dtype=np.float32))

    def minus(self, other: Volume) -> Volume:
        """The difference to another volume on the same grid: signed, so stored as float32; 0 where nothing was measured.

        Raises:
            ValueError: the other volume has another shape.
        """
        if other.voxels.shape != self.voxels.shape:
            raise ValueError(f"expected shape {self.voxels.shape}, got {other.voxels.shape}")
        return replace(self.with_voxels(self.voxels - other.voxels), pixel_type="float32", unmeasured=None)

    def in_file(self) -> np.ndarray:
        """The voxels as a file gets them, float32 (z, y, x): what the source held stands again where nothing was measured."""
        if self.unmeasured is None:
            return self.voxels
        voxels = self.voxels.copy()
        voxels[self.unmeasured.mask] = self.unmeasured.values
        return voxels

    def with_acquisition(self, acquisition: Acquisition) -> Volume:
        """The same volume with another account of how it was acquired."""
        return replace(self, acquisition=acquisition)
