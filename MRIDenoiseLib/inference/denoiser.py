"""Volume in, denoised volume out: normalise, slice, crop, batch, sample, reassemble."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.errors import BundleError, MRIDenoiseError, SettingsError
from MRIDenoiseLib.image.kind import judged
from MRIDenoiseLib.inference.analysis import Analysis, analyse, fingerprint
from MRIDenoiseLib.inference.backend import BUCKET, Backend, Precision, choose_precision
from MRIDenoiseLib.inference.batch import Method, ModelSet, SliceBatch, is_informed, method_of
from MRIDenoiseLib.inference.device import KeepUp, choose_device, default_batch, forget_peak, is_out_of_memory, next_batch, release_memory
from MRIDenoiseLib.inference.guarantee import hold
from MRIDenoiseLib.inference.noise_map import NoiseMap, checked_noise_map
from MRIDenoiseLib.inference.oddities import find_oddities
from MRIDenoiseLib.inference.report import (
    NEGATIVE_SHARE,
    WORTH_REMOVING,
    build_report,
    removal_warnings,
    removed_in_flat_tissue,
    setting_warnings,
)
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.inference.slices import NetworkSlices, Window
from MRIDenoiseLib.inference.uncertainty import Intervals, median_in_tissue
from MRIDenoiseLib.inference.unmeasured import filled_stack
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.networks import NETWORKS, lacking_in_some
from MRIDenoiseLib.models.noise_estimator import SMALLEST_LEVEL
from MRIDenoiseLib.progress import Pace, Progress, ShouldStop
from MRIDenoiseLib.prompt import acquisition_warnings, describe
from MRIDenoiseLib.prompt.acceleration import DEFAULT_RATIO
from MRIDenoiseLib.result import Result
from MRIDenoiseLib.sampling import Schedule, SharedNoise
from MRIDenoiseLib.volume import Volume

BRIGHTEST_ESTIMATE = 1.5
"""Network units that an estimate may always reach; above it, only what the volume itself reaches, so nothing bright is clipped."""
UNLIKE = 1.3
"""By what factor the noise of two scans may differ that are told the same."""
CLEAN_SENTENCE = (
    "This image is clean already: its noise is below 1 % of the brightness of bright tissue, so it was returned unchanged. "
    "It can be denoised nevertheless on request."
)


@dataclass(frozen=True)
class _Task:
    """One volume prepared for the networks."""

    slices: NetworkSlices
    content: Window
    """The volume's own window; noise is drawn for it, so that a larger window changes nothing inside."""
    window: Window
    conditioning: Conditioning
    """Of one slice; all slices share it, except for the noise level."""
    noise_levels: np.ndarray
    """The noise level of every slice."""
    noise_map: NoiseMap | None
    """Where the noise is stronger and where weaker than that, if it varies so much that one level is too rough."""
    limits: tuple[float, float]
    method: Method
    strength: float
    seed: int
    batch_size: int | None
    precision: Precision
    compiled: bool
    intervals: Intervals | None
    """Filled together with the result, where an uncertainty map was asked for."""


