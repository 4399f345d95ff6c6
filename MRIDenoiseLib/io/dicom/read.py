"""A DICOM file or folder to a Volume, and stored pixel values to physical ones and back.

Values go by rescale slope and intercept, and Philips' private scale.

Philips shows ``rescaled = stored RS + RI``, but its floating-point image, the one comparable between slices and
series, is ``rescaled / (RS SS)``, with RS and RI Rescale Slope (0028,1053) and Intercept (0028,1052) and SS the
private Scale Slope (2005,100E); where RI is absent, the private Scale Intercept SI (2005,100D) is used for -RI / RS
(Chenevert et al. 2014, "Errors in quantitative image analysis due to platform-dependent image scaling").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.dicom.files import DicomFile, load, quiet, shallow, text
from MRIDenoiseLib.io.dicom.folder import choose_series
from MRIDenoiseLib.io.dicom.frames import Frame, frames_in, frames_of, is_enhanced
from MRIDenoiseLib.io.dicom.mosaic import Mosaic, mosaic_of
from MRIDenoiseLib.io.dicom.parting import choose_stack, without_repeats
from MRIDenoiseLib.io.dicom.pixels import Pixels, decode
from MRIDenoiseLib.io.dicom.stack import Stack, sign, stack
from MRIDenoiseLib.io.geometry import check_grid, check_voxels
from MRIDenoiseLib.volume import Unmeasured, Volume

SCALE_SLOPE = 0x2005100E
SCALE_INTERCEPT = 0x2005100D


@dataclass(frozen=True)
class Scaling:
    """How stored values become physical ones.

    Args:
        slope: Rescale Slope, 1 where absent.
        intercept: Rescale Intercept, 0 where absent.
        private_slope: Philips' private Scale Slope, or None.
    """

    slope: float = 1.0
    intercept: float = 0.0
    private_slope: float | None = None

    @property
    def identity(self) -> bool:
        """Whether physical values are the stored ones."""
        return self.gain == 1 and self.intercept == 0

    @property
    def gain(self) -> float:
        """Physical units a stored unit."""
        return self.slope if self.private_slope is None else 1 / self.private_slope

    def physical(self, stored: np.ndarray) -> np.ndarray:
        """Physical values, float64."""
        rescaled = stored.astype(np.float64) * self.slope + self.intercept
        return rescaled if self.private_slope is None else rescaled / (self.slope * self.private_slope)

    def stored(self, physical: np.ndarray) -> np.ndarray:
        """What :meth:`physical` undoes, before rounding; float64."""
        rescaled = physical.astype(np.float64)
        if self.private_slope is not None:
            rescaled = rescaled * (self.slope * self.private_slope)
        return (rescaled - self.intercept) / self.slope


def scaling(groups: Iterable[Dataset], what: str) -> Scaling:
    """The scaling of one slice.

    Args:
        groups: data sets to look in, the most specific first.
        what: how to name the slice in front of the user.

    Raises:
        InputError: a slope of zero or something that is not a number.
    """
    found: dict[str, float] = {}
    philips = False
    for group in groups:
        philips = philips or "philips" in text(group, "Manufacturer").lower()
        for name, key in (("slope", "RescaleSlope"), ("intercept", "RescaleIntercept"), ("ss", SCALE_SLOPE), ("si", SCALE_INTERCEPT)):
            if name not in found and key in group:
                value = _number(group, key)
                if value is not None:
                    found[name] = value
    slope = found.get("slope", 1.0)
    if slope == 0 or not np.isfinite(list(found.values())).all():
        raise InputError(f"{what} has an impossible rescale slope or intercept (0028,1053); copy or export it again")
    private = found.get("ss") if philips else None
    if not private:
        return Scaling(slope, found.get("intercept", 0.0))
    return Scaling(slope, found.get("intercept", -found.get("si", 0.0) * slope), private)


def _number(group: Dataset, key: str | int) -> float | None:
    value = group[key].value
    if isinstance(value, bytes) and len(value) == 4:
        return float(np.frombuffer(value, "<f4")[0])  # implicit transfer syntax: a private element of unknown type
    try:
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return float("nan")


def read_dicom(
    path: Path, series: int | None = None, echo: int | None = None, volume: int | None = None, number: int | None = None
) -> Volume:
    """Read one volume of a DICOM file or folder.

    Slices are ordered by their position along the slice normal. Voxels are physical: Rescale Slope and Intercept of
    each slice are applied, and Philips' private scale as described in :mod:`MRIDenoiseLib.io.dicom.read`. ``pixel_type`` is
    the stored type, or ``float32`` where scaling made other than whole numbers of it.

    Args:
        path: a DICOM file (a classic one is a volume of one slice) or a folder.
        series: which series of the folder, from 1, in the order of :func:`MRIDenoiseLib.io.list_series`.
        echo: which echo, from 1, in the order of echo times.
        volume: which time point, b-value or kind of image, from 1.
        number: which stack of the series, from 1, see :func:`MRIDenoiseLib.io.dicom.parting.choose_stack`.

    Raises:
        AmbiguousInputError: there is a choice and it was not made.
        InputError: anything else that keeps it from being one complete, straight, grey MR volume.
    """
    with quiet():
        frames, notes = stack_of(path, series, number)
        found = stack(frames, path.name, echo, volume)
        return named(volume_of(found, path.name), path, notes)


def named(volume: Volume, path: Path, notes: tuple[str, ...]) -> Volume:
    """A volume with the name of the file or folder it was read from, and what was left out there."""
    return replace(volume, name=path.stem if path.is_file() else path.name, notes=(*notes, *volume.notes))


def stack_of(path: Path, series: int | None, number: int | None) -> tuple[list[Frame], tuple[str, ...]]:
    """All images of one stack of a file or folder, each once, and notes on what was left out.

    Args:
        path: as in :func:`read_dicom`.
        series: as in :func:`read_dicom`.
        number: as in :func:`read_dicom`.

    Raises:
        AmbiguousInputError: there are several series or stacks, and none was chosen.
        InputError: nothing can be read, or slices may be missing.
    """
    frames, notes = choose_stack(frames_of(choose_series(path, series)), path.name, number)
    decoded: dict[Path, np.ndarray] = {}

    def pixels_of(frame: Frame) -> np.ndarray:
        if frame.file.path not in decoded:
            if len(decoded) > 2:
                decoded.clear()
            decoded[frame.file.path] = _unpacked(frame.file)[0].stored
        return scaling(frame.groups, frame.label).physical(decoded[frame.file.path][frame.index or 0])

    kept, repeated = without_repeats(frames, sign, pixels_of)
    if repeated:
        notes += (f"Left out {repeated} image{'s that repeat others' if repeated > 1 else ' that repeats another'} pixel by pixel.",)
    return kept, notes


def read_slices(slices: Iterable[tuple[Path, int | None]], what: str = "the series") -> Volume:
    """Read one volume from slices that are known, and no other file.

    Args:
        slices: for each slice of the volume its file and its place there (None in a classic file), in any order.
        what: how to name them in front of the user.

    Raises:
        InputError: as :func:`read_dicom`, or the files no longer hold these slices.
    """
    wanted = set(slices)
    with quiet():
        files = [DicomFile(path, load(path)) for path in sorted({path for path, _ in wanted})]
        found = [frame for frame in frames_in(files) if {(frame.file.path, frame.index), (frame.file.path, None)} & wanted]
        if len(found) < len(wanted) or not {path for path, _ in wanted} == {frame.file.path for frame in found}:
            raise InputError(f"{what} was changed while it was being read; start again")
        return volume_of(stack(found, what), what)


def volume_of(result: Stack, what: str) -> Volume:
    """The slices of a stack, read into a volume.

    Args:
        result: slices in their order.
        what: how to name them in front of the user.

    Raises:
        InputError: pixels that cannot be read, or no image in them.
    """
    frames = result.frames
    check_grid(result.ijk_to_ras, what)
    scalings = [scaling(f.groups, f"{f.file.path.name} ({f.label})") for f in frames]
    planes, packed = _planes(frames)
    with np.errstate(over="ignore"):
        slices = [scale.physical(plane.stored[0]).astype(np.float32) for plane, scale in zip(planes, scalings, strict=True)]
    voxels = np.stack(slices)
    headers = tuple(_headers(frames, planes))
    padding = np.stack([np.zeros(v.shape, bool) if p.padding is None else p.padding[0] for p, v in zip(planes, slices, strict=True)])
    inverted = np.array([is_inverted(f.file.header) for f in frames])
    padding = _unmeasured(voxels, padding, bool(inverted.any()))
    top = float(voxels[inverted][~padding[inverted]].max()) if inverted.any() else None
    if top is not None:
        voxels[inverted] = top - voxels[inverted]
    unmeasured = Unmeasured(padding, voxels[padding]) if padding.any() else None
    voxels[padding] = 0
    check_voxels(voxels, what)
    kinds = {plane.stored.dtype for plane in planes}
    pixel_type = str(np.result_type(*kinds)) if all(s.identity for s in scalings) else "float32"
    notes = result.notes + _notes(frames, planes, packed, what, inverted=bool(inverted.any()), padded=int(padding.sum()))
    return Volume(voxels, result.ijk_to_ras, pixel_type, headers=headers, notes=notes, unmeasured=unmeasured, inverted_at=top)


def _planes(frames: tuple[Frame, ...]) -> tuple[list[Pixels], Mosaic | None]:
    """The pixels of each slice, (1, row, column), and how they were packed into one picture, if they were."""
    planes: dict[int, Pixels] = {}
    packed = None
    numbered = sorted(enumerate(frames), key=lambda one: str(one[1].file.path))
    for _, of_file in groupby(numbered, key=lambda one: one[1].file.path):
        run = list(of_file)
        pixels, packed = _unpacked(run[0][1].file)
        for k, frame in run:
            here = slice(frame.index or 0, (frame.index or 0) + 1)
            planes[k] = replace(pixels, stored=pixels.stored[here], padding=None if pixels.padding is None else pixels.padding[here])
    return [planes[k] for k in range(len(frames))], packed


def _unpacked(file: DicomFile) -> tuple[Pixels, Mosaic | None]:
    """The pixels of a file, (slice, row, column), and how they were packed into one picture, if they were."""
    pixels = decode(file.path)
    mosaic = None if is_enhanced(file.header) else mosaic_of(file.header, file.path.name)
    if mosaic is None:
        return pixels, None
    padding = None if pixels.padding is None else mosaic.unpack(pixels.padding[0])
    return replace(pixels, stored=mosaic.unpack(pixels.stored[0]), padding=padding), mosaic


def _headers(frames: tuple[Frame, ...], planes: list[Pixels]) -> Iterator[Dataset]:
    """The headers in the order of the slices: one a classic file or mosaic, one for each run of frames of an enhanced file."""
    for _, of_file in groupby(zip(frames, planes, strict=True), key=lambda one: one[0].file.path):
        run, of_run = zip(*of_file, strict=True)
        header = run[0].file.header
        yield _with_loss(_reduced(run) if is_enhanced(header) else header, of_run[0].lossy)


def _with_loss(header: Dataset, lossy: tuple[str, float] | None) -> Dataset:
    """A header that says that its pixels were compressed with loss, where they were (PS3.3 C.7.6.1.1.5)."""
    if lossy is None or (text(header, "LossyImageCompression") == "01" and "LossyImageCompressionRatio" in header):
        return header
    result = shallow(header)
    result.file_meta = header.file_meta
    result.LossyImageCompression = "01"
    result.LossyImageCompressionMethod, result.LossyImageCompressionRatio = lossy
    return result


def is_inverted(header: Dataset) -> bool:
    """Whether a header's pixels show small values bright."""
    return text(header, "PhotometricInterpretation") == "MONOCHROME1"


