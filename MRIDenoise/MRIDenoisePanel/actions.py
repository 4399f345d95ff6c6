"""What the panel's buttons request from the logic, and how the results are shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.mrml.planes import slice_in_view
from MRIDenoiseLib.mrml.results import residual_of, settings_of, source_of
from MRIDenoiseLib.mrml.volumes import INSTANCES, check_grey_volume, slice_axis_of
from MRIDenoisePanel.acquisition import AcquisitionSection
from MRIDenoisePanel.comparing import CompareSection
from MRIDenoisePanel.logic import MRIDenoiseLogic
from MRIDenoisePanel.model import ModelSection
from MRIDenoisePanel.run import Run
from MRIDenoisePanel.tissues import TissuesSection


class Actions:
    """Starts jobs with the panel's choices. Every method but :meth:`sourceFiles` raises what keeps it from starting.

    Args:
        logic: does them.
        choices: gives the parameter node.
        model: how to denoise.
        acquisition: what was scanned.
        compare: shows results.
        tissues: shows segmentations.
        say: shows a sentence.
        guarded: runs what takes a result, and shows its errors.
    """

    def __init__(
        self,
        logic: MRIDenoiseLogic,
        choices: Callable[[], Any],
        *,
        model: ModelSection,
        acquisition: AcquisitionSection,
        compare: CompareSection,
        tissues: TissuesSection,
        say: Callable[..., None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._logic = logic
        self._choices = choices
        self._model = model
        self._acquisition = acquisition
        self._compare = compare
        self._tissues = tissues
        self._say = say
        self._guarded = guarded
        self._sources: tuple[Any, list[Path]] = (None, [])

    def denoise(self) -> None:
        """Denoise the noisy volume, or its region."""
        choices = self._choices()
        node = choices.inputVolume
        run = self._logic.process(node, reference=choices.referenceVolume, region=choices.region, wait=False, **self._settings())
        self._whenDone(run, lambda: self._denoised(node, run.wait()))

    def preview(self) -> None:
        """Denoise the slice that the user is looking at."""
        node = self._choices().inputVolume
        check_grey_volume(node)
        index = slice_in_view(slicer.mrmlScene, node, slice_axis_of(node))
        run = self._logic.preview(node, index, wait=False, **self._settings())
        self._whenDone(run, lambda: self._previewed(node, run.wait(), index))

    def segment(self) -> None:
        """Segment noisy, denoised and reference image alike."""
        choices = self._choices()
        run = self._logic.segment(
            choices.inputVolume,
            choices.denoisedVolume,
            reference=choices.referenceVolume,
            classes=choices.classes,
            wait=False,
            **self._acquisition.chosen,
        )

        def segmented() -> None:
            found = run.wait()
            self._tissues.show(found)
            self._say(" ".join([_("Segmented: {images}.").format(images=", ".join(found.segmentations)), *found.notes]))

        self._whenDone(run, segmented)

    def save(self, target: Path, overwrite: bool) -> None:
        """Write the result.

        Args:
            target: an image file, or a folder for a derived DICOM series.
            overwrite: whether an earlier result there may be replaced.
        """
        run = self._logic.export(self._choices().denoisedVolume, target, overwrite=overwrite, wait=False)
        self._whenDone(run, lambda: self._say(_("Saved: {place}").format(place=run.wait())))

    def sourceFiles(self) -> list[Path]:
        """The DICOM files of the volume that the result was made from; looked up once."""
        result = self._choices().denoisedVolume
        source = source_of(result) if result is not None else None
        key = None if source is None else (source.GetID(), source.GetAttribute(INSTANCES))
        if key != self._sources[0]:
            self._sources = (key, self._logic.sourceFiles(result) if source is not None else [])
        return self._sources[1]

    def _settings(self) -> dict[str, Any]:
        """The panel's choices as the logic takes them."""
        return {"bundle": self._model.folder, "device": self._choices().device, **self._model.settings, **self._acquisition.chosen}

    def _whenDone(self, run: Run, take: Callable[[], None]) -> None:
        run.whenDone(lambda _run: self._guarded(take))

    def _denoised(self, node: Any, made: Any) -> None:
        report = settings_of(made)
        sentence = _("Done in {seconds:.0f} s; {noise}").format(seconds=report["seconds"], noise=_noiseOf(report))
        if self._choices().inputVolume is node:
            self._choices().denoisedVolume, self._choices().residualVolume = made, residual_of(made)
            self._compare.enterSoon()
        else:
            sentence = _("{name} is denoised and placed next to its source in the scene.").format(name=node.GetName()) + " " + sentence
        guaranteed = (report.get("guarantee") or {}).get("sentence", "")
        self._say(" ".join(part for part in (sentence, *report["warnings"], guaranteed) if part))

    def _previewed(self, node: Any, preview: Any, index: int) -> None:
        if self._choices().inputVolume is not node:
            slicer.mrmlScene.RemoveNode(preview)
            return
        report = settings_of(preview)
        self._compare.enter(preview=preview, index=index)
        sentence = _("Preview of slice {k}; the other slices are unchanged; {noise}").format(k=index + 1, noise=_noiseOf(report))
        self._say(" ".join([sentence, *report["warnings"]]))


def _noiseOf(report: dict[str, Any]) -> str:
    """The noise found and the part of it that went, to end a sentence with."""
    removed = report["noise_removed"]
    found = _("noise {level:.3g}, {share:.1%} of the bright tissue").format(
        level=report["noise_level"], share=report["noise_level_fraction"]
    )
    return f"{found}." if removed is None else _("{found}; {part:.0%} of it removed in flat tissue.").format(found=found, part=removed)
