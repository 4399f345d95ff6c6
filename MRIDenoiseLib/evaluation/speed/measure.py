"""One line of the speed table, measured in this process, which should do nothing else.

The cost of a piece of work, its operations and the bytes that they read and write, is counted in a separate run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop, sdpa_flop

from MRIDenoiseLib.card import Calibration
from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.evaluation.speed.machine import use_threads
from MRIDenoiseLib.evaluation.speed.rows import Measured, Row, Times, measure_peer, phantom, sample_head
from MRIDenoiseLib.evaluation.speed.usage import peak_memory
from MRIDenoiseLib.image.body import body_mask, find_body, intensity_scale
from MRIDenoiseLib.inference import Denoiser, Method, ModelSet, Result, Settings, SliceBatch
from MRIDenoiseLib.inference.batch import method_of
from MRIDenoiseLib.inference.device import choose_device, forget_peak, synchronise
from MRIDenoiseLib.inference.disturbances import find_wiped, occupied
from MRIDenoiseLib.inference.slices import NetworkSlices, Window, content_window
from MRIDenoiseLib.methods import REGRESSION
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.prompts import encode_prompt
from MRIDenoiseLib.models.configs import CONFIGS, build_scheduler
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.sampling import SharedNoise
from MRIDenoiseLib.volume import Volume

_FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    # torch's table has those of GPUs only.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda query, key, value, *_, out_val=None, **__: sdpa_flop(
        query.shape, key.shape, value.shape
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, query, key, value, *_, out_val=None, **__: sdpa_backward_flop(gradient.shape, query.shape, key.shape, value.shape)
    ),
}


@dataclass(frozen=True)
class Work:
    """Operations (2 for each multiply-add of convolutions and matrix products) and bytes."""

    operations: int
    traffic: int


class _Count(TorchDispatchMode):
    """Adds up what every operation computes, and the tensors that go in and come out unless the operation only makes a view of them.

    torch's own counter of operations (whose formulas these are) does not work where ``autograd.grad`` is called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.traffic = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        answer = func(*args, **named)
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, named, answer)) if isinstance(leaf, Tensor)]
            self.traffic += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        formula = _FORMULAS.get(func.overloadpacket)
        if formula is not None:
            self.operations += int(formula(*args, **named, out_val=answer))
        return answer


def work_of(run: Callable[[], Any]) -> Work:
    """Run it once and count; not in inference mode, where some operations hide the ones that they consist of.

    Bytes are counted operation by operation. A compiled network that does several operations at once moves fewer bytes, and values
    that stay in a cache cost less than counted.
    """
    with _Count() as count:
        run()
    return Work(count.operations, count.traffic)


