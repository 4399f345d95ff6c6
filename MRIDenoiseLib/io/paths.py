"""Paths for libraries that know only UTF-8: SimpleITK ends the whole process where a name is anything else.

Old shares and zip files hold names in other encodings, which Python carries along as they are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from MRIDenoiseLib.errors import InputError

NAME_LIMIT = 255
"""Bytes of a file's name on most systems, where a folder does not state its own limit."""


def is_utf8(text: str | os.PathLike[str]) -> bool:
    """Whether a path can be written in UTF-8."""
    try:
        os.fspath(text).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def name_limit(folder: Path) -> int:
    """How many bytes a file's name may have in a folder."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return NAME_LIMIT


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """The path itself, or, while the block runs, another one in UTF-8 that leads to the same place.

    Args:
        path: a file that exists, or one to be written whose own name is in UTF-8 and whose folder exists.

    Raises:
        InputError: there is no way to make a link.
    """
    if is_utf8(path):
        yield path
        return
    try:
        place = Path(tempfile.mkdtemp(prefix="mridenoise-path-"))
    except OSError as error:
        raise _no_link(path) from error
    try:
        # The ending stays, because image libraries go by it.
        suffixes = "".join(suffix for suffix in path.suffixes[-2:] if is_utf8(suffix))
        link, target = (place / "folder", path.absolute().parent) if is_utf8(path.name) else (place / f"image{suffixes}", path.absolute())
        try:
            link.symlink_to(target)
        except (OSError, NotImplementedError) as error:
            raise _no_link(path) from error
        yield link / path.name if is_utf8(path.name) else link
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _no_link(path: Path) -> InputError:
    return InputError(f"{ascii(str(path))[1:-1]} has a name that is not UTF-8 and cannot be opened here; rename the file or its folder")
