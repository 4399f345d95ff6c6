"""One image in a slice view of ours: alone in it, linked to its neighbours, and taken out again."""

from __future__ import annotations

import slicer


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
