"""Layouts of our own, for comparing and for blinded reading: which views there are, and how each layout arranges them.

Also one image in such a view: alone in it, linked to its neighbours, taken out again, and its name drawn into the picture so that no
screenshot loses it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import slicer
import vtk

VIEW_GROUP = 4127
"""Slice views are linked within a group; this one is the comparison's alone."""
CASE_GROUP = 4128
"""A blinded reader's."""


class View(NamedTuple):
    """One slice view of ours.

    Args:
        tag: singleton tag and layout name of its slice node and its composite node.
        label: short name on the view's controller.
        colour: of the view's controller.
        group: the views it is linked with.
    """

    tag: str
    label: str
    colour: str
    group: int = VIEW_GROUP


NOISY = View("MRIDenoiseNoisy", "N", "#D9822B")
DENOISED = View("MRIDenoiseDenoised", "D", "#2F7ED8")
REFERENCE = View("MRIDenoiseReference", "Ref", "#3F9142")
RESIDUAL = View("MRIDenoiseResidual", "Res", "#7F7F7F")

VIEWS = (NOISY, DENOISED, REFERENCE, RESIDUAL)
"""The comparison's."""

CASE_VIEWS = tuple(View(f"MRIDenoiseCase{label}", label, "#8A8A8A", CASE_GROUP) for label in "ABC")
"""A blinded reader's views: all of one colour, because a reader would soon link a colour with an image."""


class Layout(IntEnum):
    """The comparison's layouts; the number is the layout's id in the scene's layout node, far from Slicer's own."""

    PAIR = 41271
    WITH_REFERENCE = 41272
    WITH_RESIDUAL = 41273
    ALL = 41274

    @property
    def rows(self) -> tuple[tuple[View, ...], ...]:
        """Its views, row by row from the top."""
        return _ROWS[self]

    @property
    def views(self) -> tuple[View, ...]:
        """Its views in the order of reading."""
        return tuple(view for row in self.rows for view in row)


class CaseLayout(IntEnum):
    """The layouts of blinded reading: one image, or two or three side by side."""

    ONE = 41281
    TWO = 41282
    THREE = 41283

    @classmethod
    def of(cls, images: int) -> CaseLayout:
        """The layout for 1, 2 or 3 images."""
        return list(cls)[images - 1]

    @property
    def rows(self) -> tuple[tuple[View, ...], ...]:
        """Its views: one row."""
        return (self.views,)

    @property
    def views(self) -> tuple[View, ...]:
        """Its views from left to right."""
        return CASE_VIEWS[: list(CaseLayout).index(self) + 1]


_ROWS: dict[Layout, tuple[tuple[View, ...], ...]] = {
    Layout.PAIR: ((NOISY, DENOISED),),
    Layout.WITH_REFERENCE: ((NOISY, DENOISED, REFERENCE),),
    Layout.WITH_RESIDUAL: ((NOISY, DENOISED, RESIDUAL),),
    Layout.ALL: ((NOISY, DENOISED), (REFERENCE, RESIDUAL)),
}


def layout_for(reference: bool, residual: bool) -> Layout:
    """The layout that shows every image there is."""
    if reference and residual:
        return Layout.ALL
    if reference:
        return Layout.WITH_REFERENCE
    return Layout.WITH_RESIDUAL if residual else Layout.PAIR


def is_ours(arrangement: int) -> bool:
    """Whether the id of a layout is one of ours."""
    return arrangement in {*Layout, *CaseLayout}


def register_layouts(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLLayoutNode:
    """Make the layouts known to the scene's layout node; call it as often as you like.

    A scene saved during a comparison or a reading needs its layout when it is opened, so the application registers them at start.

    Raises:
        RuntimeError: the application keeps no layout node, so there is nothing to arrange views with.
    """
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is None:
        raise RuntimeError("the scene has no layout node")
    for layout in (*Layout, *CaseLayout):
        if node.IsLayoutDescription(layout.value):
            node.SetLayoutDescription(layout.value, _xml(layout))
        else:
            node.AddLayoutDescription(layout.value, _xml(layout))
    return node


def _xml(layout: Layout | CaseLayout) -> str:
    rows = [_split("horizontal", [_item(_view(view)) for view in row]) for row in layout.rows]
    return rows[0] if len(rows) == 1 else _split("vertical", [_item(row) for row in rows])


def _split(direction: str, items: list[str]) -> str:
    return f'<layout type="{direction}" split="true">{"".join(items)}</layout>'


def _item(content: str) -> str:
    return f"<item>{content}</item>"


def _view(view: View) -> str:
    properties = {"orientation": "Axial", "viewlabel": view.label, "viewcolor": view.colour, "viewgroup": view.group}
    lines = "".join(f'<property name="{name}" action="default">{value}</property>' for name, value in properties.items())
    return f'<view class="vtkMRMLSliceNode" singletontag="{view.tag}">{lines}</view>'


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
OUTSIDE_TRAINING = "UNLIKE WHAT THE MODEL LEARNED FROM"
"""Beside the name of a result that its own account warns of."""
UNCERTAINTY = "UNCERTAINTY"

_LINE = 0.05
"""Height of the line, as a part of the view's."""


def title(background: View | None, foreground: View | None = None, opacity: float = 0.0, *, outside: bool = False) -> str:
    """The text for a view, empty when an image in it is not of the comparison.

    Args:
        background: in which view the image below has its place; None for another image.
        foreground: the same of the image above it.
        opacity: of the image above, 0 to 1; at 0 it does not matter which it is, at 1 the one below does not.
        outside: whether the denoised image is unlike those that the model learned from.
    """
    shown = [image for image, seen in ((background, opacity < 1), (foreground, opacity > 0)) if seen]
    names = [NAMES[image] for image in shown if image is not None]
    if len(names) < len(shown):
        return ""
    text = f"{names[0]} + {opacity:.0%} {names[1]}" if len(names) == 2 else names[0]
    if DENOISED not in shown:
        return text
    return " · ".join([text, *([OUTSIDE_TRAINING] if outside else []), RESEARCH_USE])


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
        # A residual is mid-grey: on it neither light nor dark text can be read without a background.
        style.SetBackgroundColor(0.0, 0.0, 0.0)
        style.SetBackgroundOpacity(0.6)
        renderer.AddViewProp(self._text)

    def show(self, text: str) -> None:
        """Write this, in the place of what stood there."""
        self._text.SetText(vtk.vtkCornerAnnotation.UpperEdge, text)

    def remove(self) -> None:
        """Take the text out of the view."""
        self._renderer.RemoveViewProp(self._text)
