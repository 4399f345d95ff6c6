"""A line of the speed table: what is to be measured, and what came out of it. Both go between processes as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from MRIDenoiseLib.inference.backend import Precision

_TIMES = ("slice", "with_transfer", "volume")


@dataclass(frozen=True)
class Row:
    """What is to be measured.

    Args:
        title: for the table.
        settings: keyword arguments of :class:`MRIDenoiseLib.inference.Settings` that say how to denoise.
        peer: in place of the settings, a denoiser of another package, one of :data:`.peers.PEERS`.
        bundle: folder of the model; None for networks with random weights.
        config: size of those.
        device: where to compute.
        precision: see :class:`MRIDenoiseLib.inference.Settings`.
        batch: slices a network call.
        compiled: compile the networks.
        channels_last, inference_mode: see :class:`MRIDenoiseLib.inference.backend.Backend`; on, as for users.
        cropped: compute only the window around what was not wiped out, as for users.
        text_cached: take the text's embedding from the model's card, as for users, and do not compute it for every batch.
        threads: of the processor.
        size: rows and columns of a slice.
        slices: of the volume.
        repeats: how often a batch is measured after its first time.
        volumes: how often a whole volume is measured, each time with other noise.
        head: measure on the sample head, which has air around it, and not on the phantom, which fills the view.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    peer: str | None = None
    bundle: str | None = None
    config: str = "compact"
    device: str = "cpu"
    precision: Precision = "float32"
    batch: int = 1
    compiled: bool = False
    channels_last: bool = True
    inference_mode: bool = True
    cropped: bool = True
    text_cached: bool = True
    threads: int = 2
    size: int = 256
    slices: int = 8
    repeats: int = 5
    volumes: int = 3
    head: bool = False


@dataclass(frozen=True)
class Times:
    """Seconds of something done several times."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one; NaN when there is none."""
        return float(np.median(self.seconds)) if self.seconds else math.nan

    @property
    def p95(self) -> float:
        """The 95th percentile, between the two slowest where there are few."""
        return float(np.percentile(self.seconds, 95)) if self.seconds else math.nan


@dataclass(frozen=True)
class Measured:
    """What came out.

    Args:
        first: seconds a slice of the first batch, which finds nothing prepared.
        slice: seconds a slice, from tensors on the device to tensors on the device.
        with_transfer: the same from arrays to arrays in the processor's memory.
        volume: seconds for a whole volume, everything included but reading and writing.
        operations: floating point operations a slice, 2 for each multiply-add of convolutions and matrix products.
        traffic: bytes a slice that the operations read and write, each by itself.
        memory: the most that the process needed, MiB.
        device_memory: the most that it needed on a GPU, MiB.
        psnr: in dB, of two denoised slices of the sample head with its clean image; NaN for random weights.
        notes: what the run had to say.
    """

    first: float = math.nan
    slice: Times = Times(())
    with_transfer: Times = Times(())
    volume: Times = Times(())
    operations: float = math.nan
    traffic: float = math.nan
    memory: float = math.nan
    device_memory: float = math.nan
    psnr: float = math.nan
    notes: tuple[str, ...] = ()

    @classmethod
    def of_rounds(cls, rounds: Sequence[Measured]) -> Measured:
        """One line of what was measured several times in processes of their own: all times, and the most memory."""
        times: dict[str, Any] = {name: Times([s for one in rounds for s in getattr(one, name).seconds]) for name in _TIMES}
        return replace(
            rounds[0],
            **times,
            first=float(np.median([one.first for one in rounds])),
            memory=max(one.memory for one in rounds),
            device_memory=max(one.device_memory for one in rounds),
            notes=tuple(dict.fromkeys(note for one in rounds for note in one.notes)),
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        """Of what :meth:`as_json` gave."""
        known: dict[str, Any] = {name: math.nan if inner is None else inner for name, inner in value.items()}
        times = {name: Times(tuple(known[name])) for name in _TIMES}
        return cls(**(known | times | {"notes": tuple(known["notes"])}))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready but for NaN."""
        values = dict(vars(self))
        return values | {name: list(values[name].seconds) for name in _TIMES} | {"notes": list(self.notes)}