def _unmeasured(voxels: np.ndarray, padding: np.ndarray, inverted: bool) -> np.ndarray:
    """Which of the voxels that bear the padding value are no measurement.

    All of them where that value lies apart from all others (-2000 below a magnitude image). Where a measured voxel
    could have it too, only flat areas that reach the border. A padding value of 0 in an ordinary image is air like any.

    Args:
        voxels: physical values (slice, row, column).
        padding: bool, where the padding value stands.
        inverted: whether small values are shown bright.
    """
    nowhere = np.zeros(voxels.shape, bool)
    if not padding.any() or padding.all():
        return nowhere
    values, others = voxels[padding], voxels[~padding]
    others = others[np.isfinite(others)]
    if not np.isfinite(values).all():
        return padding
    if not inverted and not values.any():
        return nowhere
    low, high = float(others.min()), float(others.max())
    gap = 0.01 * (high - low)
    if values.max() < low - gap or values.min() > high + gap or (not inverted and values.max() < 0 <= low):
        return padding
    if values.min() < values.max():
        return nowhere
    from scipy import ndimage

    flat = ndimage.binary_erosion(padding, np.ones((1, 3, 3)), border_value=1)
    border = np.ones(voxels.shape, bool)
    border[:, 1:-1, 1:-1] = False
    cross = np.zeros((3, 3, 3), bool)
    cross[1] = True
    areas = ndimage.binary_propagation(flat & border, cross, flat)
    return ndimage.binary_dilation(areas, np.ones((1, 3, 3))) & padding


