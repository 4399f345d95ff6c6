"""What segmenting gives, and how it comes into the scene: a segmentation an image, and Dice as a table and bars."""

import math
from dataclasses import dataclass
from typing import Any

import slicer

from MRIDenoiseLib.mrml.tissues import AgreementNodes, Tissue, add_agreement, add_tissues
from MRIDenoiseLib.segmentation.dice import Agreement
from MRIDenoiseLib.worker.client import SegmentedImages, Tissues

NOISY, DENOISED, REFERENCE = "noisy", "denoised", "reference"


@dataclass(frozen=True)
class Segmented:
    """What segmenting gave.

    Args:
        segmentations: noisy, denoised, reference -> its segmentation node.
        agreement: nodes of the table and the chart of Dice; None without a reference.
        found: volumes of the tissues and Dice as numbers.
        notes: what the user should know about the images, a sentence each.
    """

    segmentations: dict[str, Any]
    agreement: AgreementNodes | None
    found: SegmentedImages
    notes: tuple[str, ...] = ()


def addTissues(nodes: dict[str, Any], found: SegmentedImages, notes: tuple[str, ...] = ()) -> Segmented:
    """Put segmentations, and with a reference table and bars, into the scene.

    Args:
        nodes: noisy, denoised, reference -> the volume node that was segmented.
        found: the worker's answer.
        notes: what the user should know about the images.

    Raises:
        InputError: a volume was changed in the meantime.
    """
    scene, made = slicer.mrmlScene, {}
    for image in found.images:
        tissues = [Tissue(kind.value, kind.name, tuple(kind.colour), kind.millilitres) for kind in image.classes]
        made[image.name] = add_tissues(scene, nodes[image.name], image.labels, tissues)
        # Three overlaid segmentations show nothing useful: each is shown when the user switches it on.
        made[image.name].GetDisplayNode().SetVisibility(image.name == DENOISED or len(found.images) == 1)
    agreements = {image.name: _agreement(image) for image in found.images if image.dice}
    names = [kind.name for kind in found.images[0].classes]
    return Segmented(made, add_agreement(scene, nodes[NOISY], names, agreements) if agreements else None, found, notes)


def _agreement(image: Tissues) -> Agreement:
    *classes, mean = (math.nan if value is None else value for value in image.dice)
    return Agreement(tuple(classes), mean)
