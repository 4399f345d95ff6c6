"""The class decorator `parameterNodeWrapper`: the annotations of a class become properties kept in a parameter node."""

from __future__ import annotations

import itertools
import typing
from dataclasses import dataclass

import slicer.util
import vtk
from PySide6 import QtWidgets

from stand_in.parameters.annotations import Default, Validator, first, split
from stand_in.parameters.connectors import Connector, connector_for
from stand_in.parameters.storage import storage_for

SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclass(frozen=True)
class Parameter:
    """One annotated name of the class."""

    name: str
    annotated: object
    storage: object
    validators: tuple[Validator, ...]
    default: Default

    def write(self, node, value) -> None:
        for validator in self.validators:
            validator.validate(value)
        self.storage.write(node, self.name, value)

    def read(self, node):
        if not self.storage.is_in(node, self.name):
            self.storage.write(node, self.name, self.default.value)
        return self.storage.read(node, self.name)


class _Wrapper:
    """What a decorated class gets beside its parameters."""

    allParameters: dict[str, Parameter]
    _OWN = ("parameterNode", "_guis", "_tags", "_showing")

    def __init__(self, parameterNode, prefix: str | None = None) -> None:
        if prefix:
            raise TypeError("the stand-in knows no prefix")
        self.parameterNode = parameterNode
        self._guis: dict[int, tuple[dict, list, int]] = {}
        self._tags = itertools.count()
        self._showing = False
        for parameter in self.allParameters.values():
            if not parameter.storage.is_in(parameterNode, parameter.name):
                parameter.write(parameterNode, parameter.default.value)

    def __setattr__(self, name: str, value) -> None:
        if name not in self.allParameters and name not in self._OWN:
            raise AttributeError(f"{type(self).__name__} has no parameter {name!r}")
        super().__setattr__(name, value)

    def getValue(self, name: str):
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name: str, value) -> None:
        self._parameter(name).write(self.parameterNode, value)

    def default(self, name: str) -> Default:
        return self._parameter(name).default

    def dataType(self, name: str):
        return self._parameter(name).annotated

    def _parameter(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; found {sorted(self.allParameters)}")
        return self.allParameters[name]

    def connectGui(self, gui) -> int:
        """Bind every widget with a SlicerParameterName; gives the tag for disconnectGui()."""
        widgets = gui.findChildren(QtWidgets.QWidget) if isinstance(gui, QtWidgets.QWidget) else vars(gui).values()
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        """Bind each parameter to its widget, both ways."""
        for name in mapping:
            self._parameter(name)
        connectors = {name: connector_for(widget, self.dataType(name)) for name, widget in mapping.items()}
        slots = []
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            if connector.changed is not None:
                slot = self._taker(name, connector)
                connector.changed.connect(slot)
                slots.append((connector.changed, slot))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        tag = next(self._tags)
        self._guis[tag] = (connectors, slots, observer)
        return tag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._guis:
            _, slots, observer = self._guis.pop(tag)
            for changed, slot in slots:
                changed.disconnect(slot)
            self.RemoveObserver(observer)

    def _taker(self, name: str, connector: Connector):
        def take(*_) -> None:
            if not self._showing:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return take

    def _show(self) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            for connectors, _, _ in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._showing = False

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying):
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(classtype: type | None = None):
    """For use as @parameterNodeWrapper and as @parameterNodeWrapper()."""
    return parameterNodeWrapper if classtype is None else _wrapped(classtype)


def isParameterNodeWrapper(classOrObj) -> bool:
    kind = classOrObj if isinstance(classOrObj, type) else type(classOrObj)
    return issubclass(kind, _Wrapper)


def _wrapped(described: type) -> type:
    parameters = {}
    for name, annotated in typing.get_type_hints(described, include_extras=True).items():
        if hasattr(_Wrapper, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        kind, beside = split(annotated)
        storage = storage_for(kind)
        default = Default(getattr(described, name)) if hasattr(described, name) else first(beside, Default) or Default(storage.initial)
        validators = (*storage.validators, *(one for one in beside if isinstance(one, Validator)))
        parameters[name] = Parameter(name, annotated, storage, validators, default)
    body = {name: property(_getter(name), _setter(name)) for name in parameters}
    body |= {"allParameters": parameters, "__module__": described.__module__, "__doc__": described.__doc__}
    body |= {name: member for name, member in vars(described).items() if not name.startswith("__") and name not in parameters}
    return type(described.__name__, (_Wrapper,), body)


def _getter(name: str):
    return lambda self: self.getValue(name)


def _setter(name: str):
    return lambda self, value: self.setValue(name, value)
