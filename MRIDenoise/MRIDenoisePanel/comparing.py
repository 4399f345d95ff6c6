"""The section *Compare*: layouts side by side, flicker, wipe, and the way back to the user's own layout."""

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MRIDenoiseLib.mrml.comparison import Comparison
from MRIDenoiseLib.mrml.layouts import VIEWS, Layout
from MRIDenoiseLib.mrml.planes import slice_in_view
from MRIDenoiseLib.mrml.results import map_of, role_of, source_of
from MRIDenoiseLib.mrml.volumes import slice_axis_of
from MRIDenoisePanel.views import MILLISECONDS_FOR_NEW_VIEWS, renderersOf

SAME_SCALE = 2.0
"""Brightest voxels may differ by this factor."""

BUTTONS = {
    "compareTwoButton": Layout.PAIR,
    "compareReferenceButton": Layout.WITH_REFERENCE,
    "compareResidualButton": Layout.WITH_RESIDUAL,
    "compareFourButton": Layout.ALL,
    "compareUncertaintyButton": Layout.WITH_RESIDUAL,
}
MAP_BUTTON = "compareUncertaintyButton"
"""Shows the map of uncertainty in the residual's place."""


class CompareSection:
    """Drives a :class:`Comparison` of the volumes that the parameter node names.

    Args:
        ui: the panel's widgets.
        choices: gives the parameter node.
        comparison: makes a comparison, given what to call when it has ended.
    """

    def __init__(self, ui: Any, choices: Callable[[], Any], comparison: Callable[[Callable[[], None]], Comparison]) -> None:
        self._ui = ui
        self._choices = choices
        self._images: tuple[Any, ...] = ()
        self._entering, self._settling = qt.QTimer(), qt.QTimer()
        for timer, work in ((self._entering, self.enter), (self._settling, self._settle)):
            timer.setSingleShot(True)
            timer.timeout.connect(lambda work=work: work())
        self._comparison = comparison(self.show)
        for name, layout in BUTTONS.items():
            getattr(ui, name).connect("clicked(bool)", lambda _on, name=name, layout=layout: self.enter(layout, withMap=name == MAP_BUTTON))
        ui.leaveButton.connect("clicked(bool)", lambda _on: self.leave())
        ui.flickerButton.connect("clicked(bool)", lambda _on: self._flicker())
        ui.wipeSlider.connect("valueChanged(int)", lambda value: self._comparison.wipe(value / 100))

    def enterSoon(self) -> None:
        """Show noisy and denoised when the window has had its turn."""
        self._entering.start(0)

    def enter(self, layout: Layout = Layout.PAIR, preview: Any = None, index: int | None = None, *, withMap: bool = False) -> None:
        """Show an image next to the noisy one that it was made from, and what else the layout needs.

        Args:
            layout: which views.
            preview: the image; the last result when not given.
            index: of the slice to start with; the one that the user is looking at when not given.
            withMap: whether the map of uncertainty is shown in the residual's place.
        """
        choices = self._choices()
        image = preview or choices.denoisedVolume
        noisy = source_of(image) if image is not None else None
        if noisy is None:
            return
        self._ui.wipeSlider.value = 0
        beside = map_of(image, "uncertainty") if withMap else choices.residualVolume
        images = (noisy, image, choices.referenceVolume, beside if preview is None else None)
        if self._comparison.active and images == self._images:
            self._comparison.show(layout)
        else:
            start = slice_in_view(slicer.mrmlScene, noisy, slice_axis_of(noisy)) if index is None else index
            alike = choices.referenceVolume is None or _alike(noisy, choices.referenceVolume)
            self._comparison.enter(*images, layout=layout, reference_in_step=alike, index=start)
            self._images = images
        self._settling.start(MILLISECONDS_FOR_NEW_VIEWS)
        self.show()

    def leave(self) -> None:
        """Back to the user's own layout, windows and levels."""
        self._comparison.leave()
        self._images = ()
        self.show()

    def show(self) -> None:
        """Which layouts can be had, and why the others cannot."""
        choices, active = self._choices(), self._comparison.active
        result = choices is not None and choices.denoisedVolume is not None and source_of(choices.denoisedVolume) is not None
        reference = choices is not None and choices.referenceVolume is not None
        residual = choices is not None and choices.residualVolume is not None
        uncertain = result and map_of(choices.denoisedVolume, "uncertainty") is not None
        withMap = len(self._images) == len(Layout.ALL.views) and self._images[-1] is not None and role_of(self._images[-1]) == "uncertainty"
        why = {
            "compareTwoButton": "" if result else _("Denoise a volume first"),
            "compareReferenceButton": _why(result, reference, True),
            "compareResidualButton": _why(result, True, residual),
            "compareFourButton": _why(result, reference, residual),
            MAP_BUTTON: _why(result, True, True) or ("" if uncertain else _("Check Uncertainty under Model before denoising")),
        }
        for name, reason in why.items():
            button = getattr(self._ui, name)
            button.enabled = not reason
            button.toolTip = reason
            alike = withMap == (name == MAP_BUTTON) or BUTTONS[name] is not Layout.WITH_RESIDUAL
            button.checked = active and self._comparison.layout is BUTTONS[name] and alike
        for name in ("leaveButton", "flickerButton", "wipeSlider"):
            widget = getattr(self._ui, name)
            widget.enabled = active
        if not active:
            self._ui.flickerButton.checked = False

    def stop(self) -> None:
        """The panel goes."""
        self._entering.stop()
        self._settling.stop()
        self.leave()

    def _flicker(self) -> None:
        self._ui.wipeSlider.value = 0
        self._ui.flickerButton.checked = self._comparison.flicker()

    def _settle(self) -> None:
        """Fit the views that have got their size, and write into their pictures what they show."""
        self._comparison.fit()
        self._comparison.draw_labels(renderersOf(VIEWS))


def _alike(noisy: Any, reference: Any) -> bool:
    """Whether two images have about the same scale of intensities, so that one window suits both."""
    one, other = (volume.GetImageData().GetScalarRange()[1] for volume in (noisy, reference))
    return 0 < one < SAME_SCALE * other < SAME_SCALE**2 * one


def _why(result: bool, reference: bool, residual: bool) -> str:
    if not result:
        return _("Denoise a volume first")
    if not reference:
        return _("Choose a reference under Input first")
    return "" if residual else _("The residual of the last result is not in the scene")
