"""The section *Tissues*: how far the segmentations of noisy, denoised and reference image agree."""

from html import escape
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.mrml.tissues import AgreementNodes
from MRIDenoiseLib.worker.client import SegmentedImages
from MRIDenoisePanel.segmented import Segmented

NOISY, DENOISED, REFERENCE = "noisy", "denoised", "reference"


class TissuesSection:
    """Shows what segmenting gave.

    Args:
        ui: the panel's widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._nodes: AgreementNodes | None = None
        ui.chartButton.connect("clicked(bool)", lambda _on: self._showChart())
        self.forget()

    def show(self, segmented: Segmented) -> None:
        """Put the table into the panel, and let the bars be shown."""
        self._nodes = segmented.agreement
        self._ui.tissuesResult.text = _table(segmented.found)
        self._ui.chartButton.enabled = self._nodes is not None

    def forget(self) -> None:
        """Nothing is segmented yet."""
        self._nodes = None
        self._ui.tissuesResult.text = ""
        self._ui.chartButton.enabled = False
        self._ui.chartButton.toolTip = _("Dice of each class, for segmentations compared with a reference")

    def _showChart(self) -> None:
        if self._nodes is not None and self._nodes.chart.GetScene() is not None:
            slicer.modules.plots.logic().ShowChartInLayout(self._nodes.chart)


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
    remarks = [_("Dice rewards smoothness: a denoised image should do better than a merely blurred one.")]
    if not found.anatomical:
        remarks.append(_("These are classes of intensity, not of anatomy."))
    if found.mask == "brain":
        remarks.append(_("The brain was found by threshold and morphology: look at it."))
    return f"<table>{cells}</table><p>{escape(' '.join(remarks))}</p>"
