"""What Slicer's own test run does with the module: the way of a user from the sample volume to a scene that is loaded again."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from MRIDenoiseLib.mrml.results import result_of
from MRIDenoisePanel.sampledata import CLEAN, NOISY, registerSampleData

PATIENCE = 600.0
"""Seconds for one job."""


class SelfTest:
    """Drives the module's own window.

    Args:
        say: shows what is being done.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def run(self) -> None:
        """All steps; an assertion fails when one did not do what it should."""
        import SampleData

        widget = slicer.modules.mridenoise.widgetRepresentation().self()
        widget.enter()
        if not widget.ready:
            # As on a machine that only builds extensions: nothing may be installed there.
            self._say("Skipped: " + widget.ui.setupLabel.text)
            return
        registerSampleData()
        noisy = SampleData.SampleDataLogic().downloadSample(NOISY)
        clean = SampleData.SampleDataLogic().downloadSample(CLEAN)
        choices = widget.logic.getParameterNode()
        choices.inputVolume, choices.referenceVolume = noisy, clean

        self._say("Denoising")
        self._press(widget, widget.ui.denoiseButton)
        denoised = result_of(slicer.mrmlScene, noisy)
        assert denoised is not None, widget.ui.statusLabel.text
        before, after = slicer.util.arrayFromVolume(noisy), slicer.util.arrayFromVolume(denoised)
        assert before.shape == after.shape and before.dtype == after.dtype and (before != after).any()

        self._say("Comparing")
        slicer.app.processEvents()
        assert widget.ui.compareTwoButton.checked, "the comparison opens by itself"
        widget.ui.compareFourButton.click()
        widget.ui.leaveButton.click()

        self._say("Segmenting")
        self._press(widget, widget.ui.tissuesButton)
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 3, widget.ui.statusLabel.text
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") >= 2

        self._say("Saving and loading the scene")
        with tempfile.TemporaryDirectory() as folder:
            place = str(Path(folder) / "scene.mrb")
            assert slicer.util.saveScene(place)
            slicer.mrmlScene.Clear()
            assert slicer.util.loadScene(place)
        again = slicer.mrmlScene.GetFirstNodeByName(noisy.GetName())
        assert result_of(slicer.mrmlScene, again) is not None
        self._say("Passed")

    def _press(self, widget: Any, button: Any) -> None:
        """Press a button and wait for the job that it starts."""
        assert button.enabled, button.toolTip
        button.click()
        began = time.monotonic()
        while widget.engine.busy:
            assert time.monotonic() - began < PATIENCE
            slicer.app.processEvents()
            time.sleep(0.02)
