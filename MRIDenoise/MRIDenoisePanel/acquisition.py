"""Organ, contrast, vendor and acceleration: read from the headers, editable by the user, and shown with their sources."""

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.prompt import acquisition_warnings, describe, override
from MRIDenoiseLib.prompt.vocabulary import CONTRASTS, ORGANS, VENDORS
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

FIELDS = ("organ", "contrast", "vendor", "acceleration")
WORDS = {"organ": ORGANS, "contrast": CONTRASTS, "vendor": VENDORS}
USER = "user"


class AcquisitionSection:
    """The section *Acquisition*.

    Args:
        ui: the panel's widgets.
        choices: gives the parameter node.
        trainedOn: gives what the chosen model was trained on.
        onChange: called after the user has changed a field.
    """

    def __init__(self, ui: Any, choices: Callable[[], Any], trainedOn: Callable[[], Any], onChange: Callable[[], None]) -> None:
        self._ui = ui
        self._choices = choices
        self._trainedOn = trainedOn
        self._onChange = onChange
        self._read = Acquisition()
        self._showing = False
        for name in FIELDS:
            box = self._box(name)
            box.addItems(list(WORDS[name])) if name in WORDS else None
            box.connect("currentTextChanged(QString)", lambda text, name=name: self._edited(name, text))

    @property
    def acquisition(self) -> Acquisition:
        """What was read, with the user's choices in its place.

        Raises:
            SettingsError: the acceleration is not a number from 1 to 16.
        """
        return override(self._read, **self.chosen)

    @property
    def chosen(self) -> dict[str, Any]:
        """The user's choices by the names of the fields; None where what was read holds.

        Raises:
            SettingsError: the acceleration is not a number.
        """
        chosen: dict[str, Any] = {name: getattr(self._choices(), name).strip() or None for name in FIELDS}
        if chosen["acceleration"] is not None:
            try:
                chosen["acceleration"] = float(chosen["acceleration"].rstrip("x\u00d7 ").replace(",", "."))
            except ValueError as error:
                raise SettingsError(_("The acceleration must be a number from 1 to 16.")) from error
        return chosen

    def read(self, acquisition: Acquisition) -> None:
        """Another volume was selected, of which this is known. The user's choices for the last one do not hold for it."""
        self._read = acquisition
        for name in FIELDS:
            setattr(self._choices(), name, "")
        self.show()

    def restore(self, acquisition: Acquisition) -> None:
        """The scene was loaded: this is known of its volume, and the user's choices are in the parameter node."""
        self._read = acquisition
        self.show()

    def show(self, edited: str = "") -> None:
        """Fill in the fields (but for the one that is being edited), their sources, the prompt and the warnings."""
        try:
            acquisition, wrong = self.acquisition, ""
        except SettingsError as error:
            acquisition, wrong = self._read, str(error)
        self._showing = True
        try:
            for name in FIELDS:
                fact = getattr(acquisition, name)
                own = getattr(self._choices(), name)
                if name != edited:
                    self._showText(self._box(name), own or _text(fact))
                note = self._note(name)
                note.text = _origin(fact)
                note.toolTip = self._box(name).toolTip = fact.source
        finally:
            self._showing = False
        self._ui.promptLabel.text = describe(acquisition)
        self._ui.promptLabel.toolTip = _("The text that the networks are given")
        warnings = [wrong] if wrong else acquisition_warnings(acquisition, self._trainedOn())
        self._ui.acquisitionWarning.text = "\n".join(warnings)
        self._ui.acquisitionWarning.visible = bool(warnings)

    def _edited(self, name: str, text: str) -> None:
        if self._showing:
            return
        read = _text(getattr(self._read, name))
        setattr(self._choices(), name, "" if text.strip() == read else text)
        self.show(edited=name)
        self._onChange()

    def _showText(self, box: Any, text: str) -> None:
        if box.currentText != text:
            box.setCurrentIndex(box.findText(text))
            box.setEditText(text)

    def _box(self, name: str) -> Any:
        return getattr(self._ui, f"{name}Box")

    def _note(self, name: str) -> Any:
        return getattr(self._ui, f"{name}Note")


def _text(fact: AcquisitionField) -> str:
    if fact.value is None:
        return ""
    return f"{fact.value:g}" if isinstance(fact.value, float) else str(fact.value)


def _origin(fact: AcquisitionField) -> str:
    """How far a field can be relied on, in a word or two; the whole source is its tooltip."""
    if fact.source == USER:
        return _("chosen by you")
    if fact.value is None:
        return _("not in the file: please choose")
    return {"high": _("from the header"), "medium": _("inferred: please check"), "low": _("a guess: please check")}[fact.confidence]
