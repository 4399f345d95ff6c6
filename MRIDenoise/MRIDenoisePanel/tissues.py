"""The section *Tissues*: segment noisy, denoised and reference image alike, and show how far they agree."""

import math
from collections.abc import Callable
from html import escape
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.mrml.tissues import AgreementNodes, Tissue, add_agreement, add_tissues
from MRIDenoiseLib.segmentation.tissues import Agreement
from MRIDenoiseLib.worker.client import SegmentedImages, Tissues

NOISY, DENOISED, REFERENCE = "noisy", "denoised", "reference"


class TissuesSection:
    """Shows the segmentations that the worker made.

    Args:
        ui: the panel's widgets.
        choices: gives the parameter node.
    """

    def __init__(self, ui: Any, choices: Callable[[], Any]) -> None:
        self._ui = ui
        self._choices = choices
        self._nodes: AgreementNodes | None = None
        ui.chartButton.connect("clicked(bool)", lambda _on: self._showChart())
        self.forget()

    def images(self) -> dict[str, Any]:
        """What is to be segmented: name -> volume node, the noisy image first."""
        choices = self._choices()
        given = {NOISY: choices.inputVolume, DENOISED: choices.denoisedVolume, REFERENCE: choices.referenceVolume}
        return {name: node for name, node in given.items() if node is not None}

    def show(self, nodes: dict[str, Any], found: SegmentedImages) -> None:
        """Put segmentations, table and bars into the scene, and the table into the panel.

        Args:
            nodes: name -> the volume node that was segmented.
            found: the worker's answer.

        Raises:
            InputError: a volume was changed in the meantime.
        """
        scene = slicer.mrmlScene
        for image in found.images:
            tissues = [Tissue(kind.value, kind.name, tuple(kind.colour), kind.millilitres) for kind in image.classes]
            segmentation = add_tissues(scene, nodes[image.name], image.labels, tissues)
            # Three segmentations over one another say nothing: each is shown when the user asks for it.
            segmentation.GetDisplayNode().SetVisibility(image.name == DENOISED or len(found.images) == 1)
        agreements = {image.name: _agreement(image) for image in found.images if image.dice}
        self._nodes = None
        if agreements:
            names = [kind.name for kind in found.images[0].classes]
            self._nodes = add_agreement(scene, nodes[NOISY], names, agreements)
        self._ui.tissuesResult.text = _table(found)
        self._ui.chartButton.enabled = self._nodes is not None

    def forget(self) -> None:
        """Nothing is segmented yet."""
        self._nodes = None
        self._ui.tissuesResult.text = ""
        self._ui.chartButton.enabled = False
        self._ui.chartButton.toolTip = _("Dice of each class, for segmentations held against a reference")

    def _showChart(self) -> None:
        if self._nodes is not None and self._nodes.chart.GetScene() is not None:
            slicer.modules.plots.logic().ShowChartInLayout(self._nodes.chart)


def _agreement(image: Tissues) -> Agreement:
    *classes, mean = (math.nan if value is None else value for value in image.dice)
    return Agreement(tuple(classes), mean)


def _table(found: SegmentedImages) -> str:
    """Volumes and Dice as rich text."""
    names = [kind.name for kind in found.images[0].classes]
    rows = [["", *names]]
    for image in found.images:
        rows.append([_("{name}, ml").format(name=image.name), *(f"{kind.millilitres:.1f}" for kind in image.classes)])
    for image in found.images:
        if image.dice:
            rows.append([_("{name}, Dice").format(name=image.name), *("" if v is None else f"{v:.3f}" for v in image.dice[:-1])])
    cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}&nbsp;&nbsp;</td>" for cell in row) + "</tr>" for row in rows)
    said = [_("Dice rewards smoothness: a denoised image should do better than a merely blurred one.")]
    if not found.anatomical:
        said.append(_("These are classes of intensity, not of anatomy."))
    if found.mask == "brain":
        said.append(_("The brain was found by threshold and morphology: look at it."))
    return f"<table>{cells}</table><p>{escape(' '.join(said))}</p>"
