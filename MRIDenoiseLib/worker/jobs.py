"""What the worker can do: a request in, its answer out. Everything else about being a process is in :mod:`.server`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.progress import Progress, ShouldStop
from MRIDenoiseLib.worker.exchange import share_array, take_volume
from MRIDenoiseLib.worker.protocol import (
    Denoise,
    Denoised,
    Load,
    Loaded,
    Save,
    Saved,
    Segment,
    Segmented,
    SharedClass,
    SharedTissues,
)

if TYPE_CHECKING:
    from MRIDenoiseLib.inference import Denoiser

Job = Load | Denoise | Segment | Save
Answer = Loaded | Denoised | Segmented | Saved


class Jobs:
    """Does jobs one after the other and keeps the model last used.

    Args:
        folder: where arrays are exchanged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready: tuple[tuple[str | None, str], Denoiser] | None = None

    def do(self, job: Job, progress: Progress, should_stop: ShouldStop) -> Answer:
        """The answer to a request.

        Args:
            job: what to do.
            progress: called with (fraction, seconds left or None, what is being done).
            should_stop: called often.

        Raises:
            Cancelled: ``should_stop`` returned true.
            MRIDenoiseError: whatever the job's own function raises.
        """
        if isinstance(job, Load):
            model = self._denoiser(job.bundle, job.device, progress)
            return Loaded(job.job, model.device.type, model.bundle.hash)
        if isinstance(job, Denoise):
            return self._denoise(job, progress, should_stop)
        if isinstance(job, Segment):
            return self._segment(job, progress, should_stop)
        return self._save(job, progress)

    def prepare(self) -> None:
        """Prepare what a later job may need, while nobody waits: import the libraries of the text encoder, which take seconds."""
        if self._ready is not None:
            import MRIDenoiseLib.models.bundle.text  # noqa: F401

    def _denoiser(self, bundle: str | None, device: str, progress: Progress) -> Denoiser:
        if self._ready is None or self._ready[0] != (bundle, device):
            from MRIDenoiseLib.inference.opening import open_denoiser

            self._ready = None  # two models at once may not fit
            self._ready = (bundle, device), open_denoiser(bundle, device, progress, quick=True)
        return self._ready[1]

    def _denoise(self, job: Denoise, progress: Progress, should_stop: ShouldStop) -> Denoised:
        volume = take_volume(job.volume, self._folder)
        settings = Settings.named(job.settings)
        model = self._denoiser(job.bundle, job.device, progress)
        box = [[0, size] for size in volume.voxels.shape]
        if job.region is not None:
            box = _checked_region(volume.voxels.shape, job.region)
            first, last = box[volume.slice_axis]
            settings = replace(settings, slices=(first, last))
        result = model(volume, settings, progress, should_stop)
        box[volume.slice_axis] = result.report["slices"]
        inside = tuple(slice(*side) for side in box)
        report = result.report | ({"region": job.region} if job.region is not None else {})
        array = share_array(result.volume.voxels[inside], self._folder, f"{job.job}-denoised.npy")
        maps = {
            kind: share_array(image.voxels[inside], self._folder, f"{job.job}-map-{number}.npy")
            for number, (kind, image) in enumerate(result.maps.items())
        }
        return Denoised(job.job, array, box, result.noise_level, report, maps)

    def _segment(self, job: Segment, progress: Progress, should_stop: ShouldStop) -> Segmented:
        from MRIDenoiseLib.io.geometry import same_grid
        from MRIDenoiseLib.segmentation import TissueSettings, dice, make_mask, segment

        volumes = [take_volume(shared, self._folder) for shared in job.volumes]
        first = volumes[job.reference or 0]
        shape = first.voxels.shape
        if not all(image.voxels.shape == shape and same_grid(image.ijk_to_ras, first.ijk_to_ras, shape) for image in volumes):
            raise InputError("the images to segment lie on different grids; resample them to one")
        mask, kind = make_mask(first)
        settings = TissueSettings(classes=job.classes)
        found = []
        for number, (name, image) in enumerate(zip(job.names, volumes, strict=True)):

            def step(part: float, number: int = number, what: str = f"Segmenting: {name}") -> None:
                progress((number + part) / len(volumes), None, what)

            alike = image.with_acquisition(first.acquisition)
            found.append(segment(alike, settings, mask, step, should_stop, mask_kind=kind))
        tissues = []
        for number, (name, one) in enumerate(zip(job.names, found, strict=True)):
            scores: list[float | None] = []
            if job.reference is not None and number != job.reference:
                agreement = dice(one.labels, found[job.reference].labels, job.classes)
                scores = [None if math.isnan(value) else value for value in (*agreement.classes, agreement.mean)]
            classes = [SharedClass(c.value, c.name, list(c.colour), c.mean, c.millilitres) for c in one.classes]
            tissues.append(SharedTissues(name, share_array(one.labels, self._folder, f"{job.job}-labels-{number}.npy"), classes, scores))
        return Segmented(job.job, tissues, found[0].anatomical, kind)

    def _save(self, job: Save, progress: Progress) -> Saved:
        from MRIDenoiseLib import io
        from MRIDenoiseLib.inference.report import derivation
        from MRIDenoiseLib.io.geometry import on_grid_of
        from MRIDenoiseLib.io.images import ending

        progress(0.0, None, "Writing")
        volume, target = take_volume(job.volume, self._folder), Path(job.target)
        if not ending(target) and job.sources:
            source = _read_sources([Path(name) for name in job.sources])
            voxels = on_grid_of(volume.voxels, volume.ijk_to_ras, source.ijk_to_ras, source.voxels.shape)
            pixel_type = source.pixel_type if job.suffix == "denoised" else volume.pixel_type
            volume = replace(source.with_voxels(voxels), pixel_type=pixel_type)
        derived = derivation(job.report, job.suffix)
        io.write(volume, target, overwrite=job.overwrite, derivation=derived)
        return Saved(job.job)


def _read_sources(files: list[Path]) -> Any:
    from MRIDenoiseLib import io

    if len(files) == 1:
        return io.read(files[0])
    return io.read_slices((path, None) for path in files)


def _checked_region(shape: tuple[int, ...], region: list[list[int]]) -> list[list[int]]:
    if len(region) != 3 or not all(len(side) == 2 and 0 <= side[0] < side[1] <= size for side, size in zip(region, shape, strict=True)):
        raise InputError("the region lies outside the volume or is empty; draw it inside the image")
    return [list(side) for side in region]
