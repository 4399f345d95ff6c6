"""A mark of the code that makes a result: results of an earlier run are used only while that code is the same.

Comments, docstrings and formatting do not change the mark.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from pathlib import Path

from MRIDenoiseLib.evaluation.denoisers import CONTENDERS

LIBRARY = Path(__file__).resolve().parents[2]
NOISE = ("simulation", "image", "data/references.py", "evaluation/comparison/cases.py")
"""What makes an image of the comparison; files and folders of the library, like the lists below."""
SHOWN = ("image", "evaluation/denoisers/contender.py", "evaluation/blur.py")
"""What makes the input of every method."""
NETWORKS = ("inference", "methods.py", "models", "prompt", "result.py", "sampling")
"""What decides the result of a method with networks, or of one that is given the noise level that a network measures."""
SCORES = ("evaluation/figures", "evaluation/comparison/cells.py", "segmentation")
"""What computes the figures of a result."""


def cell_code(method: str | None, *, networks: bool) -> str:
    """A mark of all code that decides the figures of a method in the comparison.

    Args:
        method: its name; None where no method runs.
        networks: whether its result depends on the model.
    """
    return _mark((*NOISE, *SCORES, *(() if method is None else _made_by(method, networks))))


def image_code(method: str, *, networks: bool) -> str:
    """A mark of the code that makes a method's image from a noisy one, without what makes the noisy one and what computes figures."""
    return _mark(_made_by(method, networks))


def _made_by(method: str, networks: bool) -> tuple[str, ...]:
    # A user's own method may be outside the library.
    file = Path(str(sys.modules[CONTENDERS[method].run.__module__].__file__)).resolve()
    return (*SHOWN, str(file), *(NETWORKS if networks else ()))


@lru_cache
def _mark(parts: tuple[str, ...]) -> str:
    files = {file for part in parts for file in ((LIBRARY / part).rglob("*.py") if (LIBRARY / part).is_dir() else [LIBRARY / part])}
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(f"{file.name}\n{what_runs(file.read_text(encoding='utf-8'))}\n".encode())
    return found.hexdigest()


def what_runs(source: str) -> str:
    """A file's code without comments, docstrings and formatting."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        # A string that is not used is a docstring, also after a constant.
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]  # type: ignore[attr-defined]
    return ast.dump(tree)
