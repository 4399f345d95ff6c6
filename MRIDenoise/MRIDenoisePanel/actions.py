"""What the panel's buttons ask of the worker, and what becomes of its answers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.mrml.planes import region_of, slice_in_view
from MRIDenoiseLib.mrml.results import Account, add_preview, add_results, remove_previews, settings_of, source_of
from MRIDenoiseLib.mrml.volumes import INSTANCES, slice_axis_of, source_files, to_volume
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker.client import Answer, DenoisedVolume, SegmentedImages
from MRIDenoiseLib.worker.protocol import Failed, Saved
from MRIDenoisePanel.acquisition import AcquisitionSection
from MRIDenoisePanel.comparing import CompareSection
from MRIDenoisePanel.engine import Engine, sentenceOf
from MRIDenoisePanel.model import ModelSection
from MRIDenoisePanel.tissues import TissuesSection

Region = list[tuple[int, int]] | None


class Actions:
    """Starts jobs with the panel's choices. Every method but :meth:`sourceFiles` raises what keeps it from starting.

    Args:
        engine: does them.
        choices: gives the parameter node.
        model: how to denoise.
        acquisition: what was scanned.
        compare: shows results.
        tissues: shows segmentations.
        fileOfInstance: SOP Instance UID (0008,0018) -> file.
        say: shows a sentence; ``wrong`` marks it.
        guarded: runs what takes an answer, and shows its errors.
    """

    def __init__(
        self,
        engine: Engine,
        choices: Callable[[], Any],
        *,
        model: ModelSection,
        acquisition: AcquisitionSection,
        compare: CompareSection,
        tissues: TissuesSection,
        fileOfInstance: Callable[[str], str],
        say: Callable[..., None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._engine = engine
        self._choices = choices
        self._model = model
        self._acquisition = acquisition
        self._compare = compare
        self._tissues = tissues
        self._fileOfInstance = fileOfInstance
        self._say = say
        self._guarded = guarded
        self._sources: tuple[Any, list[Path]] = (None, [])

    def denoise(self) -> None:
        """Denoise the noisy volume, or its region."""
        node = self._choices().inputVolume
        volume = to_volume(node).with_acquisition(self._acquisition.acquisition)
        region = None if self._choices().region is None else region_of(self._choices().region, node)
        self._askToDenoise(node, volume, self._model.settings, region, self._denoised)

    def preview(self) -> None:
        """Denoise the slice that the user is looking at."""
        node = self._choices().inputVolume
        volume = to_volume(node).with_acquisition(self._acquisition.acquisition)
        k = slice_in_view(slicer.mrmlScene, node, volume.slice_axis)
        self._askToDenoise(node, volume, {**self._model.settings, "slices": (k, k + 1)}, None, self._previewed)

    def _askToDenoise(
        self, node: Any, volume: Volume, settings: dict[str, Any], region: Region, done: Callable[[Any, DenoisedVolume], None]
    ) -> None:
        model, device = self._model.folder, self._choices().device
        name = node.GetID()

        def answered(answer: Answer) -> None:
            source = slicer.mrmlScene.GetNodeByID(name)
            if isinstance(answer, Failed):
                self._failed(answer)
            elif source is not node:
                self._say(_("The volume was removed in the meantime; its result was dropped."), wrong=True)
            else:
                self._guarded(lambda: done(node, answer))

        self._engine.ask(lambda client: client.denoise(volume, settings, bundle=model, device=device, region=region), answered)

    def _denoised(self, node: Any, answer: DenoisedVolume) -> None:
        remove_previews(slicer.mrmlScene, node)
        account = Account(answer.report, answer.report["bundle"])
        made = add_results(slicer.mrmlScene, node, answer.volume, answer.residual, account)
        said = _("Done in {seconds:.0f} s; {noise}").format(seconds=answer.report["seconds"], noise=_noiseOf(answer))
        if self._choices().inputVolume is node:
            self._choices().denoisedVolume, self._choices().residualVolume = made.denoised, made.residual
            self._compare.enterSoon()
        else:
            said = _("{name} is denoised, beside its source in the scene.").format(name=node.GetName()) + " " + said
        self._say(" ".join([said, *answer.report["warnings"]]))

    def _previewed(self, node: Any, answer: DenoisedVolume) -> None:
        if self._choices().inputVolume is not node:
            return
        preview = add_preview(slicer.mrmlScene, node, answer.volume, Account(answer.report, answer.report["bundle"]))
        k = answer.report["slices"][0]
        self._compare.enter(preview=preview, index=k)
        said = _("Preview of slice {k}: the others are as they were; {noise}").format(k=k + 1, noise=_noiseOf(answer))
        self._say(" ".join([said, *answer.report["warnings"]]))

    def segment(self) -> None:
        """Segment noisy, denoised and reference image alike."""
        nodes = self._tissues.images()
        acquisition, axis = self._acquisition.acquisition, slice_axis_of(self._choices().inputVolume)
        images = [(name, replace(to_volume(node).with_acquisition(acquisition), acquired_axis=axis)) for name, node in nodes.items()]
        reference = len(images) - 1 if self._choices().referenceVolume is not None else None
        classes = self._choices().classes
        names = {name: node.GetID() for name, node in nodes.items()}

        def answered(answer: Answer) -> None:
            if isinstance(answer, Failed):
                self._failed(answer)
            elif any(slicer.mrmlScene.GetNodeByID(names[name]) is not node for name, node in nodes.items()):
                self._say(_("A volume was removed in the meantime; its segmentation was dropped."), wrong=True)
            elif isinstance(answer, SegmentedImages):
                self._guarded(lambda: self._segmented(nodes, answer))

        self._engine.ask(lambda client: client.segment(images, reference=reference, classes=classes), answered)

    def _segmented(self, nodes: dict[str, Any], answer: SegmentedImages) -> None:
        self._tissues.show(nodes, answer)
        self._say(_("Segmented: {images}.").format(images=", ".join(nodes)))

    def save(self, target: Path, overwrite: bool) -> None:
        """Write the result.

        Args:
            target: an image file, or a folder for a derived DICOM series.
            overwrite: whether an earlier result there may be replaced.
        """
        node = self._choices().denoisedVolume
        volume, report, sources = to_volume(node), settings_of(node), self.sourceFiles()

        def answered(answer: Answer) -> None:
            if isinstance(answer, Failed):
                self._failed(answer)
            elif isinstance(answer, Saved):
                self._say(_("Saved: {place}").format(place=target))

        # It needs nothing of the scene any more, so it goes on when the scene is closed.
        self._engine.ask(lambda client: client.save(volume, target, report, sources=sources, overwrite=overwrite), answered, lasting=True)

    def sourceFiles(self) -> list[Path]:
        """The DICOM files of the volume that the result was made from; looked up once."""
        result = self._choices().denoisedVolume
        source = source_of(result) if result is not None else None
        key = None if source is None else (source.GetID(), source.GetAttribute(INSTANCES))
        if key != self._sources[0]:
            self._sources = (key, source_files(source, self._fileOfInstance) if source is not None else [])
        return self._sources[1]

    def _failed(self, answer: Failed) -> None:
        self._say(sentenceOf(answer.sentence), wrong=not answer.cancelled)


def _noiseOf(answer: DenoisedVolume) -> str:
    """The noise found and the part of it that went, to end a sentence with."""
    removed = answer.report["noise_removed"]
    found = _("noise {level:.3g}, {share:.1%} of the bright tissue").format(
        level=answer.noise_level, share=answer.report["noise_level_fraction"]
    )
    return f"{found}." if removed is None else _("{found}; {part:.0%} of it removed in flat tissue.").format(found=found, part=removed)