def device_memory(device: torch.device) -> float:
    """The most memory that was needed on a GPU since the last reset, MiB; 0 elsewhere."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0


TOKENS = 16
"""Tokens of the text that networks with random weights are given."""
JUDGED = 2
"""Slices of the sample head that are compared with the clean image."""


def measure(row: Row) -> Measured:
    """Run a row and measure it.

    Raises:
        SettingsError: the device or the package is missing, or the model has no network for the method.
        BundleError: the model cannot be used.
    """
    use_threads(row.threads)
    if row.peer is not None:
        return measure_peer(row)
    device = choose_device(row.device)
    forget_peak(device)
    bundle: ModelSet = Untrained(row.config) if row.bundle is None else Bundle.load(row.bundle)
    denoiser = Denoiser(bundle, row.device)
    chosen = Settings(**row.settings).resolved(bundle.default_method, bundle.default_settings, on_gpu=device.type != "cpu")
    trial = _Trial(row, denoiser, method_of(chosen), Settings(strength=chosen.strength, precision=row.precision, compiled=row.compiled))
    return trial.measured()


@dataclass
class _Trial:
    """A row being measured."""

    row: Row
    denoiser: Denoiser
    method: Method
    settings: Settings
    first: float = 0.0
    bare: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    work: Work = field(default_factory=lambda: Work(0, 0))

    def measured(self) -> Measured:
        row = self.row
        volume = self._volume(0)
        self._batch = min(row.batch, volume.voxels.shape[volume.slice_axis])
        result = self._denoise(volume, (0, self._batch), watch=True)
        volumes = []
        for seed in range(1, row.volumes + 1):
            volume = self._volume(seed)
            began = time.perf_counter()
            self._denoise(volume)
            volumes.append(time.perf_counter() - began)
        device = self.denoiser.device
        return Measured(
            first=self.first,
            slice=Times(self.bare),
            with_transfer=Times(self.whole),
            volume=Times(volumes),
            operations=self.work.operations,
            traffic=self.work.traffic,
            # Before the sample head is scored, which may be larger.
            memory=peak_memory(),
            device_memory=device_memory(device),
            notes=tuple(note for note in result.report["warnings"] if "compiled" in note),
            psnr=self._psnr() if row.bundle is not None else float("nan"),
        )

    def _volume(self, seed: int) -> Volume:
        if not self.row.head:
            return phantom(self.row.size, self.row.slices, seed)
        noisy, _ = sample_head()
        # The volume must differ, because results about the last one would be used again.
        return noisy.with_voxels(noisy.voxels * np.float32(1 + 0.01 * seed))

    def _denoise(self, volume: Volume, slices: tuple[int, int] | None = None, *, watch: bool = False) -> Result:
        if not self.row.cropped:
            self._whole = _uncropped(volume)
        wanted = replace(self.settings, slices=slices, batch_size=self.row.batch)
        return self.denoiser(volume, wanted, method=replace(self.method, run=self._watch if watch else self._as_configured))

    def _as_configured(self, batch: SliceBatch, **options: Any) -> Tensor:
        """The method with the row's switches."""
        row = self.row
        configured = replace(batch, backend=replace(batch.backend, channels_last=row.channels_last, inference_mode=row.inference_mode))
        if not row.text_cached:
            assert isinstance(batch.models, Bundle)
            encode_prompt(batch.models.tokenizer, batch.models.text_encoder, "head T1w 2 times")
        if row.cropped:
            return self.method.run(configured, **options)
        slices, cropped = self._whole
        height, width = slices[0].shape
        noise = SharedNoise((height, width), batch.noise.seed, batch.noise.device)
        image = self.method.run(replace(configured, slices=slices, noise=noise), **options)
        return image[..., cropped.rows, cropped.columns]

    def _watch(self, batch: SliceBatch, **options: Any) -> Tensor:
        """Repeats the method on the same slices."""
        device = batch.backend.device
        count = len(batch.indices)
        if device != self.denoiser.device or count < self._batch:
            raise MRIDenoiseError(f"there is not enough memory for {self._batch} slices a call")
        resident = _Resident(**vars(batch))

        def seconds(run: Callable[[], Any]) -> float:
            synchronise(device)
            began = time.perf_counter()
            run()
            synchronise(device)
            return (time.perf_counter() - began) / count

        self.first = seconds(lambda: self._as_configured(resident, **options))
        plain = replace(resident, backend=replace(batch.backend, inference_mode=False, compiled=False))
        done = work_of(lambda: self.method.run(plain, **options))
        self.work = Work(done.operations // count, done.traffic // count)
        for _ in range(self.row.repeats):
            self.bare.append(seconds(lambda: self._as_configured(resident, **options)))
            self.whole.append(seconds(lambda: self._as_configured(batch, **options).cpu().numpy()))
        return self._as_configured(batch, **options)

    def _psnr(self) -> float:
        noisy, clean = sample_head()
        middle = len(noisy.voxels) // 2
        part = slice(middle, middle + JUDGED)
        image = self._denoise(noisy, (part.start, part.stop)).volume.voxels[part]
        truth = clean.voxels[part]
        return psnr(image, truth, data_range=float(truth.max()), mask=body_mask(clean.voxels)[part])


def _uncropped(volume: Volume) -> tuple[NetworkSlices, Window]:
    """Whole slices, and the window of them that is computed for users."""
    stack = volume.stack
    body = find_body(stack)
    everything = Window(slice(None), slice(None), np.ones(stack.shape[1:], np.float32))
    shown = content_window(*occupied(stack, find_wiped(stack, body)))
    return NetworkSlices(stack, everything, intensity_scale(stack, body.mask)), shown


@dataclass(frozen=True)
class _Resident(SliceBatch):
    """A batch whose slices stay on the device once they are there, also in a copy by :func:`dataclasses.replace`."""

    kept: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def stacks(self, count: int) -> Tensor:
        which = id(self.slices), count
        if which not in self.kept:
            self.kept[which] = super().stacks(count)
        return self.kept[which]


@dataclass
class Untrained:
    """Networks of a named size with random weights, in the place of a loaded bundle; they are given a random text."""

    config: str
    hash: str = ""
    default_method: str = REGRESSION.name
    default_settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None
    trained_on: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        sizes = CONFIGS[self.config]()
        # An untrained noise estimator would give any value; without one, the noise is measured from the spectrum.
        self._networks = {name: sizes.build(name) for name in NETWORKS if name != "noise_estimator"}
        self.scheduler: DDIMScheduler = build_scheduler()
        self._text = torch.randn(1, TOKENS, sizes.text_width)

    def network(self, name: str) -> nn.Module | None:
        """One of the networks, on the processor."""
        return self._networks.get(name)

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """The same for every text."""
        return self._text.expand(len(texts), -1, -1), torch.ones(len(texts), TOKENS, dtype=torch.bool)


def main() -> None:
    """Read a row from standard input, write what was measured to standard output."""
    answers = sys.stdout
    # What libraries print must not mix with the result.
    sys.stdout = sys.stderr
    try:
        found = measure(Row(**json.load(sys.stdin)))
    except MRIDenoiseError as error:
        sys.exit(str(error))
    print(json.dumps(found.as_json()), file=answers, flush=True)


if __name__ == "__main__":
    main()
