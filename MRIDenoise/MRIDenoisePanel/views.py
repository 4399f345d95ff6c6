"""Where the application draws slice views of ours."""

from collections.abc import Iterable
from typing import Any

import slicer

from MRIDenoiseLib.mrml.layouts import View

MILLISECONDS_FOR_NEW_VIEWS = 100
"""The application gives new views their size in its own time."""


def renderersOf(views: Iterable[View]) -> dict[View, Any]:
    """The renderer of each view that is on the screen."""
    manager = slicer.app.layoutManager()
    renderers = {}
    for view in views:
        widget = manager.sliceWidget(view.tag) if manager is not None else None
        if widget is not None:
            renderers[view] = widget.sliceView().renderWindow().GetRenderers().GetItemAsObject(0)
    return renderers
