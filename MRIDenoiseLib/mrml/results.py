"""Results of denoising as nodes of the scene, and the way between a result and its source.

A new node is placed next to the image it was made from, and it enters the scene only as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import slicer
import vtk

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.io.geometry import check_voxels, same_grid
from MRIDenoiseLib.io.images import stored_as
from MRIDenoiseLib.mrml.volumes import INSTANCES, ROLE, grid_of
from MRIDenoiseLib.volume import Volume

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
            # Without the application's plug-ins, nothing removes the item of a deleted node.
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


Role = Literal["denoised", "residual", "preview", "noise map", "uncertainty"]

SETTINGS = "MRIDenoise.settings"
BUNDLE = "MRIDenoise.bundle"
MARK = "MRIDenoise.notForDiagnosticUse"
RESIDUAL, REFERENCE = "MRIDenoise.residual", "MRIDenoise.reference"
"""Roles of the node references from a denoised image to its residual, and to a clean image of the same anatomy."""

MAPS: dict[Role, str] = {"noise map": "MRIDenoise.noiseMap", "uncertainty": "MRIDenoise.uncertainty"}
"""Kind of a map -> the role of the node reference from a denoised image to it."""

GREY = "vtkMRMLColorTableNodeGrey"
MAP_COLOURS = "vtkMRMLColorTableNodeWarm1"
"""Of maps, so that none is taken for an image."""

_ENOUGH = 200_000
"""Voxels from which the residual's window is taken, about."""
_SHOWN = 99.5
"""Percentile of the residual's magnitude at which its window ends, so that single voxels do not flatten it."""


