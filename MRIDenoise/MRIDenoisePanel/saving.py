"""The section *Save*: the user chooses where a result is saved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.io.images import ending

FILES = "NIfTI (*.nii.gz *.nii);;NRRD (*.nrrd);;MetaImage (*.mha)"


class SaveSection:
    """Asks the user for a place and passes it on.

    Args:
        ui: the panel's widgets.
        save: called with the place, and whether an earlier result there may be replaced.
    """

    def __init__(self, ui: Any, save: Callable[[Path, bool], None]) -> None:
        self._ui = ui
        self._save = save
        ui.saveFileButton.connect("clicked(bool)", lambda _on: self._saveFile())
        ui.saveSeriesButton.connect("clicked(bool)", lambda _on: self._saveSeries())

    def show(self, why: str, sources: Sequence[Path]) -> None:
        """What can be saved, and why the rest cannot.

        Args:
            why: nothing can be; empty when there is a result.
            sources: the DICOM files of the noisy volume.
        """
        noSeries = why or (
            "" if sources else _("The noisy volume did not come from the DICOM database, so no series can be derived from it")
        )
        for button, reason in ((self._ui.saveFileButton, why), (self._ui.saveSeriesButton, noSeries)):
            button.enabled = not reason
            button.toolTip = reason
        self._ui.saveNote.text = noSeries if not why else ""

    def _saveFile(self) -> None:
        name = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save the denoised volume"), "", FILES)
        if name:
            known = bool(ending(Path(name)))
            # The dialogue has asked already whether a file of the name that it gave may be replaced, and of no other.
            self._save(Path(name if known else f"{name}.nii.gz"), known)

    def _saveSeries(self) -> None:
        name = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("A folder for the new series"), "")
        if name:
            self._save(_unused(Path(name) / "denoised"), False)


def _unused(folder: Path) -> Path:
    """The folder, or one of that name with a number that does not exist yet."""
    place, number = folder, 2
    while place.exists():
        place, number = folder.with_name(f"{folder.name}_{number}"), number + 1
    return place
