"""The panel: ties the sections, the parameter node and the worker together."""

import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from MRIDenoiseLib.errors import FAULT, MRIDenoiseError, explain
from MRIDenoiseLib.mrml.comparison import Comparison
from MRIDenoiseLib.mrml.headers import INSTANCES, source_files
from MRIDenoiseLib.mrml.layouts import register_layouts
from MRIDenoiseLib.mrml.placing import source_of
from MRIDenoiseLib.mrml.regions import region_of
from MRIDenoiseLib.mrml.results import Account, add_preview, add_results, remove_previews, result_of, settings_of
from MRIDenoiseLib.mrml.slices import slice_in_view
from MRIDenoiseLib.mrml.volumes import acquisition_of, slice_axis_of, to_volume
from MRIDenoiseLib.time_left import time_left
from MRIDenoiseLib.volume import Acquisition
from MRIDenoiseLib.worker.client import Answer, DenoisedVolume, SegmentedImages, WorkerClient
from MRIDenoiseLib.worker.protocol import Failed, Saved
from MRIDenoisePanel.acquisition import AcquisitionSection
from MRIDenoisePanel.comparing import CompareSection
from MRIDenoisePanel.engine import Engine, sentenceOf
from MRIDenoisePanel.model import ModelSection
from MRIDenoisePanel.parameters import MRIDenoiseParameterNode
from MRIDenoisePanel.saving import SaveSection
from MRIDenoisePanel.setup import SetupSection
from MRIDenoisePanel.tissues import TissuesSection

SECONDS_TO_FINISH = 30.0
WRONG = "color: #C0392B"
Region = list[tuple[int, int]] | None


class MRIDenoiseWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's window.

    Args:
        parent: where it is put.
        command: what runs Python for the worker; Slicer's own when not given.
    """

    def __init__(self, parent: Any = None, command: list[str] | None = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self._command = command
        self._choices: MRIDenoiseParameterNode | None = None
        self._guiTag: Any = None
        self._watched: Any = None
        self._seen: tuple[Any, ...] | None = None
        self._sources: tuple[Any, list[Path]] = (None, [])

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        from MRIDenoise import MRIDenoiseLogic

        window = slicer.util.loadUI(self.resourcePath("UI/MRIDenoise.ui"))
        self.layout.addWidget(window)
        self.ui = slicer.util.childWidgetVariables(window)
        window.setMRMLScene(slicer.mrmlScene)
        if slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode") is not None:
            # A scene that was saved during a comparison asks for its layout when it is opened. Without a main window there is none.
            register_layouts(slicer.mrmlScene)
        self.logic = MRIDenoiseLogic()
        self.engine = Engine(self._makeClient, self._showState)
        choices: Callable[[], Any] = lambda: self._choices  # noqa: E731
        self._setup = SetupSection(self.ui, Path(self.resourcePath("requirements.txt")), self._releaseWorker, self._showState)
        self._model = ModelSection(self.ui, choices, self._modelChanged)
        self._acquisition = AcquisitionSection(self.ui, choices, lambda: self._model.trainedOn, self._showState)
        self._compare = CompareSection(
            self.ui, choices, lambda left: Comparison(slicer.mrmlScene, slicer.app.applicationLogic(), when_left=left)
        )
        self._tissues = TissuesSection(self.ui, choices)
        self._save = SaveSection(self.ui, self._saveTo)
        self.ui.denoiseButton.connect("clicked(bool)", lambda _on: self._denoiseOrCancel())
        self.ui.previewButton.connect("clicked(bool)", lambda _on: self._guarded(self._preview))
        self.ui.tissuesButton.connect("clicked(bool)", lambda _on: self._guarded(self._segment))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self._sceneCloses)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self._sceneClosed)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self._sceneLoaded)
        self._connectChoices(restored=True)

    def cleanup(self) -> None:
        """The module goes: so does its worker, after it has finished writing."""
        self.engine.finish(SECONDS_TO_FINISH)
        self.engine.close()
        self._compare.stop()
        self._disconnectChoices()
        self.removeObservers()

    def enter(self) -> None:
        """The user opens the module."""
        if self._choices is None:
            self._connectChoices(restored=True)
        self._setup.check()

    def exit(self) -> None:
        """The user goes to another module; a job goes on."""

    def onReload(self) -> None:
        """Reload the panel's files as well as the module's own."""
        for name in [name for name in sys.modules if name.split(".")[0] == "MRIDenoisePanel"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    @property
    def ready(self) -> bool:
        """Whether everything that denoising needs is installed."""
        return self._setup.found.ready

    # The parameter node

    def _connectChoices(self, restored: bool) -> None:
        """Take up the scene's parameter node, and with a scene that was loaded what its user said."""
        self._choices = self.logic.getParameterNode()
        if self._choices.inputVolume is None:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first is not None and first.GetClassName() == "vtkMRMLScalarVolumeNode":
                self._choices.inputVolume = first
        self._model.show()
        self._guiTag = self._choices.connectGui(self.ui)
        self.addObserver(self._choices.parameterNode, vtk.vtkCommand.ModifiedEvent, self._choicesChanged)
        self._seen = None
        self._volumeChosen(restored)
        self._showState()

    def _disconnectChoices(self) -> None:
        if self._choices is not None:
            self.removeObserver(self._choices.parameterNode, vtk.vtkCommand.ModifiedEvent, self._choicesChanged)
            self._choices.disconnectGui(self._guiTag)
            self._choices = None
            self._watch(None)

    def _choicesChanged(self, _caller: Any, _event: Any) -> None:
        self._volumeChosen(restored=False)
        self._showState()

    def _modelChanged(self) -> None:
        self._acquisition.show()
        self._showState()

    def _volumeChosen(self, restored: bool) -> None:
        """Read what is known about another volume, of which nothing stays for the next; or what is known anew of the same one."""
        volume = self._choices.inputVolume
        if volume is not self._watched:
            self._watch(volume)
        seen = _facts(volume)
        if seen == self._seen:
            return
        another = self._seen is None or seen[:1] != self._seen[:1]
        self._seen = seen
        try:
            acquisition = acquisition_of(volume, self._fileOfInstance) if volume is not None else Acquisition()
            self.ui.inputNote.text = ""
        except MRIDenoiseError as error:
            acquisition = Acquisition()
            self.ui.inputNote.text = str(error)
        if restored or not another:
            self._acquisition.restore(acquisition)
        else:
            self._acquisition.read(acquisition)
            self._choices.denoisedVolume, self._choices.residualVolume = (
                result_of(slicer.mrmlScene, volume, role) if volume is not None else None for role in ("denoised", "residual")
            )
            self._tissues.forget()

    def _watch(self, volume: Any) -> None:
        """A loader adds a volume first and gives it its image and headers afterwards."""
        if self._watched is not None:
            self.removeObserver(self._watched, vtk.vtkCommand.ModifiedEvent, self._choicesChanged)
        self._watched = volume
        if volume is not None:
            self.addObserver(volume, vtk.vtkCommand.ModifiedEvent, self._choicesChanged)

    # The scene

    def _sceneCloses(self, _caller: Any, _event: Any) -> None:
        if not self.engine.lasting:
            self.engine.close()
        self._disconnectChoices()

    def _sceneClosed(self, _caller: Any, _event: Any) -> None:
        self._say("")
        self._tissues.forget()
        self._connectChoices(restored=False)

    def _sceneLoaded(self, _caller: Any, _event: Any) -> None:
        self._disconnectChoices()
        self._connectChoices(restored=True)

    # Jobs

    def _guarded(self, job: Callable[[], None]) -> None:
        """Start a job, or take its answer; whatever is wrong is said in the panel, for nothing else in this process would."""
        try:
            self._say("")
            job()
        except Exception as error:  # noqa: BLE001 - the edge: here every error becomes one sentence
            status, sentence = explain(error, _("the Python console shows where; try again, and report it"))
            if status == FAULT:
                traceback.print_exc()
            self._say(sentenceOf(sentence), wrong=True)
        self._showState()

    def _denoiseOrCancel(self) -> None:
        if self.engine.busy:
            self.engine.cancel()
        else:
            self._guarded(self._denoise)

    def _denoise(self) -> None:
        node = self._choices.inputVolume
        volume = to_volume(node).with_acquisition(self._acquisition.acquisition)
        region = None if self._choices.region is None else region_of(self._choices.region, node)
        self._askToDenoise(node, volume, self._model.settings, region, self._denoised)

    def _preview(self) -> None:
        node = self._choices.inputVolume
        volume = to_volume(node).with_acquisition(self._acquisition.acquisition)
        k = slice_in_view(slicer.mrmlScene, node, volume.slice_axis)
        self._askToDenoise(node, volume, {**self._model.settings, "slices": (k, k + 1)}, None, self._previewed)

    def _askToDenoise(
        self, node: Any, volume: Any, settings: dict[str, Any], region: Any, done: Callable[[Any, DenoisedVolume], None]
    ) -> None:
        model, device = self._model.folder, self._choices.device
        name = node.GetID()

        def answered(answer: Answer) -> None:
            source = slicer.mrmlScene.GetNodeByID(name)
            if isinstance(answer, Failed):
                self._failed(answer)
            elif source is not node:
                self._say(_("The volume was removed in the meantime; its result was dropped."), wrong=True)
            else:
                self._guarded(lambda: done(node, answer))

        self.engine.ask(lambda client: client.denoise(volume, settings, bundle=model, device=device, region=region), answered)

    def _denoised(self, node: Any, answer: DenoisedVolume) -> None:
        remove_previews(slicer.mrmlScene, node)
        account = Account(answer.report, answer.report["bundle"])
        made = add_results(slicer.mrmlScene, node, answer.volume, answer.residual, account)
        said = _("Done in {seconds:.0f} s; noise {level:.3g}, {share:.1%} of the bright tissue.").format(
            seconds=answer.report["seconds"], level=answer.noise_level, share=answer.report["noise_level_fraction"]
        )
        if self._choices.inputVolume is node:
            self._choices.denoisedVolume, self._choices.residualVolume = made.denoised, made.residual
            self._compare.enterSoon()
        else:
            said = _("{name} is denoised, beside its source in the scene.").format(name=node.GetName()) + " " + said
        self._say(" ".join([said, *answer.report["warnings"]]))

    def _previewed(self, node: Any, answer: DenoisedVolume) -> None:
        if self._choices.inputVolume is not node:
            return
        preview = add_preview(slicer.mrmlScene, node, answer.volume, Account(answer.report, answer.report["bundle"]))
        k = answer.report["slices"][0]
        self._compare.enter(preview=preview, index=k)
        self._say(_("Preview of slice {k}: the others are as they were.").format(k=k + 1))

    def _segment(self) -> None:
        nodes = self._tissues.images()
        acquisition, axis = self._acquisition.acquisition, slice_axis_of(self._choices.inputVolume)
        images = [(name, replace(to_volume(node).with_acquisition(acquisition), acquired_axis=axis)) for name, node in nodes.items()]
        reference = len(images) - 1 if self._choices.referenceVolume is not None else None
        classes = self._choices.classes
        names = {name: node.GetID() for name, node in nodes.items()}

        def answered(answer: Answer) -> None:
            if isinstance(answer, Failed):
                self._failed(answer)
            elif any(slicer.mrmlScene.GetNodeByID(names[name]) is not node for name, node in nodes.items()):
                self._say(_("A volume was removed in the meantime; its segmentation was dropped."), wrong=True)
            elif isinstance(answer, SegmentedImages):
                self._guarded(lambda: self._segmented(nodes, answer))

        self.engine.ask(lambda client: client.segment(images, reference=reference, classes=classes), answered)

    def _segmented(self, nodes: dict[str, Any], answer: SegmentedImages) -> None:
        self._tissues.show(nodes, answer)
        self._say(_("Segmented: {images}.").format(images=", ".join(nodes)))

    def _saveTo(self, target: Path, overwrite: bool) -> None:
        def start() -> None:
            node = self._choices.denoisedVolume
            volume, report, sources = to_volume(node), settings_of(node), self._sourceFiles()
            # It needs nothing of the scene any more, so it goes on when the scene is closed.
            self.engine.ask(
                lambda client: client.save(volume, target, report, sources=sources, overwrite=overwrite), answered, lasting=True
            )

        def answered(answer: Answer) -> None:
            if isinstance(answer, Failed):
                self._failed(answer)
            elif isinstance(answer, Saved):
                self._say(_("Saved: {place}").format(place=target))

        self._guarded(start)

    def _sourceFiles(self) -> list[Path]:
        """The DICOM files of the volume that the result was made from; looked up once."""
        result = self._choices.denoisedVolume
        source = source_of(result) if result is not None else None
        key = None if source is None else (source.GetID(), source.GetAttribute(INSTANCES))
        if key != self._sources[0]:
            self._sources = (key, source_files(source, self._fileOfInstance) if source is not None else [])
        return self._sources[1]

    def _failed(self, answer: Failed) -> None:
        self._say(sentenceOf(answer.sentence), wrong=not answer.cancelled)

    # What is shown

    def _say(self, text: str, wrong: bool = False) -> None:
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)
        self.ui.statusLabel.styleSheet = WRONG if wrong else ""

    def _showState(self) -> None:
        """Buttons, their reasons, and the progress bar."""
        if self._choices is None:
            return
        busy = self.engine.busy
        why = self._whyNot()
        self.ui.denoiseButton.text = _("Cancel") if busy else _("Denoise")
        self.ui.denoiseButton.enabled = not (self.engine.cancelling or self.engine.lasting) if busy else not why
        tip = _("Writing is not stopped half-way") if self.engine.lasting else ""
        self.ui.denoiseButton.toolTip = tip if busy else why or _("Denoise the whole volume, or the region")
        waiting = _("Wait until the present work is done, or cancel it") if busy else ""
        self._allow(self.ui.previewButton, waiting or why, _("Denoise only the slice shown, all of it, with its neighbours' help"))
        self._allow(self.ui.tissuesButton, waiting or why, _("Segment noisy, denoised and reference image in one mask"))
        result = self._choices.denoisedVolume
        self._save.show(waiting or ("" if result is not None else _("Denoise a volume first")), self._sourceFiles())
        self._compare.show()
        self.ui.inputNote.visible = bool(self.ui.inputNote.text)
        self._showProgress()

    def _whyNot(self) -> str:
        """Why nothing can be denoised now; empty when it can."""
        if not self._setup.found.ready:
            return _("Python packages are missing: see Set-up")
        if self._choices.inputVolume is None:
            return _("Choose a noisy volume first")
        return self.ui.inputNote.text or self._model.wrong

    def _allow(self, button: Any, why: str, tip: str) -> None:
        button.enabled = not why
        button.toolTip = why or tip

    def _showProgress(self) -> None:
        engine, bar = self.engine, self.ui.progressBar
        bar.visible = engine.busy
        if not engine.busy:
            return
        progress = engine.progress
        # A bar without range moves by itself: nobody can tell how long a start takes.
        bar.maximum = 1000 if progress is not None and progress.fraction > 0 else 0
        bar.value = int(1000 * progress.fraction) if progress is not None else 0
        if engine.cancelling:
            self._say(_("Stopping\u2026"))
        elif progress is None:
            self._say(_("Starting\u2026"))
        else:
            self._say(f"{progress.what}\u2026 {time_left(progress.seconds_left)}".rstrip())

    # The application

    def _releaseWorker(self) -> bool:
        """End the worker, unless it is at work."""
        if not self.engine.busy:
            self.engine.close()
        return not self.engine.busy

    def _makeClient(self, onAnswer: Callable[[Answer], None]) -> WorkerClient:
        return WorkerClient(self._command or [shutil.which("PythonSlicer") or sys.executable], onAnswer)

    def _fileOfInstance(self, uid: str) -> str:
        return slicer.dicomDatabase.fileForInstance(uid)


def _facts(volume: Any) -> tuple[Any, ...]:
    """What the acquisition is read from, so that it is read again only when something of it has changed."""
    if volume is None:
        return ()
    image = volume.GetImageData()
    dimensions = image.GetDimensions() if image is not None else None
    return volume.GetID(), volume.GetName(), volume.GetAttribute(INSTANCES), dimensions