@dataclass(frozen=True)
class Account:
    """How a result came about; kept with the node.

    Args:
        settings: JSON-ready, free of names, identifiers and paths.
        bundle: hash of the model bundle.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    bundle: str = ""


@dataclass(frozen=True, eq=False)
class ResultNodes:
    """The nodes of one result; ``residual`` is None where none was requested, and ``maps`` holds only those that were."""

    denoised: slicer.vtkMRMLScalarVolumeNode
    residual: slicer.vtkMRMLScalarVolumeNode | None = None
    maps: Mapping[str, slicer.vtkMRMLScalarVolumeNode] = field(default_factory=dict)


def add_results(
    scene: slicer.vtkMRMLScene,
    source: slicer.vtkMRMLScalarVolumeNode,
    denoised: Volume,
    residual: Volume | None = None,
    account: Account | None = None,
    *,
    into: slicer.vtkMRMLScalarVolumeNode | None = None,
    reference: slicer.vtkMRMLScalarVolumeNode | None = None,
    maps: Mapping[str, Volume] | None = None,
) -> ResultNodes:
    """Put a denoised image and its residual next to its source in the scene; all of it or nothing.

    The denoised node has the source's grid, scalar type (whole numbers rounded; a wider type where the values do not
    fit, see :func:`MRIDenoiseLib.io.images.stored_as`) and look; window and level stay as they are and no longer follow
    the image. The residual is float32, grey, its window symmetric about zero. Neither claims to be the source's DICOM
    instances.

    Args:
        scene: holds the source.
        source: the noisy image.
        denoised: on the source's grid.
        residual: noisy minus denoised, on the source's grid.
        account: how it came about.
        into: a volume node that becomes the denoised one, with its residual where it has one of this source; what it held is
            gone. A new node when not given.
        reference: a clean image of the same thing, which the denoised node then refers to.
        maps: kind, of :data:`MAPS`, -> map on the source's grid; in colour, from zero on.

    Raises:
        InputError: an image lies on another grid than the source, or is not finite; or ``into`` cannot take it.
    """
    for volume in (denoised, residual, *(maps or {}).values()):
        if volume is not None:
            _check_fits(volume, source)
    if into is not None:
        check_output(into, source)
    with all_or_nothing(scene):
        clean = _add_image(scene, source, denoised, "denoised", account, into)
        noise = None
        if residual is not None:
            noise = _add(scene, source, residual.voxels, "residual", account, _earlier(clean, RESIDUAL, source))
            _show_about_zero(noise, residual.voxels)
        clean.SetNodeReferenceID(RESIDUAL, noise.GetID() if noise is not None else None)
        shown = {}
        for kind, reference_role in MAPS.items():
            if maps is not None and kind in maps:
                node = _add(scene, source, maps[kind].voxels, kind, account, _earlier(clean, reference_role, source))
                _show_from_zero(node, maps[kind].voxels)
                shown[str(kind)] = node
            clean.SetNodeReferenceID(reference_role, shown[kind].GetID() if kind in shown else None)
        clean.SetNodeReferenceID(REFERENCE, reference.GetID() if reference is not None else None)
    return ResultNodes(clean, noise, shown)


def check_output(node: slicer.vtkMRMLNode, source: slicer.vtkMRMLNode) -> None:
    """Raise InputError unless a node can take the result for an image."""
    if node.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise InputError(f"{node.GetName() or 'the output'} cannot hold the result; choose a scalar volume as output")
    if node is source:
        raise InputError("the output is the noisy volume itself, which would be lost; choose another")


def add_preview(
    scene: slicer.vtkMRMLScene, source: slicer.vtkMRMLScalarVolumeNode, image: Volume, account: Account | None = None
) -> slicer.vtkMRMLScalarVolumeNode:
    """Put an image of which only some slices are denoised next to its source, in place of an earlier preview.

    Arguments and errors are those of :func:`add_results`.
    """
    _check_fits(image, source)
    with all_or_nothing(scene):
        node = _add_image(scene, source, image, "preview", account)
    remove_previews(scene, source, but=node)
    return node


def remove_previews(scene: slicer.vtkMRMLScene, source: slicer.vtkMRMLNode, but: slicer.vtkMRMLNode | None = None) -> None:
    """Take the previews of an image out of the scene, all or all but one."""
    for node in made_from(scene, source, "vtkMRMLScalarVolumeNode"):
        if role_of(node) == "preview" and node is not but:
            scene.RemoveNode(node)


def result_of(scene: slicer.vtkMRMLScene, source: slicer.vtkMRMLNode, role: Role = "denoised") -> slicer.vtkMRMLNode | None:
    """The last result made from an image, or None."""
    found = [node for node in made_from(scene, source, "vtkMRMLScalarVolumeNode") if role_of(node) == role]
    return found[-1] if found else None


def map_of(result: slicer.vtkMRMLNode, kind: Role) -> slicer.vtkMRMLNode | None:
    """A map of a denoised image, or None where it is not in the scene."""
    return result.GetNodeReference(MAPS[kind])


def is_outside_training(result: slicer.vtkMRMLNode) -> bool:
    """Whether a result is of an image unlike those that the model learned from, by its own account."""
    return bool(settings_of(result).get("outside_training"))


def residual_of(result: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode | None:
    """The residual of a denoised image, or None where it is not in the scene."""
    return result.GetNodeReference(RESIDUAL)


def reference_of(result: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode | None:
    """The clean image that a denoised one was made to be compared with, or None."""
    return result.GetNodeReference(REFERENCE)


def role_of(node: slicer.vtkMRMLNode) -> str:
    """What a node is among our results: ``denoised``, ``residual``, ``preview`` or, where it is none, empty."""
    return node.GetAttribute(ROLE) or ""


def settings_of(node: slicer.vtkMRMLNode) -> dict[str, Any]:
    """The settings that a result was made with; empty where it is none of ours."""
    return json.loads(node.GetAttribute(SETTINGS) or "{}")


def _check_fits(volume: Volume, source: slicer.vtkMRMLScalarVolumeNode) -> None:
    name = source.GetName() or "the volume"
    image = source.GetImageData()
    shape = image.GetDimensions()[::-1] if image is not None else ()
    if volume.voxels.shape != shape or not same_grid(volume.ijk_to_ras, grid_of(source), shape):
        raise InputError(f"the result does not lie on the grid of {name}; was the volume changed in the meantime? denoise it again")
    check_voxels(volume.voxels, f"the result for {name}", constant=True)


def _add_image(
    scene: slicer.vtkMRMLScene,
    source: slicer.vtkMRMLScalarVolumeNode,
    image: Volume,
    role: Role,
    account: Account | None,
    into: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """An image that looks like its source."""
    kind = slicer.util.arrayFromVolume(source).dtype.name
    node = _add(scene, source, stored_as(image.in_file(), kind), role, account, into)
    _copy_look(source, node)
    return node


def _add(
    scene: slicer.vtkMRMLScene,
    source: slicer.vtkMRMLNode,
    voxels: np.ndarray,
    role: Role,
    account: Account | None,
    into: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    account = account or Account()
    node = into or scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(f"{source.GetName()} {role}"))
    node.CopyOrientation(source)
    # A copy of the source, which an output often is, names the source's files.
    node.RemoveAttribute(INSTANCES)
    # Before it has an image: with one, a display node computes its own window, which takes longer than all the rest.
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetAttribute(ROLE, role)
    node.SetAttribute(SETTINGS, json.dumps(dict(account.settings), sort_keys=True, allow_nan=False))
    node.SetAttribute(BUNDLE, account.bundle)
    node.SetAttribute(MARK, RESEARCH_USE_ONLY)
    place_beside(scene, node, source)
    return node


def _copy_look(source: slicer.vtkMRMLScalarVolumeNode, result: slicer.vtkMRMLScalarVolumeNode) -> None:
    given, display = source.GetDisplayNode(), result.GetDisplayNode()
    if given is None:
        return
    window, level = given.GetWindow(), given.GetLevel()
    display.CopyContent(given)
    # An automatic window would stretch the denoised image's own range, and a change of contrast would look like an effect.
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(window, level)


def _earlier(result: slicer.vtkMRMLNode, role: str, source: slicer.vtkMRMLNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """What a result already refers to in that role, if it was made from the same source."""
    earlier = result.GetNodeReference(role)
    return earlier if earlier is not None and source_of(earlier) is source else None


def _show_from_zero(node: slicer.vtkMRMLScalarVolumeNode, voxels: np.ndarray) -> None:
    step = max(1, round((voxels.size / _ENOUGH) ** (1 / 3)))
    reach = float(np.percentile(voxels[::step, ::step, ::step], _SHOWN)) or float(voxels.max()) or 1.0
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(MAP_COLOURS)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(reach, reach / 2)


def _show_about_zero(node: slicer.vtkMRMLScalarVolumeNode, voxels: np.ndarray) -> None:
    # A part of the voxels is enough for it, and the user interface must not wait.
    step = max(1, round((voxels.size / _ENOUGH) ** (1 / 3)))
    reach = float(np.percentile(np.abs(voxels[::step, ::step, ::step]), _SHOWN)) or float(np.abs(voxels).max()) or 1.0
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(GREY)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(2 * reach, 0.0)