class Denoiser:
    """Denoises volumes with the networks of one bundle.

    Only the networks that a method needs are set to inference and moved to the device where they run. What was measured on
    the last volume is kept, so that its slices can be requested one by one, each at the cost of one slice.

    Args:
        bundle: the loaded networks.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        SettingsError: the computer does not have the device.
    """

    def __init__(self, bundle: ModelSet, device: str = "auto") -> None:
        self.bundle = bundle
        self.device = choose_device(device)
        self._backends: dict[tuple[torch.device, torch.dtype, bool], Backend] = {}
        self._schedule = Schedule.from_scheduler(bundle.scheduler)
        self._last: tuple[str, Analysis] | None = None

    def __call__(
        self,
        volume: Volume,
        settings: Settings | None = None,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        *,
        method: Method | None = None,
        noise_map: Volume | None = None,
    ) -> Result:
        """Denoise a volume slice by slice across its acquired plane.

        Args:
            volume: the noisy volume.
            settings: the user's choices.
            progress: called with (fraction, seconds left or None, what is being done).
            should_stop: called before every network call; True cancels.
            method: a method that users are not offered, in the place of the one that the settings would choose; everything
                else stays the same. It brings its own options.
            noise_map: the standard deviation of the noise at every voxel, on the volume's own grid and in its units, where it is known;
                otherwise it is measured.

        Raises:
            InputError: the volume is of a kind that cannot come out right, see :func:`MRIDenoiseLib.image.kind.judged`, or holds NaN,
                infinity, one value only, no positive signal, or slices of a few pixels; or the noise map does not belong to it.
            SettingsError: slices outside the volume, a method the bundle has no network for, a device the computer does not have,
                or options of the bundle's methods together with a ``method``.
            Cancelled: ``should_stop`` returned True.
            BundleError: the networks give values that are not numbers.
            MRIDenoiseError: even one slice does not fit in memory.
        """
        began = time.monotonic()
        requested = settings or Settings()
        device = self.device if requested.device is None else choose_device(requested.device)
        run, strength = self._chosen(requested, method, device)
        volume = judged(volume, denoising=True)
        stack, gaps = filled_stack(volume)
        intervals = Intervals.of(self.bundle, stack.shape) if requested.uncertainty else None
        first, last = requested.slices or (0, len(stack))
        if last > len(stack):
            raise SettingsError(f"slices {first}:{last} lie outside the volume, which has slices 0:{len(stack)}")
        pace = Pace(last - first, progress, should_stop)

        pace.say("Measuring the noise")
        analysis = self._analysis(volume, stack, gaps, None if noise_map is None else checked_noise_map(noise_map, volume))
        analysis, unlike = _told(analysis, requested.noise_level)
        scale, noise_level = analysis.scale, analysis.noise_level
        clean = _is_clean(analysis) and not requested.denoise_clean
        if requested.strength is None and not clean:
            strength *= analysis.oddities.strength
        # A measured map may take texture for noise, and it changes how dark the darkest tissue becomes: it is told only on request.
        known = analysis.noise_map is not None and (analysis.noise_map.given or requested.tell_noise_map)
        varies = known and analysis.noise_map is not None and analysis.noise_map.varies
        prompt = describe(volume.acquisition) if requested.prompt is None else requested.prompt
        shape = stack.shape[1], stack.shape[2]
        window = analysis.window.grown(BUCKET, shape) if requested.compiled else analysis.window
        task = _Task(
            slices=analysis.slices(stack, window),
            content=analysis.window,
            window=window,
            conditioning=self._condition(volume, prompt),
            noise_levels=np.maximum(analysis.given_level, SMALLEST_LEVEL),
            noise_map=analysis.noise_map if varies else None,
            limits=(-1.0, max(BRIGHTEST_ESTIMATE, analysis.brightest)),
            method=run,
            strength=strength,
            seed=requested.seed,
            batch_size=requested.batch_size,
            precision=requested.precision,
            compiled=requested.compiled,
            intervals=intervals,
        )
        warnings = [*volume.notes, *acquisition_warnings(volume.acquisition, self.bundle.trained_on)]
        warnings += [*self.bundle.notes, *unlike]
        warnings += (setting_warnings(requested, run.name) if method is None else []) + _image_warnings(analysis)
        warnings += analysis.oddities.sentences(strength, chosen=requested.strength is not None, clean=clean)

        cleaned = stack.copy()
        guarantee, removed = None, None
        if clean:
            warnings.append(CLEAN_SENTENCE)
            if intervals is not None:
                device = self._run(task, range(first, last), stack.copy(), device, pace, warnings)
        else:
            device = self._run(task, range(first, last), cleaned, device, pace, warnings)
            if requested.guarantee:
                guarantee = hold(
                    stack,
                    cleaned,
                    analysis,
                    requested.guarantee,
                    spacing=volume.stack_spacing[1:],
                    slices=(first, last),
                    device=device,
                    check=lambda done: pace.check(),
                )
            removed = removed_in_flat_tissue(stack, cleaned, (first, last), scale, gaps) if _has_noise(analysis) else None
            if strength == requested.strength or not analysis.oddities.found:
                # Otherwise less was removed on purpose, which has been said.
                warnings += removal_warnings(removed, float(np.median(analysis.given_level)) / 2, strength)
        widths, median = None, None
        if intervals is not None:
            widths = intervals.around(cleaned, gaps)
            median = median_in_tissue(widths, stack, scale)
            warnings += intervals.warnings(float(np.median(task.noise_levels)) / 2)
        return Result(
            volume=volume.with_stack(cleaned if gaps is None else np.where(gaps, np.float32(0), cleaned)),
            noisy=volume,
            noise_level=noise_level,
            noise_map=_noise_map(volume, analysis, gaps) if requested.noise_map else None,
            report=build_report(
                run,
                strength=strength,
                seed=requested.seed,
                bundle_hash=self.bundle.hash,
                prompt=prompt,
                scale=scale,
                noise_level=noise_level,
                noise_removed=removed,
                noise_varies=varies,
                clean=clean,
                outside_training=list(analysis.oddities.found),
                guarantee=None if guarantee is None else guarantee.as_json(),
                device=device.type,
                precision=str(choose_precision(requested.precision, device)).removeprefix("torch."),
                seconds=time.monotonic() - began,
                slices=(first, last),
                slice_axis=volume.slice_axis,
                warnings=warnings,
                uncertainty_median=median,
            ),
            uncertainty=None if widths is None else replace(volume.with_stack(widths), pixel_type="float32", unmeasured=None),
        )

    def _chosen(self, requested: Settings, method: Method | None, device: torch.device) -> tuple[Method, float]:
        """The method to run, and its strength."""
        if requested.model not in (None, self.bundle.hash):
            raise SettingsError("the report was made with another model; give the same model again, or denoise both images with this one")
        if method is not None:
            if requested.method is not None or set(requested.options()) - {"strength"}:
                raise SettingsError(f"{method.name} brings its own options; leave the method and its options out of the settings")
            run, strength = method, requested.strength
        else:
            chosen = requested.resolved(self.bundle.default_method, self.bundle.default_settings, on_gpu=device.type != "cpu")
            run, strength = method_of(chosen), chosen.strength
        # Methods without diffusion leave the denoiser on disk.
        for network in lacking_in_some(run.needs, informed="denoiser" in run.needs and is_informed(self.bundle)):
            if self.bundle.network(network) is None:
                title = NETWORKS[network].title
                raise SettingsError(f"this model has no {title}: choose another method than {run.name}, or another model")
        return run, strength or 1.0

    def _analysis(self, volume: Volume, stack: np.ndarray, gaps: np.ndarray | None, noise: np.ndarray | None) -> Analysis:
        """What :func:`analyse` finds; it runs only if the last volume, or its noise map, was another one."""
        content = fingerprint(volume) + ("" if noise is None else hashlib.sha256(np.ascontiguousarray(noise).data).hexdigest())
        if self._last is None or self._last[0] != content:
            found = analyse(stack, self.bundle.network("noise_estimator"), gaps, noise)
            # Noise as bright as tissue in the air is known and kept from misleading the networks; it would look odd in every way.
            odd = found.oddities if found.disturbances.noisy_air else find_oddities(stack, found.scale)
            self._last = content, replace(found, oddities=odd)
        return self._last[1]

    def _condition(self, volume: Volume, prompt: str) -> Conditioning:
        """What the networks are given in addition to the pixels, for one slice; the noise level is put in with every batch."""
        text, text_mask = self.bundle.encode([prompt])
        acceleration = volume.acquisition.acceleration.value or DEFAULT_RATIO
        return Conditioning(
            text=text,
            text_mask=text_mask,
            acceleration=torch.tensor([float(acceleration)], dtype=torch.float32),
            noise_level=torch.zeros(1),
            slice_spacing=torch.tensor([volume.spacing[volume.slice_axis]], dtype=torch.float32),
        )

    def _run(self, task: _Task, chosen: range, output: np.ndarray, device: torch.device, pace: Pace, warnings: list[str]) -> torch.device:
        """Fill ``output`` with the requested slices; return the device that was used in the end."""
        batch = task.batch_size or default_batch(device, task.window.weight.size, compiled=task.compiled)
        first = task.batch_size is None
        forget_peak(device)
        done = 0
        waiting: tuple[range, Tensor] | None = None
        pace.start()
        while done < len(chosen):
            indices = chosen[done : done + batch]
            try:
                estimate = self._sample(task, indices, device, pace, done)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                estimate = None
            if estimate is None:
                # Here and not in the handler, whose traceback still holds the tensors that did not fit.
                release_memory(device)
                if len(indices) > 1:
                    batch = len(indices) // 2
                elif device.type != "cpu":
                    device, batch = torch.device("cpu"), 1
                    warnings.append("The graphics memory was too small for one slice; the processor did the work, which takes longer.")
                else:
                    raise MRIDenoiseError("There is not enough memory for one slice of this volume: close other programs and try again.")
                continue
            if first:
                first, batch = False, next_batch(device, batch, compiled=task.compiled)
            # While a GPU works on these slices, the previous ones are copied to the output.
            if waiting is not None:
                _place(task, *waiting, output)
            waiting = indices, estimate
            done += len(indices)
        if waiting is not None:
            _place(task, *waiting, output)
        warnings += self._backend(device, task.precision, task.compiled).notes
        return device

    def _sample(self, task: _Task, indices: range, device: torch.device, pace: Pace, done: int) -> Tensor:
        """The clean estimate of some slices, (1, len(indices), rows, columns) in network units; a GPU may still be computing it.

        Where an uncertainty map is asked for, two more images of each follow, see :meth:`.Intervals.computed`.

        Where the noise varies, the networks are told once the noise of the quietest part of the body and once that of the noisiest,
        and every place takes from both answers as much as its own noise lies between the two.
        """
        if task.noise_map is None:
            return self._told(task, indices, device, pace, (done, done + len(indices)), 0.0)
        low, high = task.noise_map.levels
        middle = done + len(indices) / 2
        quiet = self._told(task, indices, device, pace, (done, middle), low)
        noisy = self._told(task, indices, device, pace, (middle, done + len(indices)), high)
        own = torch.from_numpy(np.stack([task.noise_map.log_of(index, task.content.shape) for index in indices])).to(device)
        between = functional.pad(((own - low) / (high - low)).clamp(0, 1)[None], task.window.margins(task.content), mode="replicate")[0]
        return quiet + between * (noisy - quiet)

    def _told(self, task: _Task, indices: range, device: torch.device, pace: Pace, done: tuple[float, float], louder: float) -> Tensor:
        """As :meth:`_sample`, where the networks are told one noise level for a slice, ``louder`` (natural logarithm) than its own."""
        keep_up = KeepUp(device)
        levels = task.noise_levels[list(indices)] * math.exp(louder)

        def callback(event: dict[str, Any]) -> None:
            keep_up()
            pace.reached(done[0] + (done[1] - done[0]) * (event["i"] + 1) / event["steps"])

        batch = SliceBatch(
            slices=task.slices,
            indices=indices,
            conditioning=replace(
                task.conditioning.to(device).expand(len(indices)),
                noise_level=torch.from_numpy(levels.astype(np.float32)).to(device),
            ),
            noise=SharedNoise(task.content.shape, task.seed, device, task.window.margins(task.content)),
            limits=task.limits,
            callback=callback,
            schedule=self._schedule,
            models=self.bundle,
            backend=self._backend(device, task.precision, task.compiled),
            stoppable=pace.stoppable,
        )
        estimate = task.method(batch)
        found = [estimate] if task.intervals is None else [estimate, *task.intervals.computed(batch, estimate, task.method)]
        return torch.stack([image[:, 0] for image in found])

    def _backend(self, device: torch.device, precision: Precision, compiled: bool) -> Backend:
        """The backend for these choices; the same one every time, because it keeps what it has compiled."""
        choices = device, choose_precision(precision, device), compiled
        return self._backends.setdefault(choices, Backend(device, choices[1], compiled=compiled))


