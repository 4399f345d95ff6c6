"""Everything that a scene says in words, to whoever looks at it anywhere in Slicer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import slicer


def nodes_of(scene) -> Iterator:
    """All nodes."""
    for place in range(scene.GetNumberOfNodes()):
        yield scene.GetNthNode(place)


def scene_text(scene) -> str:
    """The scene as it would be saved, including the nodes that are not saved with it."""
    kept = {node: node.GetSaveWithScene() for node in nodes_of(scene)}
    for node in kept:
        node.SetSaveWithScene(True)
    scene.SetSaveToXMLString(1)
    scene.Commit()
    scene.SetSaveToXMLString(0)
    for node, saved in kept.items():
        node.SetSaveWithScene(saved)
    # The hierarchy's own numbers count up through all scenes of a process.
    return re.sub(r'(<SubjectHierarchyItem\s+id=)"\d+"', r'\1""', scene.GetSceneXMLString())


def words_of(scene) -> list[str]:
    """Names, descriptions, attributes, files, references and all other properties, node by node, without addresses and times."""
    words = [scene_text(scene), scene.GetURL() or "", scene.GetRootDirectory() or ""]
    for node in nodes_of(scene):
        words += [node.GetID(), node.GetName() or "", node.GetDescription() or ""]
        words += [f"{name}={node.GetAttribute(name)}" for name in sorted(node.GetAttributeNames())]
        if isinstance(node, slicer.vtkMRMLStorableNode):
            for place in range(node.GetNumberOfStorageNodes()):
                storage = node.GetNthStorageNode(place)
                words += [storage.GetFileName() or "", storage.GetURI() or ""]
        if isinstance(node, slicer.vtkMRMLMarkupsNode):
            words += [node.GetNthControlPointLabel(point) for point in range(node.GetNumberOfControlPoints())]
    return words