def _notes(
    frames: tuple[Frame, ...], planes: list[Pixels], packed: Mosaic | None, what: str, *, inverted: bool, padded: int
) -> tuple[str, ...]:
    notes = [f"{what}: {note}" for plane in planes for note in plane.notes]
    origins = {text(f.file.header, "FrameOfReferenceUID") for f in frames} - {""}
    if len(origins) > 1:
        notes.append(f"{what} names {len(origins)} frames of reference (0020,0052), so its slices may not lie where they seem to")
    if any("ModalityLUTSequence" in f.file.header for f in frames):
        notes.append(f"{what} has a table of values (Modality LUT, 0028,3000), which was not applied: its values are the stored ones")
    if packed and packed.note:
        notes.append(f"{what}: {packed.note}")
    if inverted:
        notes.append(
            f"{what} shows small values bright (MONOCHROME1); it is denoised the other way round, and a DICOM result shows like it"
        )
    if padded:
        notes.append(f"{what}: {padded} voxels are padding (0028,0120) and no measurement; they keep their values")
    if any(p.lossy or text(f.file.header, "LossyImageCompression") == "01" for f, p in zip(frames, planes, strict=True)):
        notes.append(f"{what} was once compressed with loss; what was lost there does not come back")
    return tuple(dict.fromkeys(notes))


def _reduced(frames: tuple[Frame, ...]) -> Dataset:
    """An enhanced header that describes only the chosen frames, in their order.

    Each frame's item states in Conversion Source Attributes Sequence (0020,9172) which frame of the file it was.
    """
    source = frames[0].file.header
    header = shallow(source)
    header.file_meta = source.file_meta
    items = []
    for frame in frames:
        assert frame.index is not None
        item = shallow(source.PerFrameFunctionalGroupsSequence[frame.index])
        origin = Dataset()
        origin.ReferencedSOPClassUID = text(source, "SOPClassUID")
        origin.ReferencedSOPInstanceUID = text(source, "SOPInstanceUID")
        origin.ReferencedFrameNumber = frame.index + 1
        item.ConversionSourceAttributesSequence = Sequence([origin])
        items.append(item)
    header.PerFrameFunctionalGroupsSequence = Sequence(items)
    header.NumberOfFrames = len(items)
    return header