def _place(task: _Task, indices: range, estimate: Tensor, output: np.ndarray) -> None:
    """Put the estimates (1 or 3, len(indices), rows, columns), in network units, into their slices of ``output``, in its units."""
    images, *intervals = estimate.cpu().numpy()
    if not np.isfinite(images).all():
        raise BundleError("the model gave values that are not numbers for this volume: try --device cpu, or verify the model")
    for index, image in zip(indices, images, strict=True):
        target = task.window.of(output[index])
        taken = target - task.slices.restored(index, image)
        if task.intervals is not None:
            task.intervals.place(task.slices, index, *(part[index - indices.start] for part in intervals))
        target[:] = task.window.blend(target, target - np.float32(task.strength) * taken)


def _told(analysis: Analysis, locked: float | None) -> tuple[Analysis, list[str]]:
    """The analysis with another scan's noise level, relative to bright tissue, and a sentence where the two are too unlike for that."""
    own = analysis.noise_level / analysis.scale
    if locked is None or own <= 0:
        return analysis, []
    ratio = locked / own
    if max(ratio, 1 / max(ratio, 1e-9)) > UNLIKE:
        return analysis, [
            f"This image has noise of {own:.1%} of bright tissue and the one it is to be like {locked:.1%}: each was told its own, so "
            "that a difference between the two may come from the denoising."
        ]
    level = analysis.noise_level * ratio
    return replace(analysis, noise_level=level, given_level=analysis.given_level * ratio), []


