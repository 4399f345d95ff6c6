"""Window and level: kept, put back, and held in step between images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import slicer
import vtk


@dataclass(frozen=True)
class WindowLevel:
    """How bright a volume is shown.

    Args:
        window: width of the range shown, in the volume's units.
        level: its middle.
        automatic: whether the display node finds both itself, from the image.
    """

    window: float
    level: float
    automatic: bool

    @classmethod
    def of(cls, display: slicer.vtkMRMLScalarVolumeDisplayNode) -> WindowLevel:
        """What a display node shows now."""
        return cls(display.GetWindow(), display.GetLevel(), bool(display.GetAutoWindowLevel()))

    def give(self, display: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
        """Make a display node show this."""
        with slicer.util.NodeModify(display):
            display.SetWindowLevel(self.window, self.level)
            display.SetAutoWindowLevel(self.automatic)


class InStep(slicer.util.VTKObservationMixin):
    """Display nodes that share window and level: who changes one changes all, until :meth:`stop`.

    Args:
        displays: the first one's window and level are taken for all.
    """

    def __init__(self, displays: Sequence[slicer.vtkMRMLScalarVolumeDisplayNode]) -> None:
        super().__init__()
        self._displays = list(displays)
        self._copying = False
        for display in self._displays:
            # An automatic window would leave the step as soon as an image changes.
            display.SetAutoWindowLevel(False)
        self._copy_from(self._displays[0])
        for display in self._displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._changed)

    def stop(self) -> None:
        """Let each go its own way again; window and level stay as they are."""
        self.removeObservers()

    def _changed(self, display: slicer.vtkMRMLScalarVolumeDisplayNode, _event: object) -> None:
        self._copy_from(display)

    def _copy_from(self, leader: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
        if self._copying:
            # The change comes from below, not from the user.
            return
        self._copying = True
        try:
            shown = WindowLevel(leader.GetWindow(), leader.GetLevel(), False)
            for display in self._displays:
                if display is not leader and (display.GetWindow(), display.GetLevel()) != (shown.window, shown.level):
                    shown.give(display)
        finally:
            self._copying = False
