"""One image in a slice view of ours: alone in it, linked to its neighbours, and taken out again.

What is written into the comparison's views: which image it is, drawn into the picture so that no screenshot loses it.
"""

from __future__ import annotations

import slicer
import vtk

from MRIDenoiseLib.mrml.layouts import DENOISED, NOISY, REFERENCE, RESIDUAL, View


def put_in_view(logic: slicer.vtkMRMLSliceLogic, volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSliceCompositeNode:
    """Give a slice view its image, its links and its orientation marker; returns its composite node.

    Args:
        logic: of the view.
        volume: the image; nothing else stays in the view.
    """
    slice_node, composite = logic.GetSliceNode(), logic.GetSliceCompositeNode()
    slice_node.SetOrientationMarkerType(slice_node.OrientationMarkerTypeAxes)
    slice_node.SetOrientationMarkerSize(slice_node.OrientationMarkerSizeMedium)
    with slicer.util.NodeModify(composite):
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
        composite.SetForegroundOpacity(0.0)
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)
        # A volume that is loaded meanwhile goes to the user's views, not into these.
        composite.SetDoPropagateVolumeSelection(False)
    return composite


def empty_view(composite: slicer.vtkMRMLSliceCompositeNode) -> None:
    """Take the images out of a view."""
    with slicer.util.NodeModify(composite):
        composite.SetBackgroundVolumeID(None)
        composite.SetForegroundVolumeID(None)


NAMES = {NOISY: "NOISY", DENOISED: "DENOISED", REFERENCE: "REFERENCE", RESIDUAL: "RESIDUAL"}
RESEARCH_USE = "research use only"

_LINE = 0.05
"""Height of the line, as a part of the view's."""


def title(background: View | None, foreground: View | None = None, opacity: float = 0.0) -> str:
    """The text for a view, empty when an image in it is not of the comparison.

    Args:
        background: in which view the image below has its place; None for another image.
        foreground: the same of the image above it.
        opacity: of the image above, 0 to 1; at 0 it does not matter which it is, at 1 the one below does not.
    """
    shown = [image for image, seen in ((background, opacity < 1), (foreground, opacity > 0)) if seen]
    names = [NAMES[image] for image in shown if image is not None]
    if len(names) < len(shown):
        return ""
    text = f"{names[0]} + {opacity:.0%} {names[1]}" if len(names) == 2 else names[0]
    return f"{text} · {RESEARCH_USE}" if DENOISED in shown else text


class ViewLabel:
    """A line of text at the upper edge of a view, where Slicer's own annotations (in the corners) leave room.

    Args:
        renderer: of the slice view.
    """

    def __init__(self, renderer: vtk.vtkRenderer) -> None:
        self._renderer = renderer
        self._text = vtk.vtkCornerAnnotation()
        self._text.SetMaximumLineHeight(_LINE)
        self._text.SetMinimumFontSize(8)
        self._text.SetMaximumFontSize(18)
        style = self._text.GetTextProperty()
        style.SetColor(1.0, 1.0, 0.6)
        # A residual is mid-grey: on it neither light nor dark text can be read without a ground of its own.
        style.SetBackgroundColor(0.0, 0.0, 0.0)
        style.SetBackgroundOpacity(0.6)
        renderer.AddViewProp(self._text)

    def show(self, text: str) -> None:
        """Write this, in the place of what stood there."""
        self._text.SetText(vtk.vtkCornerAnnotation.UpperEdge, text)

    def remove(self) -> None:
        """Take the text out of the view."""
        self._renderer.RemoveViewProp(self._text)
