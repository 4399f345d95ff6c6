"""One shape for every widget that can show a parameter: read it, write it, hear when the user changes it."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass

import slicer
from PySide6 import QtWidgets

from stand_in import ctk_widgets, mrml_widgets
from stand_in.parameters.annotations import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange, first, split
from stand_in.pythonqt import flavoured

_CHECK_BOXES = (flavoured(QtWidgets.QCheckBox), ctk_widgets.ctkCheckBox)
_WHOLE_NUMBER = (flavoured(QtWidgets.QSlider), flavoured(QtWidgets.QSpinBox))
_SLIDERS = (ctk_widgets.ctkSliderWidget, mrml_widgets.qMRMLSliderWidget)
_NUMBER = (flavoured(QtWidgets.QDoubleSpinBox), ctk_widgets.ctkDoubleSpinBox, *_SLIDERS)
_COMBO_BOXES = (flavoured(QtWidgets.QComboBox), ctk_widgets.ctkComboBox)
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Connector:
    """How a parameter and a widget meet; `changed` is the widget's signal, None for one that only shows."""

    read: Callable[[], object]
    write: Callable[[object], None]
    changed: object = None


def connector_for(widget, annotated) -> Connector:
    """Bind a widget to a type, with the bounds that stand beside the type.

    Raises:
        RuntimeError: this widget cannot show this type, or needs bounds or choices that the type does not give.
    """
    kind, beside = split(annotated)
    shape = type(widget)
    if kind is bool and shape in _CHECK_BOXES:
        return _property(widget, "checked", widget.stateChanged)
    if kind is bool and shape is flavoured(QtWidgets.QPushButton):
        widget.checkable = True
        return _property(widget, "checked", widget.toggled)
    if kind is int and shape in _WHOLE_NUMBER:
        return _number(widget, beside, "setRange", int, unbounded=(-_LARGEST, _LARGEST))
    if kind in (int, float) and shape in _NUMBER:
        return _number(widget, beside, "", kind, unbounded=(float("-inf"), float("inf")))
    if shape in _COMBO_BOXES and isinstance(kind, type):
        return _choice(widget, kind, beside)
    if kind is str and shape is flavoured(QtWidgets.QLineEdit):
        return _property(widget, "text", widget.textChanged)
    if kind is str and shape is flavoured(QtWidgets.QLabel):
        return _property(widget, "text", None)
    if kind is str and shape is flavoured(QtWidgets.QTextEdit):
        return Connector(widget.toPlainText, widget.setPlainText, widget.textChanged)
    if kind is pathlib.Path and shape is ctk_widgets.ctkPathLineEdit:
        return Connector(
            lambda: pathlib.Path(widget.currentPath), lambda path: setattr(widget, "currentPath", str(path)), widget.currentPathChanged
        )
    nodes = node_types(kind)
    if nodes and shape is mrml_widgets.qMRMLNodeComboBox:
        widget.nodeTypes = nodes
        return Connector(widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{annotated}' to widget type '{shape.__name__}'")


def node_types(kind) -> list[str]:
    """The classes of node of a reference or a union of references; empty for any other type."""
    alternatives = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    alternatives = [split(one)[0] for one in alternatives if one is not type(None)]
    if not all(isinstance(one, type) and issubclass(one, slicer.vtkMRMLNode) for one in alternatives):
        return []
    return [one().GetClassName() for one in alternatives]


def _property(widget, name: str, changed, convert: Callable = lambda value: value) -> Connector:
    def write(value) -> None:
        # Writing what is there already would move the cursor of a line edit while the user types.
        if getattr(widget, name) != value:
            setattr(widget, name, value)

    return Connector(lambda: convert(getattr(widget, name)), write, changed)


def _number(widget, beside: tuple, setter: str, kind: type, unbounded: tuple) -> Connector:
    within, lowest, highest = first(beside, WithinRange), first(beside, Minimum), first(beside, Maximum)
    bounded = within is not None or (lowest is not None and highest is not None)
    if isinstance(widget, (QtWidgets.QSlider, *_SLIDERS)) and not bounded:
        raise RuntimeError(f"Cannot have a connection to {type(widget).__name__} where the type is unbounded.")
    decimals = first(beside, Decimals)
    if not setter and kind is int:
        widget.decimals = 0
    elif decimals is not None:
        widget.decimals = decimals.value
    step = first(beside, SingleStep)
    if step is not None:
        widget.singleStep = step.value
    low = within.minimum if within else lowest.minimum if lowest else unbounded[0]
    high = within.maximum if within else highest.maximum if highest else unbounded[1]
    if setter:
        getattr(widget, setter)(low, high)
    else:
        widget.minimum, widget.maximum = low, high
    return _property(widget, "value", widget.valueChanged, kind)


def _choice(widget, kind: type, beside: tuple) -> Connector:
    if issubclass(kind, enum.Enum):
        values = list(kind)
        label = getattr(kind, "label", lambda member: member.name)
        labels = [label(value) for value in values]
    elif kind in (int, float, str, bool):
        choice = first(beside, Choice)
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        values = list(choice.choices)
        labels = [str(value) for value in values]
    else:
        raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to widget type '{type(widget).__name__}'")
    widget.clear()
    widget.addItems(labels)

    def write(value) -> None:
        widget.currentIndex = values.index(value)

    return Connector(lambda: values[widget.currentIndex], write, widget.currentIndexChanged)
