"""How a value of each type is written into a vtkMRMLScriptedModuleNode, in Slicer's own spelling: saved scenes must agree."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from dataclasses import dataclass

import slicer

from stand_in.parameters.annotations import IsInstance, NotNone, Validator, split


@dataclass(frozen=True)
class Text:
    """Numbers, truth values, paths and texts: the parameter is what str() makes of them."""

    kind: type
    initial: object

    @property
    def validators(self) -> list[Validator]:
        return [NotNone(), IsInstance((int, float) if self.kind is float else self.kind)]

    def accepts(self, value) -> bool:
        return type(value) is self.kind

    def is_in(self, node, name: str) -> bool:
        return node.HasParameter(name)

    def write(self, node, name: str, value) -> None:
        node.SetParameter(name, str(value))

    def read(self, node, name: str):
        text = node.GetParameter(name)
        return text == "True" if self.kind is bool else self.kind(text)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)


@dataclass(frozen=True)
class Member(Text):
    """A member of an enumeration, by its name."""

    def write(self, node, name: str, value) -> None:
        node.SetParameter(name, value.name)

    def read(self, node, name: str):
        text = node.GetParameter(name)
        if text not in self.kind.__members__:
            raise ValueError(f"Found {text!r} in parameter node but it is not a name in {self.kind!r}")
        return self.kind[text]


@dataclass(frozen=True)
class Nothing(Text):
    """The None of an optional parameter."""

    @property
    def validators(self) -> list[Validator]:
        return []

    def read(self, node, name: str) -> None:
        return None


@dataclass(frozen=True)
class Reference(Text):
    """A node of the scene, as a node reference, so that it survives saving, loading and importing."""

    @property
    def validators(self) -> list[Validator]:
        return [IsInstance(self.kind)]

    def accepts(self, value) -> bool:
        return isinstance(value, self.kind)

    def write(self, node, name: str, value) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name: str):
        return node.GetNodeReference(name)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


@dataclass(frozen=True)
class OneOf:
    """A union: the value lies under the name of the alternative that takes it (`name.0`, `name.1`, …)."""

    alternatives: tuple

    validators: typing.ClassVar[list[Validator]] = []

    @property
    def initial(self):
        optional = len(self.alternatives) == 2 and isinstance(self.alternatives[1], Nothing)
        return None if optional else self.alternatives[0].initial

    def is_in(self, node, name: str) -> bool:
        return any(one.is_in(node, f"{name}.{index}") for index, one in enumerate(self.alternatives))

    def write(self, node, name: str, value) -> None:
        for index, one in enumerate(self.alternatives):
            if one.accepts(value):
                with slicer.util.NodeModify(node):
                    self.remove(node, name)
                    one.write(node, f"{name}.{index}", value)
                return
        raise TypeError(f"Unable to write value '{value}' of type '{type(value)}'")

    def read(self, node, name: str):
        for index, one in enumerate(self.alternatives):
            if one.is_in(node, f"{name}.{index}"):
                return one.read(node, f"{name}.{index}")
        raise KeyError(f"Unable to find value for name: {name}")

    def remove(self, node, name: str) -> None:
        for index, one in enumerate(self.alternatives):
            one.remove(node, f"{name}.{index}")


def storage_for(kind):
    """How values of this type are stored; TypeError for a type that the stand-in does not know."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return OneOf(tuple(storage_for(split(alternative)[0]) for alternative in typing.get_args(kind)))
    if kind in (int, float, str, bool, pathlib.Path):
        return Text(kind, 0 if kind is float else kind())
    if kind is type(None):
        return Nothing(kind, None)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return Member(kind, next(iter(kind)))
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return Reference(kind, None)
    raise TypeError(f"the stand-in cannot store a parameter of type {kind}")
