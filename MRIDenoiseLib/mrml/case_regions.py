"""Circles that a blinded reader places in the views: for a disc's signal index, two of them in one slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from MRIDenoiseLib.mrml.case_views import leave_no_trace
from MRIDenoiseLib.mrml.volumes import grid_of, slice_axis_of
from MRIDenoiseLib.reader_study.reading.forms import Field

RADIUS = 3.0
"""The first radius of a circle, mm."""
COLOURS = ((1.0, 0.62, 0.1), (0.2, 0.85, 1.0))
_CORNERS = 48


@dataclass
class _Circle:
    """A region in the scene: its centre, which the reader drags, and the line around it."""

    question: str
    region: str
    centre: slicer.vtkMRMLMarkupsFiducialNode
    line: slicer.vtkMRMLMarkupsClosedCurveNode
    radius: float = RADIUS

    @property
    def placed(self) -> bool:
        """Whether the centre is placed in the image; while the user drags it with the mouse, it is not."""
        defined = self.centre.PositionDefined
        return self.centre.GetNumberOfControlPoints() > 0 and self.centre.GetNthControlPointPositionStatus(0) == defined

    @property
    def place(self) -> list[float]:
        """RAS mm of the centre, and the radius in mm."""
        return [*self.centre.GetNthControlPointPositionWorld(0), self.radius]


class CaseRegions(slicer.util.VTKObservationMixin):
    """The circles of the case that is shown.

    Args:
        scene: with the case's image.
        application_logic: knows how the user places things.
        changed: called with a question after one of its circles was placed, moved or removed, or is waiting for its place.
    """

    def __init__(
        self, scene: slicer.vtkMRMLScene, application_logic: slicer.vtkMRMLApplicationLogic, changed: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._scene = scene
        self._application_logic = application_logic
        self._changed = changed
        self._circles: list[_Circle] = []
        self._within = np.eye(3)[:, :2]
        self._quiet = False
        self._users_place: tuple[str | None, str | None] | None = None

    def ask(
        self, fields: Sequence[Field], image: slicer.vtkMRMLScalarVolumeNode, earlier: Mapping[str, Mapping[str, Sequence[float]]]
    ) -> None:
        """Be ready for the circles of a case; those of the case before it go.

        Args:
            fields: the questions; only those for regions count.
            image: in whose acquired plane the circles lie.
            earlier: question -> region -> [r, a, s, radius] of circles that are there from the start.
        """
        self.clear()
        grid = grid_of(image)
        within = [axis for axis in range(3) if axis != 2 - slice_axis_of(image)]
        self._within = grid[:3, within] / np.linalg.norm(grid[:3, within], axis=0)
        selection = self._application_logic.GetSelectionNode()
        # A new markup makes itself the one that is placed.
        self._users_place = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
        self._quiet = True
        for field in fields:
            for number, region in enumerate(field.regions):
                circle = self._add(field.name, region, COLOURS[number % len(COLOURS)])
                self._circles.append(circle)
                if region in earlier.get(field.name, {}):
                    *place, circle.radius = earlier[field.name][region]
                    circle.centre.AddControlPoint(*place, region)
                    self._draw(circle)
        self._quiet = False
        if self._circles:
            # Placing can also be given up, by Slicer's own means.
            interaction = self._application_logic.GetInteractionNode()
            self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._mode_changed)

    def place(self, question: str, region: str) -> None:
        """The next click into the image puts the circle there; one that is elsewhere is removed."""
        circle = self._of(question, region)
        circle.centre.RemoveAllControlPoints()
        selection = self._application_logic.GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(circle.centre.GetClassName())
        selection.SetReferenceActivePlaceNodeID(circle.centre.GetID())
        interaction = self._application_logic.GetInteractionNode()
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)

    def placing(self) -> tuple[str, str] | None:
        """The question and the region that the next click places; None when a click places nothing."""
        interaction = self._application_logic.GetInteractionNode()
        if interaction is None or interaction.GetCurrentInteractionMode() != interaction.Place:
            return None
        active = self._application_logic.GetSelectionNode().GetActivePlaceNodeID()
        return next(((one.question, one.region) for one in self._circles if one.centre.GetID() == active), None)

    def stop_placing(self) -> None:
        """A click into the image moves it again."""
        if self.placing() is not None:
            self._application_logic.GetInteractionNode().SwitchToViewTransformMode()

    def radius(self, question: str, region: str) -> float:
        """Of a circle, in mm."""
        return self._of(question, region).radius

    def set_radius(self, question: str, region: str, millimetres: float) -> None:
        """Make a circle larger or smaller."""
        circle = self._of(question, region)
        if circle.radius != millimetres:
            circle.radius = millimetres
            self._circle_changed(circle)

    def placed(self, question: str) -> dict[str, list[float]]:
        """Region -> [r, a, s, radius] of the circles of a question that are placed in the image."""
        return {one.region: one.place for one in self._circles if one.question == question and one.placed}

    def clear(self) -> None:
        """Remove all circles, which does not count as an answer of the reader."""
        self.removeObservers()
        self.stop_placing()
        if self._users_place is not None:
            kind, node_id = self._users_place
            selection = self._application_logic.GetSelectionNode()
            selection.SetReferenceActivePlaceNodeClassName(kind)
            selection.SetReferenceActivePlaceNodeID(node_id if node_id and self._scene.GetNodeByID(node_id) else None)
            self._users_place = None
        for circle in self._circles:
            for node in (circle.centre, circle.line):
                for gone in (node.GetDisplayNode(), node):
                    if gone is not None and gone.GetScene() is self._scene:
                        self._scene.RemoveNode(gone)
        self._circles = []

    def _of(self, question: str, region: str) -> _Circle:
        return next(one for one in self._circles if (one.question, one.region) == (question, region))

    def _add(self, question: str, region: str, colour: tuple[float, float, float]) -> _Circle:
        circle = _Circle(question, region, self._markup("vtkMRMLMarkupsFiducialNode"), self._markup("vtkMRMLMarkupsClosedCurveNode"))
        circle.centre.SetMaximumNumberOfControlPoints(1)
        circle.centre.SetControlPointLabelFormat(region)
        centre, line = circle.centre.GetDisplayNode(), circle.line.GetDisplayNode()
        for display in (centre, line):
            for give in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
                give(*colour)
        centre.SetGlyphType(centre.Cross2D)
        centre.SetGlyphScale(3.0)
        centre.SetTextScale(2.5)
        circle.line.SetCurveTypeToLinear()
        circle.line.SetLocked(True)
        line.SetPointLabelsVisibility(False)
        line.SetPropertiesLabelVisibility(False)
        # Corners as small as the line is thick are not seen.
        line.SetGlyphScale(0.6)
        line.SetCurveLineSizeMode(line.UseLineThickness)
        line.SetLineThickness(1.0)
        for event in (circle.centre.PointModifiedEvent, circle.centre.PointPositionDefinedEvent, circle.centre.PointRemovedEvent):
            self.addObserver(circle.centre, event, lambda _node, _event, circle=circle: self._circle_changed(circle))
        return circle

    def _markup(self, kind: str) -> slicer.vtkMRMLMarkupsNode:
        node = self._scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetName("Circle")
        leave_no_trace(node)
        self._scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        leave_no_trace(node.GetDisplayNode())
        return node

    def _mode_changed(self, _interaction: object, _event: object) -> None:
        for question in dict.fromkeys(circle.question for circle in self._circles):
            self._changed(question)

    def _circle_changed(self, circle: _Circle) -> None:
        self._draw(circle)
        if not self._quiet:
            self._changed(circle.question)

    def _draw(self, circle: _Circle) -> None:
        points = vtk.vtkPoints()
        if circle.placed:
            *centre, radius = circle.place
            turns = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
            for point in np.array(centre) + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1) @ self._within.T:
                points.InsertNextPoint(*point)
        circle.line.SetControlPointPositionsWorld(points)
