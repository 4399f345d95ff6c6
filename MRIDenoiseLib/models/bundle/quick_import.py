"""Import diffusers for inference in a fraction of its usual time.

The networks need a U-Net, a base class and a noise schedule from diffusers. Its modules also look for every library that a pipeline
could be used with and import those that are installed: transformers, peft, accelerate, scipy's statistics, and torch's compiler with
sympy. Together they take several times as long as torch itself, while a user waits. For diffusers each of them is optional. So they
are made to look absent while diffusers is being imported; afterwards they can be imported as always.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

OPTIONAL = ("accelerate", "peft", "scipy", "transformers")
COMPILER = "torch._dynamo"


def import_diffusers() -> None:
    """Import what :class:`.bundle.Bundle` needs of diffusers; nothing happens where diffusers is imported already.

    For processes that only denoise: diffusers remembers which libraries were absent, so its training tools, its pipelines and
    its adapters do not find them. A version of diffusers that cannot be imported without them is imported as usual.
    """
    if "diffusers" in sys.modules:
        return
    try:
        with _hidden({name: None for name in OPTIONAL} | {COMPILER: _no_compiler()}):
            _import()
    except (ImportError, AttributeError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "diffusers"]:
            del sys.modules[name]
        _import()


def _import() -> None:
    import diffusers.models.unets.unet_2d_condition
    import diffusers.schedulers.scheduling_ddim  # noqa: F401


def _no_compiler() -> ModuleType:
    """Replaces the decorator with which diffusers marks functions for a compiler: the functions stay as they are."""

    def mark(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
        return (lambda marked: marked) if function is None else function

    module = ModuleType(COMPILER)
    module.__dict__.update(allow_in_graph=mark, disable=mark)
    return module


@contextmanager
def _hidden(instead: dict[str, ModuleType | None]) -> Iterator[None]:
    """Replaces some modules by others, or by none (None is Python's mark for a module that does not exist)."""
    before = {name: sys.modules[name] for name in instead if name in sys.modules}
    sys.modules.update(instead)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in instead:
            sys.modules.pop(name, None)
        sys.modules.update(before)
