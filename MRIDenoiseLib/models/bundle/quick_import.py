"""Import diffusers for inference in a fraction of its usual time.

Of diffusers the networks need a U-Net, a base class and a noise schedule. Its modules also look for every library that a pipeline
could be used with and import those that are installed: transformers, peft, accelerate, scipy's statistics, and torch's compiler with
sympy. Together they take several times as long as torch itself, while a user waits. Each is optional in diffusers' own eyes, so for as
long as it is being imported they are made to look absent; afterwards whoever wants one imports it as ever.
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

    For processes that only denoise: diffusers keeps in mind what it found absent, so that its training tools, its pipelines and
    its adapters miss it. A diffusers that cannot do without is imported as usual.
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
    """What diffusers marks functions with for a compiler, in the place of a compiler: the functions stay as they are."""

    def mark(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
        return (lambda marked: marked) if function is None else function

    module = ModuleType(COMPILER)
    module.__dict__.update(allow_in_graph=mark, disable=mark)
    return module


@contextmanager
def _hidden(instead: dict[str, ModuleType | None]) -> Iterator[None]:
    """Other modules in the place of some, or none (None, as Python has it, means that there is no such module)."""
    before = {name: sys.modules[name] for name in instead if name in sys.modules}
    sys.modules.update(instead)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in instead:
            sys.modules.pop(name, None)
        sys.modules.update(before)
