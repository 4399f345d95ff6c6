"""The section *Model*: which model, its card, and how to use it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.card import Card, bundled_model, card_of
from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.methods import FIDELITY, METHODS, SHARPNESS, STEPS, Option
from MRIDenoisePanel.parameters import RECOMMENDED


class ModelSection:
    """Model, method and what the method leaves open.

    Args:
        ui: the panel's widgets.
        choices: gives the parameter node.
        onChange: called when another model or method was chosen.
    """

    def __init__(self, ui: Any, choices: Callable[[], Any], onChange: Callable[[], None]) -> None:
        self._ui = ui
        self._choices = choices
        self._onChange = onChange
        self._card: Card | None = None
        self.wrong = ""
        ui.methodBox.addItem(_("as the model recommends"), RECOMMENDED)
        for method in METHODS:
            ui.methodBox.addItem(method, method)
        ui.methodBox.connect("currentIndexChanged(int)", lambda _index: self._methodChosen())
        ui.deviceBox.connect("currentTextChanged(QString)", self._deviceChosen)
        for check in (ui.ownFidelityCheck, ui.ownStrengthCheck):
            check.connect("toggled(bool)", lambda _on: self._showMethod())
        ui.bundleButton.connect("clicked(bool)", lambda _on: self._choose())
        ui.bundledButton.connect("clicked(bool)", lambda _on: self._take(""))

    @property
    def folder(self) -> Path | None:
        """The model's folder; None is the bundled one."""
        return Path(self._choices().bundle) if self._choices().bundle else None

    @property
    def trainedOn(self) -> Mapping[str, frozenset[str]]:
        """What the model's training data had; nothing where its card cannot be read."""
        return self._card.trained_on if self._card is not None else {}

    @property
    def method(self) -> str:
        """The method that will run."""
        return self._choices().method or (self._card.default_method if self._card is not None else next(iter(METHODS)))

    @property
    def settings(self) -> dict[str, Any]:
        """The user's choices as the worker takes them; what is left open is left out."""
        choices = self._choices()
        chosen: dict[str, Any] = {"seed": choices.seed}
        if choices.uncertainty:
            chosen["uncertainty"] = True
        if choices.ownStrength:
            chosen["strength"] = choices.strength
        if choices.method:
            chosen["method"] = choices.method
        if self._understands(SHARPNESS):
            chosen["sharpness"] = choices.sharpness
        if self._understands(STEPS) and choices.steps:
            chosen["steps"] = choices.steps
        if self._understands(FIDELITY) and choices.ownFidelity:
            chosen["fidelity"] = choices.fidelity
        return chosen

    def _understands(self, option: Option) -> bool:
        """Whether the method that will run has the option; a model may name one that this version does not know."""
        return self.method in METHODS and METHODS[self.method].has(option.name)

    def show(self) -> None:
        """Read the card of the chosen model and show everything."""
        choices = self._choices()
        try:
            self._card, self.wrong = card_of(self.folder or bundled_model()), ""
        except BundleError as error:
            self._card, self.wrong = None, str(error)
        self._ui.bundleLabel.text = self._card.name if self._card is not None else _("no model")
        self._ui.bundleLabel.toolTip = choices.bundle or _("comes with the extension")
        self._ui.bundledButton.enabled = bool(choices.bundle)
        self._ui.bundledButton.toolTip = "" if choices.bundle else _("The bundled model is chosen already")
        self._ui.cardLabel.text = self.wrong or _summary(self._card)
        self._ui.cardLabel.toolTip = "" if self._card is None else "\n".join(self._card.limits)
        self._ui.methodBox.setCurrentIndex(max(0, self._ui.methodBox.findData(choices.method)))
        self._ui.deviceBox.setCurrentText(choices.device)
        self._showMethod()

    def _methodChosen(self) -> None:
        if self._choices() is None:
            return
        chosen = self._ui.methodBox.currentData
        if chosen != self._choices().method:
            self._choices().method = chosen
            self._showMethod()
            self._onChange()

    def _deviceChosen(self, device: str) -> None:
        if self._choices() is not None:
            self._choices().device = device

    def _showMethod(self) -> None:
        """Only what the method understands can be set."""
        if self._choices() is None:
            return
        steps, fidelity = self._understands(STEPS), self._understands(FIDELITY)
        strength = self._ui.ownStrengthCheck.checked
        self._ui.strengthSlider.enabled = strength
        self._ui.strengthSlider.toolTip = _("The part of the noise found that is removed") if strength else _("The model chooses it")
        none = _("{method} has no such setting").format(method=self.method)
        for widget, known, tip in (
            (self._ui.sharpnessSlider, self._understands(SHARPNESS), _("From 0, most faithful, to 1, sharpest")),
            (self._ui.stepsSpin, steps, _("Network calls; 0 uses the model's default")),
            (self._ui.ownFidelityCheck, fidelity, ""),
            (self._ui.fidelitySlider, fidelity and self._ui.ownFidelityCheck.checked, _("Weight of agreement with the measured image")),
        ):
            widget.enabled = known
            widget.toolTip = tip if known else none

    def _choose(self) -> None:
        name = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("A model's folder"), self._choices().bundle)
        if name:
            self._take(name)

    def _take(self, folder: str) -> None:
        self._choices().bundle = folder
        self.show()
        self._onChange()


def _summary(card: Card | None) -> str:
    if card is None:
        return ""
    organs = ", ".join(sorted(card.trained_on.get("organ", ()))) or _("not stated")
    contrasts = ", ".join(sorted(card.trained_on.get("contrast", ()))) or _("not stated")
    return _("Recommends {method}. Trained on: {organs} ({contrasts}).").format(
        method=card.default_method, organs=organs, contrasts=contrasts
    )
