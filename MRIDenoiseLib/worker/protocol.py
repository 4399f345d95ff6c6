"""The messages between the panel's process and the worker: one JSON object a line, each a dataclass here."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from MRIDenoiseLib.errors import MRIDenoiseError

VERSION = 3
"""Of this protocol: both sides must have the same."""


class ProtocolError(MRIDenoiseError):
    """A line that is not a message."""


@dataclass(frozen=True)
class SharedFact:
    """An :class:`~MRIDenoiseLib.volume.AcquisitionField` on its way."""

    value: str | float | None
    source: str
    confidence: str
    seen_in_training: bool


@dataclass(frozen=True)
class SharedVolume:
    """A :class:`~MRIDenoiseLib.volume.Volume` on its way.

    Args:
        array: file name, within the exchange folder, of the float32 voxels (z, y, x).
        ijk_to_ras: 4 rows of 4 numbers, mm.
        pixel_type: NumPy name of the source's stored type.
        slice_axis: the axis of the voxels across which slices were acquired.
        acquisition: field -> fact.
        notes: what is to be shown beside every result.
        unmeasured: file name of the bool mask (z, y, x) of voxels without a measurement, or None; the voxels are then as
            :meth:`~MRIDenoiseLib.volume.Volume.in_file` gives them.
    """

    array: str
    ijk_to_ras: list[list[float]]
    pixel_type: str
    slice_axis: int
    acquisition: dict[str, SharedFact]
    notes: list[str] = field(default_factory=list)
    unmeasured: str | None = None


@dataclass(frozen=True)
class SharedClass:
    """A class of a tissue segmentation: see :class:`MRIDenoiseLib.segmentation.TissueClass`."""

    value: int
    name: str
    colour: list[int]
    mean: float
    millilitres: float


@dataclass(frozen=True)
class SharedTissues:
    """The segmentation of one image.

    Args:
        name: of the image, as in the request.
        labels: file name of the uint8 label map (z, y, x).
        classes: in the order of brightness.
        dice: of each class with the reference, and their mean at the end; None where there is none.
    """

    name: str
    labels: str
    classes: list[SharedClass]
    dice: list[float | None]


@dataclass(frozen=True)
class Load:
    """Make a model ready. Answered by :class:`Loaded`."""

    job: int
    bundle: str | None
    """Its folder; None is the bundled one."""
    device: str


@dataclass(frozen=True)
class Denoise:
    """Denoise a volume, or one slice of it. Answered by :class:`Denoised`."""

    job: int
    bundle: str | None
    device: str
    volume: SharedVolume
    settings: dict[str, Any]
    """Arguments of :class:`MRIDenoiseLib.inference.Settings`."""
    region: list[list[int]] | None
    """[first, last) along each axis of the voxels; outside it the image stays as it is. None is everything."""


@dataclass(frozen=True)
class Segment:
    """Segment images of one grid in one mask. Answered by :class:`Segmented`."""

    job: int
    names: list[str]
    volumes: list[SharedVolume]
    reference: int | None
    """Which of them the others are compared with, and whose mask counts; without one the first's mask does."""
    classes: int


@dataclass(frozen=True)
class Save:
    """Write a result to a file or as a derived DICOM series. Answered by :class:`Saved`."""

    job: int
    volume: SharedVolume
    sources: list[str]
    """The DICOM files of the slices it came from, for a series."""
    target: str
    """A name that ends like an image file's, or a folder for a series."""
    report: dict[str, Any]
    """The run's report; its content goes into the file."""
    suffix: str
    """``denoised`` or ``residual``."""
    overwrite: bool


@dataclass(frozen=True)
class Cancel:
    """Stop a job. Answered by :class:`Failed` with ``cancelled``, unless it is done before."""

    job: int


@dataclass(frozen=True)
class Shutdown:
    """End. Not answered."""


@dataclass(frozen=True)
class Hello:
    """The worker is there."""

    protocol: int
    pid: int


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``fraction`` from 0 to 1; seconds left, or None where it is not known yet."""

    job: int
    fraction: float
    seconds_left: float | None
    what: str


@dataclass(frozen=True)
class Loaded:
    """A model is ready."""

    job: int
    device: str
    hash: str


@dataclass(frozen=True)
class Denoised:
    """What of the volume was denoised; around it the image is as it was sent, so it does not travel back.

    Args:
        job: which.
        array: file name, within the exchange folder, of the float32 voxels (z, y, x) of the box.
        box: [first, last) along each axis of the volume.
        noise_level: standard deviation of the noise, in the volume's units.
        report: the account of the run.
        maps: ``noise map`` or ``uncertainty`` -> file name of its float32 voxels (z, y, x) of the box, where it was asked for.
    """

    job: int
    array: str
    box: list[list[int]]
    noise_level: float
    report: dict[str, Any]
    maps: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Segmented:
    """The tissues of every requested image, in that order."""

    job: int
    tissues: list[SharedTissues]
    anatomical: bool
    mask: str


@dataclass(frozen=True)
class Saved:
    """The result is written at the requested place."""

    job: int


@dataclass(frozen=True)
class Failed:
    """A job ended without result.

    Args:
        job: which; None where the line was not even a message.
        sentence: what is wrong and what to do.
        cancelled: the user stopped it.
        fault: the program is to blame, not the input.
    """

    job: int | None
    sentence: str
    cancelled: bool = False
    fault: bool = False


Request = Load | Denoise | Segment | Save | Cancel | Shutdown
Event = Hello | Progress | Loaded | Denoised | Segmented | Saved | Failed

_Message = TypeVar("_Message")


def encode(message: Request | Event) -> bytes:
    """A message as a line."""
    text = json.dumps({"kind": type(message).__name__, **asdict(message)}, allow_nan=False)
    return text.encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """A request of the panel.

    Raises:
        ProtocolError: nothing that this version knows.
    """
    return _decode(line, typing.get_args(Request))


def decode_event(line: bytes) -> Event:
    """An event of the worker.

    Raises:
        ProtocolError: nothing that this version knows.
    """
    return _decode(line, typing.get_args(Event))


def _decode(line: bytes, kinds: Iterable[type[_Message]]) -> _Message:
    try:
        content = json.loads(line)
        kind = {known.__name__: known for known in kinds}[content.pop("kind")]
        return _built(kind, content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError("a line between panel and worker is not a message of this version; start again") from error


def _built(kind: Any, content: Any) -> Any:
    """JSON converted to the type of an annotation, or TypeError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return content
    if origin is types.UnionType:
        for choice in arguments:
            try:
                return _built(choice, content)
            except TypeError:
                continue
        raise TypeError(kind)
    if origin is list and isinstance(content, list):
        return [_built(arguments[0], item) for item in content]
    if origin is dict and isinstance(content, dict):
        return {name: _built(arguments[1], item) for name, item in content.items()}
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(content, dict):
        hints = typing.get_type_hints(kind)
        if unknown := set(content) - {entry.name for entry in fields(kind)}:
            raise TypeError(f"unknown {unknown}")
        return kind(**{name: _built(hints[name], value) for name, value in content.items()})
    if kind is float and isinstance(content, int) and not isinstance(content, bool):
        return float(content)
    if isinstance(kind, type) and type(content) is kind:
        return content
    raise TypeError(kind)
