"""A mark of the code that makes a result: what is kept of an earlier run counts only while that code is the same.

Comments, docstrings and the form of the text change nothing.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from pathlib import Path

from MRIDenoiseLib.evaluation.denoisers import METHODS

LIBRARY = Path(__file__).resolve().parents[2]
NOISE = ("simulation", "image", "data/references.py", "evaluation/comparison/cases.py")
"""What an image of the comparison is made by: files and folders of the library, as all of these are."""
SHOWN = ("image", "evaluation/denoisers/contender.py", "evaluation/blur.py")
"""What a method sees, whatever it is."""
NETWORKS = ("inference", "methods.py", "models", "prompt", "result.py", "sampling")
"""What a method with networks, or one that is told the noise that a network measures, rests on."""
SCORES = ("evaluation/figures", "evaluation/comparison/cells.py", "segmentation")
"""What judges a result."""


def cell_code(method: str | None, *, networks: bool) -> str:
    """Of everything that decides what a method comes to in the comparison.

    Args:
        method: its name; None where no method runs.
        networks: whether its result depends on the model.
    """
    return _mark((*NOISE, *SCORES, *(() if method is None else _made_by(method, networks))))


def image_code(method: str, *, networks: bool) -> str:
    """Of what makes a method's image out of a noisy one, without what makes that one and what judges it; see :func:`cell_code`."""
    return _mark(_made_by(method, networks))


def _made_by(method: str, networks: bool) -> tuple[str, ...]:
    # A method of a user's own may lie outside the library.
    file = Path(str(sys.modules[METHODS[method].run.__module__].__file__)).resolve()
    return (*SHOWN, str(file), *(NETWORKS if networks else ()))


@lru_cache
def _mark(parts: tuple[str, ...]) -> str:
    files = {file for part in parts for file in ((LIBRARY / part).rglob("*.py") if (LIBRARY / part).is_dir() else [LIBRARY / part])}
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(f"{file.name}\n{what_runs(file.read_text(encoding='utf-8'))}\n".encode())
    return found.hexdigest()


def what_runs(source: str) -> str:
    """A file's code without comments, docstrings and form."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        # A string that nobody takes is a docstring, of a constant, too.
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]  # type: ignore[attr-defined]
    return ast.dump(tree)
