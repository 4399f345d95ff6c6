"""Which rows a speed table has: all ways to denoise with every number format and batch, the default, and the step-by-step table.

A row has what is to be measured and its result; both go between processes as JSON. Two volumes are denoised: one of any size whose
body fills the view, and the sample head with air around it. Denoisers of other packages are timed on the same volume.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from MRIDenoiseLib import io, methods
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching, denoise_image
from MRIDenoiseLib.evaluation.speed.usage import peak_memory
from MRIDenoiseLib.inference.backend import Precision
from MRIDenoiseLib.methods import Method
from MRIDenoiseLib.volume import Volume

NOISE = 40.0
"""Standard deviation of each channel's noise; tissue lies around 500."""


_TIMES = ("slice", "with_transfer", "volume")
_WORK = (methods.STEPS.name, methods.SAMPLES.name)
"""The options that decide how many network calls there are."""


def phantom(size: int, slices: int, seed: int) -> Volume:
    """A textured disc in Rician noise, (slices, size, size), slices 4 mm apart; another seed gives other noise."""
    y, x = np.mgrid[0:size, 0:size]
    disc = np.hypot(x - size / 2, y - size / 2) < 0.49 * size
    generator = np.random.default_rng(seed)
    # Slice by slice, so that there is only one large array and the peak of memory is that of denoising.
    voxels = np.empty((slices, size, size), np.float32)
    for z, image in enumerate(voxels):
        body = np.where(disc, 500 + 100 * np.sin(x / 20) * np.cos(y / 30 + z), 0)
        noise = generator.normal(0, NOISE, (2, size, size))
        image[:] = np.hypot(body + noise[0], noise[1])
    return Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0]))


@lru_cache
def sample_head() -> tuple[Volume, Volume]:
    """The noisy and the clean head that come with the program.

    Raises:
        InputError: they are missing, because the program was installed without its resources.
    """
    noisy, clean = (io.read(sample_data(f"head_T1w_{name}.nii.gz")) for name in ("noisy", "clean"))
    return noisy, clean


@dataclass(frozen=True)
class Row:
    """A row: what to measure.

    Args:
        title: for the table.
        settings: keyword arguments of :class:`MRIDenoiseLib.inference.Settings`: how to denoise.
        peer: in place of the settings, a denoiser of another package, one of :data:`PEERS`.
        bundle: folder of the model; None for networks with random weights.
        config: size of those.
        device: where to compute.
        precision: see :class:`MRIDenoiseLib.inference.Settings`.
        batch: slices per network call.
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
    """The result of a row.

    Args:
        first: seconds per slice of the first batch, before anything is prepared.
        slice: seconds per slice, from tensors on the device to tensors on the device.
        with_transfer: the same from arrays to arrays in the processor's memory.
        volume: seconds for a whole volume, everything included except reading and writing.
        operations: floating point operations per slice, 2 for each multiply-add of convolutions and matrix products.
        traffic: bytes per slice that the operations read and write, each counted separately.
        memory: the most that the process needed, MiB.
        device_memory: the most that it needed on a GPU, MiB.
        psnr: in dB, of two denoised slices of the sample head with its clean image; NaN for random weights.
        notes: messages of the run.
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
        """One result from several runs in processes of their own: all times, and the most memory."""
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
        """From the output of :meth:`as_json`."""
        known: dict[str, Any] = {name: math.nan if inner is None else inner for name, inner in value.items()}
        times = {name: Times(tuple(known[name])) for name in _TIMES}
        return cls(**(known | times | {"notes": tuple(known["notes"])}))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready except for NaN."""
        values = dict(vars(self))
        return values | {name: list(values[name].seconds) for name in _TIMES} | {"notes": list(self.notes)}


def _timed(method: Method) -> dict[str, Any]:
    """A method's settings, so that every machine does the same work; one that builds on another is timed as users get it."""
    presets = {} if method.rests_on else method.presets(on_gpu=False)
    return {"method": method.name} | {name: value for name, value in presets.items() if name in _WORK}


METHODS: dict[str, dict[str, Any]] = {"default": {}} | {name: _timed(method) for name, method in methods.METHODS.items()}
"""What to time -> its settings; ``default`` is what the model's card says."""

USUAL = tuple(name for name in METHODS if name != methods.DDIM.name)
"""What is timed where no method is named; a single sample is timed only if it is named."""

CHANGE = 0.02
"""dB: the largest change of an image's PSNR that the number format, the batch and the backend may cause."""


def table_rows(base: Row, methods: Sequence[str], precisions: Sequence[Precision], batches: Sequence[int], peers: bool) -> list[Row]:
    """Every method in every number format and batch, then the peers.

    Args:
        base: what they have in common.
        methods: names of :data:`METHODS`.
        precisions: number formats; changes are counted from the first row of a method.
        batches: slices per call.
        peers: whether to time them.
    """
    rows = [
        replace(base, title=method, settings=METHODS[method], precision=precision, batch=batch)
        for method in methods
        for batch in batches
        for precision in precisions
    ]
    return rows + ([replace(base, title=name, peer=name, bundle=None) for name in PEERS] if peers else [])


def ladder_rows(base: Row, method: str, precision: Precision, batch: int, compiled: bool) -> list[Row]:
    """One way to denoise the sample head, at first as a simple program would do it; each further row adds one step.

    Args:
        base: what they have in common.
        method: name of one of :data:`METHODS`.
        precision: the lower number format.
        batch: slices of a larger batch.
        compiled: whether to compile in the end.
    """
    first = replace(
        base,
        title="as a simple program does it",
        settings=METHODS[method],
        head=True,
        volumes=0,
        batch=1,
        precision="float32",
        text_cached=False,
        cropped=False,
        channels_last=False,
        inference_mode=False,
        compiled=False,
    )
    steps: list[tuple[str, dict[str, Any]]] = [
        ("text's embedding kept", {"text_cached": True}),
        ("cropped to what is shown", {"cropped": True}),
        ("inference mode", {"inference_mode": True}),
        ("channels last", {"channels_last": True}),
        (f"{batch} slices a call", {"batch": batch}),
        (precision, {"precision": precision}),
    ]
    if compiled:
        steps.append(("compiled", {"compiled": True}))
    rows = [first]
    for title, change in steps:
        rows.append(replace(rows[-1], title=f"+ {title}", **change))
    return rows


PEERS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "BM4D": lambda image, threads: block_matching(image, NOISE, threads),
    # It takes as many threads as ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS says, which the measuring process is given.
    "ANTs DenoiseImage": lambda image, threads: denoise_image(image, model="Rician"),
}
"""Name -> function of an image and a number of threads that returns the denoised image."""


def measure_peer(row: Row) -> Measured:
    """Time a whole volume once: the times of peers hardly differ from run to run, and none of them prepares anything.

    Raises:
        SettingsError: the package is not installed.
    """
    assert row.peer is not None
    image = phantom(row.size, row.slices, seed=0).voxels
    began = time.perf_counter()
    PEERS[row.peer](image, row.threads)
    seconds = time.perf_counter() - began
    each = Times((seconds / row.slices,))
    return Measured(slice=each, with_transfer=each, volume=Times((seconds,)), memory=peak_memory())
