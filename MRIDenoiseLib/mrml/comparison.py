"""Noisy, denoised, reference and residual side by side: one plane, one zoom, one window, and afterwards all as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import slicer
import vtk

from MRIDenoiseLib.mrml.kept_state import InStep, KeptState
from MRIDenoiseLib.mrml.layouts import (
    DENOISED,
    NAMES,
    NOISY,
    REFERENCE,
    RESIDUAL,
    UNCERTAINTY,
    VIEWS,
    Layout,
    View,
    ViewLabel,
    empty_view,
    layout_for,
    put_in_view,
    register_layouts,
    title,
)
from MRIDenoiseLib.mrml.planes import index_of_plane, show_acquired_plane
from MRIDenoiseLib.mrml.results import is_outside_training, role_of
from MRIDenoiseLib.mrml.volumes import check_grey_volume, slice_axis_of


class Comparison(slicer.util.VTKObservationMixin):
    """A comparison that is entered and left; in between the user's layout, views and windows are kept.

    It ends by itself when the noisy or the denoised image leaves the scene, and before the scene is closed or another is
    loaded into it. An image of less weight that goes takes only its own view along.

    Args:
        scene: with a layout node that the application keeps.
        application_logic: knows the slice views' logics.
        when_left: called after the comparison has ended, by itself or not.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        application_logic: slicer.vtkMRMLApplicationLogic,
        when_left: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._scene = scene
        self._application_logic = application_logic
        self._when_left = when_left
        self._images: dict[View, slicer.vtkMRMLScalarVolumeNode] = {}
        self._kept: KeptState | None = None
        self._in_step: InStep | None = None
        self._labels: dict[View, ViewLabel] = {}
        self._index: int | None = None
        self._fitted = False

    @property
    def active(self) -> bool:
        """Whether the comparison is on."""
        return self._kept is not None

    @property
    def layout(self) -> Layout | None:
        """The layout shown; None where the comparison is off or the user has chosen a layout of another kind meanwhile."""
        arrangement = self._arrangement() if self.active else 0
        return Layout(arrangement) if arrangement in set(Layout) else None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts for which there are images."""
        return tuple(layout for layout in Layout if set(layout.views) <= set(self._images))

    def enter(
        self,
        noisy: slicer.vtkMRMLScalarVolumeNode,
        denoised: slicer.vtkMRMLScalarVolumeNode,
        reference: slicer.vtkMRMLScalarVolumeNode | None = None,
        residual: slicer.vtkMRMLScalarVolumeNode | None = None,
        *,
        layout: Layout | None = None,
        reference_in_step: bool = True,
        index: int | None = None,
    ) -> None:
        """Show images side by side; a comparison that is on is left first.

        Window and level start as the noisy image has them and are one for noisy and denoised.

        Args:
            noisy: the image that was denoised; its acquired plane is shown in all views.
            denoised: the result.
            reference: what it should look like.
            residual: what was removed; keeps its own window.
            layout: the one with every image, when not given.
            reference_in_step: whether the reference shares window and level too. One from another scanner or sequence,
                of another scale of intensities, should not.
            index: of the acquired slice to start with; the middle one when not given.

        Raises:
            InputError: one of them is not a grey image.
            RuntimeError: the application keeps no layouts or makes no slice views, so nothing can be shown.
        """
        self.leave()
        layout_node = register_layouts(self._scene)
        given = {NOISY: noisy, DENOISED: denoised, REFERENCE: reference, RESIDUAL: residual}
        images = {view: node for view, node in given.items() if node is not None}
        for node in images.values():
            check_grey_volume(node)
            node.CreateDefaultDisplayNodes()
        displays = {view: node.GetDisplayNode() for view, node in images.items()}
        self._images = images
        self._kept = KeptState(self._scene, layout_node, displays.values())
        try:
            shared = (NOISY, DENOISED, REFERENCE) if reference_in_step else (NOISY, DENOISED)
            self._in_step = InStep([displays[view] for view in shared if view in displays])
            self._watch_scene()
            self._index, self._fitted = index, False
            self.show(layout or layout_for(REFERENCE in images, RESIDUAL in images))
        except BaseException:
            self.leave()
            raise

    def show(self, layout: Layout) -> None:
        """Change to another layout of the comparison.

        Raises:
            ValueError: the comparison is not on, or lacks an image that the layout shows.
            RuntimeError: see :meth:`enter`.
        """
        if layout not in self.layouts:
            raise ValueError(f"no images for {layout.name}")
        self._note_slice()
        register_layouts(self._scene).SetViewArrangement(layout.value)
        for view in layout.views:
            self._show_in(view)
        self.fit()

    def fit(self) -> None:
        """Bring all views back to the acquired plane, the whole image and one zoom; the slice that is shown stays.

        To be called again when the views have been given another size.
        """
        if self.active:
            self._note_slice()
            lead, *others = self._logics()
            show_acquired_plane(lead, others, self._images[NOISY], self._index)
            self._fitted = True

    def flicker(self) -> bool:
        """Swap the image in the denoised view: the noisy one in its place, or the denoised one back.

        Returns:
            Whether the noisy image is shown now.
        """
        composite = self._composite(DENOISED) if self.active else None
        if composite is None:
            return False
        swap = composite.GetBackgroundVolumeID() == self._images[DENOISED].GetID()
        with slicer.util.NodeModify(composite):
            self.wipe(0.0)
            if swap:
                composite.SetBackgroundVolumeID(self._images[NOISY].GetID())
        return swap

    def wipe(self, amount: float) -> None:
        """Lay the noisy image over the denoised one in the denoised view.

        Args:
            amount: 0 shows the denoised image alone, 1 the noisy one.
        """
        composite = self._composite(DENOISED) if self.active else None
        if composite is None:
            return
        amount = min(max(amount, 0.0), 1.0)
        with slicer.util.NodeModify(composite):
            composite.SetBackgroundVolumeID(self._images[DENOISED].GetID())
            composite.SetForegroundVolumeID(self._images[NOISY].GetID() if amount else None)
            composite.SetForegroundOpacity(amount)

    def title(self, view: View) -> str:
        """What a view shows, in words: what is in it now, not what belongs there. Empty where it is not an image of ours."""
        composite = self._composite(view)
        if not self.active or composite is None:
            return ""
        place_of = {node.GetID(): place for place, node in self._images.items()}
        above = composite.GetForegroundVolumeID()
        opacity = composite.GetForegroundOpacity() if above else 0.0
        outside = is_outside_training(self._images[DENOISED])
        text = title(place_of.get(composite.GetBackgroundVolumeID()), place_of.get(above), opacity, outside=outside)
        # In the residual's place there may be a map.
        is_map = view == RESIDUAL and RESIDUAL in self._images and role_of(self._images[RESIDUAL]) == "uncertainty"
        return text.replace(NAMES[RESIDUAL], UNCERTAINTY) if is_map else text

    def draw_labels(self, renderers: Mapping[View, vtk.vtkRenderer]) -> None:
        """Write into the views what they show; the text follows the image, and goes when the comparison is left.

        Args:
            renderers: of the slice views in which the views are shown.
        """
        self._remove_labels()
        if self.active:
            self._labels = {view: ViewLabel(renderer) for view, renderer in renderers.items()}
            self._write_labels()

    def leave(self) -> None:
        """End the comparison: layout, views, windows and levels as they were. Does nothing outside a comparison."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        self._fitted = False
        self.removeObservers()
        self._remove_labels()
        if self._in_step is not None:
            self._in_step.stop()
            self._in_step = None
        for view in VIEWS:
            self._empty(view)
        self._images = {}
        kept.put_back()
        if self._when_left is not None:
            self._when_left()

    def _logics(self) -> list[slicer.vtkMRMLSliceLogic]:
        return [logic for view in self._images if (logic := self._logic(view)) is not None]

    def _note_slice(self) -> None:
        """Remember which slice the user has come to, as soon as there is one to come from."""
        if self._fitted:
            noisy = self._images[NOISY]
            plane = slicer.util.arrayFromVTKMatrix(self._logics()[0].GetSliceNode().GetSliceToRAS())
            self._index = index_of_plane(noisy, slice_axis_of(noisy), plane)

    def _watch_scene(self) -> None:
        events = slicer.vtkMRMLScene
        self.addObserver(self._scene, events.NodeAboutToBeRemovedEvent, self._node_goes)
        for event in (events.StartCloseEvent, events.StartImportEvent):
            self.addObserver(self._scene, event, self._scene_goes)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_goes(self, _scene: object, _event: object, node: slicer.vtkMRMLNode) -> None:
        view = next((view for view, image in self._images.items() if image is node), None)
        if view is None:
            return
        if view in (NOISY, DENOISED):
            self.leave()
            return
        del self._images[view]
        self._empty(view)
        if self._arrangement() not in self.layouts:
            self.show(layout_for(REFERENCE in self._images, RESIDUAL in self._images))

    def _scene_goes(self, _scene: object, _event: object) -> None:
        self.leave()

    def _composite_changed(self, _composite: object, _event: object) -> None:
        self._write_labels()

    def _arrangement(self) -> int:
        return self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode").GetViewArrangement()

    def _logic(self, view: View) -> slicer.vtkMRMLSliceLogic | None:
        return self._application_logic.GetSliceLogicByLayoutName(view.tag)

    def _composite(self, view: View) -> slicer.vtkMRMLSliceCompositeNode | None:
        logic = self._logic(view)
        return logic.GetSliceCompositeNode() if logic is not None else None

    def _show_in(self, view: View) -> None:
        """Give a view of the layout its image, its links and its marker."""
        logic = self._logic(view)
        if logic is None:
            raise RuntimeError(f"the application made no slice view {view.tag}")
        composite = put_in_view(logic, self._images[view])
        if not self.hasObserver(composite, vtk.vtkCommand.ModifiedEvent, self._composite_changed):
            self.addObserver(composite, vtk.vtkCommand.ModifiedEvent, self._composite_changed)

    def _empty(self, view: View) -> None:
        composite = self._composite(view)
        if composite is not None:
            empty_view(composite)

    def _write_labels(self) -> None:
        for view, label in self._labels.items():
            label.show(self.title(view))

    def _remove_labels(self) -> None:
        for label in self._labels.values():
            label.remove()
        self._labels = {}
