"""The panel: ties the sections, the parameter node and the worker together."""

import sys
import traceback
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from MRIDenoiseLib.errors import CANCELLED, FAULT, MRIDenoiseError, explain
from MRIDenoiseLib.mrml.comparison import Comparison
from MRIDenoiseLib.mrml.layouts import register_layouts
from MRIDenoiseLib.mrml.reading_room import ReadingRoom
from MRIDenoiseLib.mrml.results import reference_of, result_of
from MRIDenoiseLib.mrml.volumes import INSTANCES, acquisition_of
from MRIDenoiseLib.progress import time_left
from MRIDenoiseLib.volume import Acquisition
from MRIDenoisePanel.acquisition import AcquisitionSection
from MRIDenoisePanel.actions import Actions
from MRIDenoisePanel.comparing import CompareSection
from MRIDenoisePanel.engine import Engine, sentenceOf
from MRIDenoisePanel.logic import REQUIREMENTS, MRIDenoiseLogic
from MRIDenoisePanel.model import ModelSection
from MRIDenoisePanel.parameters import MRIDenoiseParameterNode
from MRIDenoisePanel.reading import ReadingSection
from MRIDenoisePanel.saving import SaveSection
from MRIDenoisePanel.setup import SetupSection
from MRIDenoisePanel.tissues import TissuesSection

SECONDS_TO_FINISH = 30.0
WRONG = "color: #C0392B"


class MRIDenoiseWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's window.

    Args:
        parent: where it is put.
        command: what runs Python for the worker; Slicer's own when not given.
    """

    def __init__(self, parent: Any = None, command: list[str] | None = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MRIDenoiseLogic | None = None
        self._command = command
        self._choices: MRIDenoiseParameterNode | None = None
        self._guiTag: Any = None
        self._watched: Any = None
        self._seen: tuple[Any, ...] | None = None

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        window = slicer.util.loadUI(self.resourcePath("UI/MRIDenoise.ui"))
        self.layout.addWidget(window)
        self.ui = slicer.util.childWidgetVariables(window)
        window.setMRMLScene(slicer.mrmlScene)
        if slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode") is not None:
            # A scene that was saved during a comparison needs its layout when it is opened. Without a main window there is none.
            register_layouts(slicer.mrmlScene)
        self.logic = MRIDenoiseLogic(command=self._command)
        self.engine.onChange = self._showState
        choices: Callable[[], Any] = lambda: self._choices  # noqa: E731
        self._setup = SetupSection(self.ui, REQUIREMENTS, self._releaseWorker, self._showState)
        self._model = ModelSection(self.ui, choices, self._modelChanged)
        self._acquisition = AcquisitionSection(self.ui, choices, lambda: self._model.trainedOn, self._showState)
        self._compare = CompareSection(
            self.ui, choices, lambda left: Comparison(slicer.mrmlScene, slicer.app.applicationLogic(), when_left=left)
        )
        self._tissues = TissuesSection(self.ui)
        self._actions = Actions(
            self.logic,
            choices,
            model=self._model,
            acquisition=self._acquisition,
            compare=self._compare,
            tissues=self._tissues,
            say=self._say,
            guarded=self._guarded,
        )
        self._save = SaveSection(self.ui, lambda place, replace: self._guarded(lambda: self._actions.save(place, replace)))
        self._reading = ReadingSection(
            self.ui,
            lambda changed: ReadingRoom(slicer.mrmlScene, slicer.app.applicationLogic(), changed),
            self._guarded,
            lambda: _("Wait until the present work is done, or cancel it") if self.engine.busy else "",
            self._compare.leave,
        )
        self.ui.denoiseButton.connect("clicked(bool)", lambda _on: self._denoiseOrCancel())
        self.ui.previewButton.connect("clicked(bool)", lambda _on: self._guarded(self._actions.preview))
        self.ui.tissuesButton.connect("clicked(bool)", lambda _on: self._guarded(self._actions.segment))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self._sceneCloses)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self._sceneClosed)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self._sceneLoaded)
        self._connectChoices(restored=True)

    def cleanup(self) -> None:
        """The module goes: so does its worker, after it has finished writing."""
        self.engine.onChange = lambda: None
        self.engine.finish(SECONDS_TO_FINISH)
        self.logic.close()
        self._compare.stop()
        self._reading.stop()
        self._disconnectChoices()
        self.removeObservers()

    def enter(self) -> None:
        """The user opens the module."""
        if self._choices is None:
            self._connectChoices(restored=True)
        self._setup.check()

    def exit(self) -> None:
        """The user goes to another module; a job continues, a reader's case is hidden."""
        self._reading.pause()

    def onReload(self) -> None:
        """Reload the panel's files as well as the module's own."""
        for name in [name for name in sys.modules if name.split(".")[0] == "MRIDenoisePanel"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    @property
    def engine(self) -> Engine:
        """What does the logic's jobs, a script's as well as the panel's."""
        return self.logic.engine

    @property
    def ready(self) -> bool:
        """Whether everything that denoising needs is installed."""
        return self._setup.found.ready

    # The parameter node

    def _connectChoices(self, restored: bool) -> None:
        """Use the scene's parameter node, and, with a loaded scene, its user's choices."""
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
        """Read what is known about another volume, without traces of the last one; or read it again for the same one."""
        volume = self._choices.inputVolume
        if volume is not self._watched:
            self._watch(volume)
        seen = _facts(volume)
        if seen == self._seen:
            return
        another = self._seen is None or seen[:1] != self._seen[:1]
        self._seen = seen
        try:
            acquisition = acquisition_of(volume, self.logic.fileOfInstance) if volume is not None else Acquisition()
            self.ui.inputNote.text = ""
        except MRIDenoiseError as error:
            acquisition = Acquisition()
            self.ui.inputNote.text = str(error)
        if restored or not another:
            self._acquisition.restore(acquisition)
            if restored and self._choices.denoisedVolume is None:
                self._takeUpResults(volume)
        else:
            self._acquisition.read(acquisition)
            self._takeUpResults(volume)
            self._tissues.forget()

    def _takeUpResults(self, volume: Any) -> None:
        """The results for this volume that a script, or the panel at an earlier time, has made."""
        choices = self._choices
        choices.denoisedVolume, choices.residualVolume = (
            result_of(slicer.mrmlScene, volume, role) if volume is not None else None for role in ("denoised", "residual")
        )
        if choices.denoisedVolume is not None and choices.referenceVolume is None:
            choices.referenceVolume = reference_of(choices.denoisedVolume)

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
            self.logic.close()
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
        """Start a job, or take its answer; every error is shown in the panel, because nothing else in this process shows it."""
        try:
            self._say("")
            job()
        except Exception as error:  # noqa: BLE001 - the edge: here every error becomes one sentence
            status, sentence = explain(error, _("the Python console shows where; try again, and report it"))
            if status == FAULT:
                traceback.print_exc()
            self._say(sentenceOf(sentence), wrong=status != CANCELLED)
        self._showState()

    def _denoiseOrCancel(self) -> None:
        if self.engine.busy:
            self.engine.cancel()
        else:
            self._guarded(self._actions.denoise)

    # What is shown

    def _say(self, text: str, wrong: bool = False) -> None:
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)
        self.ui.statusLabel.styleSheet = WRONG if wrong else ""

    def _showState(self) -> None:
        """Buttons, their reasons, and the progress bar."""
        if self._choices is None:
            return
        self._reading.show()
        if self._reading.open:
            return
        busy = self.engine.busy
        why = self._whyNot()
        self.ui.denoiseButton.text = _("Cancel") if busy else _("Denoise")
        self.ui.denoiseButton.enabled = not (self.engine.cancelling or self.engine.lasting) if busy else not why
        tip = _("Writing cannot be cancelled") if self.engine.lasting else ""
        self.ui.denoiseButton.toolTip = tip if busy else why or _("Denoise the whole volume, or the region")
        waiting = _("Wait until the present work is done, or cancel it") if busy else ""
        self._allow(self.ui.previewButton, waiting or why, _("Denoise only the slice shown, all of it, with its neighbours' help"))
        self._allow(self.ui.tissuesButton, waiting or why, _("Segment noisy, denoised and reference image in one mask"))
        result = self._choices.denoisedVolume
        self._save.show(waiting or ("" if result is not None else _("Denoise a volume first")), self._actions.sourceFiles())
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
        # A bar without range shows activity only: it is not known how long a start takes.
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


def _facts(volume: Any) -> tuple[Any, ...]:
    """What the acquisition is read from, so that it is read again only when something of it has changed."""
    if volume is None:
        return ()
    image = volume.GetImageData()
    dimensions = image.GetDimensions() if image is not None else None
    return volume.GetID(), volume.GetName(), volume.GetAttribute(INSTANCES), dimensions
