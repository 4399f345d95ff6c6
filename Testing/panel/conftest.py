"""Fixtures for the panel's tests: Slicer's application layer, stood in for, and a small module to try it with."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before anything loads VTK: drawing needs neither a screen nor a graphics card.
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")


@pytest.fixture
def slicer_app(tmp_path: Path) -> Iterator:
    """The stand-in's Desk, with a fresh scene; afterwards no error may have gone unseen and no answer unasked."""
    pytest.importorskip("PySide6.QtWidgets", reason="the panel's tests need PySide6-Essentials", exc_type=ImportError)
    pytest.importorskip("slicer", reason="the panel's tests need slicer-core", exc_type=ImportError)
    from stand_in.desk import Desk

    with Desk(tmp_path / "slicer") as desk:
        yield desk
        desk.app.processEvents()
    desk.check_nothing_is_left()


@pytest.fixture
def example(slicer_app, tmp_path: Path) -> Callable:
    """Opens the example module, spoilt (see write_example) or not; gives its Widget."""
    from example_module import write_example

    return lambda **spoilt: slicer_app.load_module(write_example(tmp_path / "Example", **spoilt)).open()


@pytest.fixture(scope="session")
def warm_workers() -> Iterator[list]:
    """Clients whose workers tests have left ready for the next one; to start one takes many seconds."""
    left: list = []
    yield left
    for client in left:
        client.close()


@pytest.fixture
def panel(slicer_app, monkeypatch, warm_workers):
    """The panel, open on an empty scene; its worker runs this Python, and may have worked for a test before."""
    from panel_driving import MODULE, ROOT

    monkeypatch.setenv("PATH", str(ROOT / "no-such-folder"))
    widget = slicer_app.load_module(MODULE).open()
    if warm_workers:
        _hand_over(warm_workers.pop(), widget.engine._client)
    yield widget
    client = widget.engine._client
    if client.state.value == "ready" and client.process.running:
        warm_workers.append(_hand_over(client, type(client)([], lambda answer: None)))
    widget.engine.close()


def _hand_over(client, other):
    """Give a client's worker to another client, which goes on counting its jobs; that other client."""
    for name in ("_process", "_jobs", "state"):
        setattr(other, name, getattr(client, name))
    client._process, client.state = None, type(client.state)("stopped")
    return other
