"""Where a new node belongs: beside the image it was made from, and in the scene only as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer
import vtk

SOURCE = "MRIDenoise.source"
"""Role of the node reference from everything made here to the image that it was made from."""


@contextmanager
def all_or_nothing(scene: slicer.vtkMRMLScene) -> Iterator[None]:
    """Take out of the scene whatever the block has put in, if an error passes through."""
    added: list[slicer.vtkMRMLNode] = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def note(_scene: object, _event: object, node: slicer.vtkMRMLNode) -> None:
        # A singleton (the subject hierarchy, a colour logic's node) belongs to the scene and not to the result.
        if not node.IsSingleton():
            added.append(node)

    tag = scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, note)
    try:
        yield
    except BaseException:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        for node in reversed(added):
            # Without the application's plug-ins nobody removes the item of a node that goes.
            item = hierarchy.GetItemByDataNode(node)
            if item != hierarchy.GetInvalidItemID():
                hierarchy.RemoveItem(item, False)
            if node.GetScene() is scene:
                scene.RemoveNode(node)
        raise
    finally:
        scene.RemoveObserver(tag)


def place_beside(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode, source: slicer.vtkMRMLNode) -> None:
    """Put a node where its source is: same transform, same folder or study, and a reference to it.

    Args:
        scene: holds both.
        node: what was made.
        source: the image that it was made from.
    """
    node.SetNodeReferenceID(SOURCE, source.GetID())
    if node.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(source.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    nowhere = hierarchy.GetInvalidItemID()
    of_source = hierarchy.GetItemByDataNode(source)
    parent = hierarchy.GetItemParent(of_source) if of_source != nowhere else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item == nowhere:
        hierarchy.CreateItem(parent, node)
    else:
        hierarchy.SetItemParent(item, parent)


def source_of(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode | None:
    """The image that a result, a segmentation or a table was made from, or None where it is gone or was none."""
    return node.GetNodeReference(SOURCE)


def made_from(scene: slicer.vtkMRMLScene, source: slicer.vtkMRMLNode, kind: str) -> list[slicer.vtkMRMLNode]:
    """What was made from an image, in the order in which it was made.

    Args:
        scene: where to look.
        source: the image.
        kind: the class of nodes to look for, such as ``vtkMRMLScalarVolumeNode``.
    """
    count = scene.GetNumberOfNodesByClass(kind)
    nodes = (scene.GetNthNodeByClass(place, kind) for place in range(count))
    return [node for node in nodes if node.GetNodeReferenceID(SOURCE) == source.GetID()]
