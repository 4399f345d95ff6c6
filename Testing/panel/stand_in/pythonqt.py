"""Qt classes with the manners of PythonQt, Slicer's binding: properties are attributes and signals may be named in C++.

Every class is a subclass of PySide6's, made when it is first asked for, so that PySide6 itself stays as it is.
"""

from __future__ import annotations

import inspect
import types
from functools import cache, partial

from PySide6 import QtCore

_GIVES_WHAT_QT_MADE = frozenset(
    ("addAction", "addButton", "addMenu", "button", "header", "horizontalHeader", "horizontalScrollBar")
    + ("labelForField", "lineEdit", "menu", "selectionModel", "tabBar", "verticalHeader", "verticalScrollBar")
)
"""Functions that may give an object of PySide6's own class, which then has to learn the manners."""


class _QtClass(type(QtCore.QObject)):
    """Lets `isinstance(x, qt.QWidget)` hold for every kind of widget, although the classes made here derive from PySide6's alone."""

    def __instancecheck__(cls, thing) -> bool:
        stands_for = cls.__dict__.get("qt_class")
        return isinstance(thing, stands_for) if stands_for else super().__instancecheck__(thing)


class Flavoured:
    """The manners themselves, to be put in front of a PySide6 class.

    A class that says `strict = True` in its own body takes no attribute but properties and, for its own use, names that start with
    an underscore. A module's subclasses do not say it and may keep what they like, as in PythonQt.
    """

    strict = False
    CPP_SIGNALS: dict[str, str] = {}
    """Signals whose C++ arguments PySide6 cannot spell (`vtkMRMLNode*`): normalised signature -> name of the Python signal."""
    CPP_SLOTS: frozenset[str] = frozenset()
    """Slots of a stand-in, by their C++ signatures; its method has the same name."""
    while_loading = False
    """True while a .ui file is read: PySide6's reader hangs each child on its parent as an attribute, which Slicer's does not."""

    def __init__(self, *args) -> None:
        super().__init__(*args)

    def __getattribute__(self, name: str):
        # Here and not as methods: PySide6 looks at these two names before it looks at the class.
        if name == "connect":
            return partial(_connect, self)
        if name == "disconnect":
            return partial(_disconnect, self)
        found = super().__getattribute__(name)
        return _teaching(found) if name in _GIVES_WHAT_QT_MADE and isinstance(found, types.BuiltinMethodType) else found

    def __getattr__(self, name: str):
        # A stand-in declares its properties only; in C++ each has a setter as well.
        declared = name[3:4].lower() + name[4:]
        if name.startswith("set") and has_property(type(self), declared):
            return partial(setattr, self, declared)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value) -> None:
        own = type(self).__dict__
        known = has_property(type(self), name)
        private = name.startswith("_") and "qt_class" not in own
        if own.get("strict") and not known and not private:
            if Flavoured.while_loading and isinstance(value, QtCore.QObject):
                return
            raise AttributeError(f"{type(self).__name__} has no property {name!r}; a dynamic one is set with setProperty")
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """Another word for objectName."""
        return self.objectName

    @name.setter
    def name(self, name: str) -> None:
        self.objectName = name

    def className(self) -> str:
        return self.metaObject().className()

    def findChild(self, kind: type, name: str = ""):
        return super().findChild(kind.__dict__.get("qt_class", kind), name)

    def findChildren(self, kind: type, name: str = "") -> list:
        kind = kind.__dict__.get("qt_class", kind)
        return super().findChildren(kind, name) if name else super().findChildren(kind)


@cache
def flavoured(qt_class: type, *manners: type) -> type:
    """The class that stands for `qt_class`; `manners` are classes whose methods go before its own."""
    meta = qt_class.staticMetaObject
    body: dict = {"qt_class": qt_class, "strict": True, "__module__": "qt", "__doc__": qt_class.__doc__}
    for index in range(meta.propertyCount()):
        body[meta.property(index).name()] = _Attribute(qt_class, meta.property(index))
    return _QtClass(qt_class.__name__, (*manners, Flavoured, qt_class), body)


def _teaching(function: types.BuiltinMethodType):
    def call(*args):
        made = function(*args)
        if isinstance(made, QtCore.QObject) and type(made).__module__.startswith("PySide6."):
            made.__class__ = flavoured(type(made))
        return made

    return call


class _Attribute(property):
    """A Qt property; asked of the class, it is the function of that name, if there is one (`QTimer.singleShot`)."""

    def __init__(self, qt_class: type, declared: QtCore.QMetaProperty) -> None:
        self._function = getattr(qt_class, declared.name(), None)
        super().__init__(self._reader(declared.name()), self._writer(qt_class, declared))

    def __get__(self, instance, owner=None):
        if instance is None and self._function is not None:
            return self._function
        return super().__get__(instance, owner)

    def _reader(self, name: str):
        # The C++ getter of the same name keeps the types of enumerations.
        getter = self._function if inspect.ismethoddescriptor(self._function) else None
        return getter or (lambda widget: QtCore.QObject.property(widget, name))

    @staticmethod
    def _writer(qt_class: type, declared: QtCore.QMetaProperty):
        name = declared.name()
        setter = getattr(qt_class, f"set{name[0].upper()}{name[1:]}", None)
        by_setter = setter is not None and (declared.isEnumType() or declared.isFlagType())
        writable = declared.isWritable()

        def write(widget, value) -> None:
            if not writable:
                raise AttributeError(f"property {name!r} of {type(widget).__name__} is not writable")
            if by_setter:
                setter(widget, value)
            elif not QtCore.QObject.setProperty(widget, name, value):
                raise AttributeError(f"property {name!r} of {type(widget).__name__} does not accept {value!r}")

        return write


def _normalised(signature: str) -> str:
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def has_property(kind: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(kind, name, None), property | QtCore.Property)


def has_slot(receiver: QtCore.QObject, signature: str) -> bool:
    signature = _normalised(signature)
    declared = getattr(type(receiver), "CPP_SLOTS", ())
    return signature in declared or receiver.metaObject().indexOfMethod(signature) >= 0


def _signal(sender: QtCore.QObject, signature: str) -> str:
    normal = _normalised(signature)
    if "(" not in signature or (normal not in sender.CPP_SIGNALS and sender.metaObject().indexOfSignal(normal) < 0):
        raise ValueError(f"{type(sender).__name__} has no signal {signature!r}")
    return normal


def _connect(sender: QtCore.QObject, signature: str, callback) -> bool:
    normal = _signal(sender, signature)
    if not callable(callback):
        raise TypeError(f"cannot connect {signature!r} to {callback!r}")
    if normal in sender.CPP_SIGNALS:
        return bool(getattr(sender, sender.CPP_SIGNALS[normal]).connect(callback))
    return bool(QtCore.QObject.connect(sender, QtCore.SIGNAL(normal), callback))


def _disconnect(sender: QtCore.QObject, signature: str, callback) -> bool:
    normal = _signal(sender, signature)
    if normal in sender.CPP_SIGNALS:
        return bool(getattr(sender, sender.CPP_SIGNALS[normal]).disconnect(callback))
    return bool(QtCore.QObject.disconnect(sender, QtCore.SIGNAL(normal), callback))