def _is_clean(analysis: Analysis) -> bool:
    """Whether no slice has noise worth removing, nor, where a map is given, any larger part of one."""
    given = analysis.noise_map is not None and analysis.noise_map.given
    loudest = math.exp(max(analysis.noise_map.levels[1], 0.0)) if given and analysis.noise_map is not None else 1.0
    return float(analysis.given_level.max()) / 2 * loudest < WORTH_REMOVING


def _noise_map(volume: Volume, analysis: Analysis, gaps: np.ndarray | None) -> Volume:
    """The noise at every voxel of a volume; 0 where nothing was measured."""
    rows, columns = volume.stack.shape[1:]
    noise = np.stack([analysis.noise_of(index, (rows, columns)) for index in range(len(volume.stack))])
    return replace(volume.with_stack(noise if gaps is None else np.where(gaps, np.float32(0), noise)), pixel_type="float32")


def _has_noise(analysis: Analysis) -> bool:
    """Whether more noise was found than the smallest level that the networks are given."""
    return float(np.median(analysis.given_level)) > SMALLEST_LEVEL


def _image_warnings(analysis: Analysis) -> list[str]:
    """What the user should know because of the voxels themselves."""
    sentences = analysis.disturbances.sentences()
    if not _has_noise(analysis):
        sentences.append("No noise was found in the image, or too little of it is body to measure any.")
    if analysis.negative_share > NEGATIVE_SHARE:
        sentences.append("The image holds negative values, which a magnitude image does not have; what lies below zero was kept as it is.")
    return sentences
