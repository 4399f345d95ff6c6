"""Write under a temporary name beside the target, and rename only when everything is there.

A run that fails, is cancelled or is interrupted then leaves either the old result or none, never half a one.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from MRIDenoiseLib.errors import OutputError


def check_target(path: Path, overwrite: bool, is_ours: Callable[[Path], bool] | None = None) -> None:
    """Raise OutputError where nothing may be written at ``path``; cheap enough to call before long work.

    Args:
        path: the file or folder to be written.
        overwrite: whether the user allowed what is there to be replaced.
        is_ours: for an existing folder, tells whether everything in it is an earlier result of ours. Without it a
            folder that holds anything is never replaced, so that ``--overwrite`` cannot delete a user's own files.
    """
    parent = path.parent
    if not parent.is_dir():
        raise OutputError(f"cannot write {path}: the folder {parent} does not exist; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {parent}")
    if path.is_symlink() and path.is_dir():
        raise OutputError(f"cannot write {path}: it is a link to a folder; name the folder itself")
    if not path.exists():
        return
    if not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow it to be replaced with --overwrite")
    if path.is_dir() and any(path.iterdir()) and not (is_ours is not None and is_ours(path)):
        raise OutputError(f"{path} holds files that are not an earlier result, so it is not replaced; choose another folder")


@contextmanager
def replacing(path: str | Path, overwrite: bool, is_ours: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write to; it takes ``path``'s place on success and vanishes on failure.

    The temporary name is hidden and keeps the file's ending, by which image writers choose a format. The caller
    creates a file or a folder there. Operating-system errors while writing become OutputError.

    Args:
        path: the file or folder that is to exist in the end.
        overwrite: whether an existing ``path`` may be replaced.
        is_ours: see :func:`check_target`.

    Raises:
        OutputError: ``path`` exists and may not be replaced, its folder is missing, or writing failed.
    """
    path = Path(path)
    check_target(path, overwrite, is_ours)
    temporary = path.with_name(f".partial-{secrets.token_hex(6)}-{path.name}")
    try:
        yield temporary
        if temporary.is_dir() and path.exists() and not path.is_dir():
            raise OutputError(f"cannot write the folder {path}: a file of that name exists")
        if not temporary.is_dir() and path.is_dir():
            raise OutputError(f"cannot write the file {path}: a folder of that name exists")
        # Asked again: the other end of a long run may have come to another answer.
        check_target(path, overwrite, is_ours)
        _put_in_place(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or 'the system refused'}") from error
    finally:
        _remove(temporary)


def _put_in_place(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        temporary.replace(path)
        return
    # A folder that holds something cannot be renamed over, so the old one steps aside first and comes back on failure.
    old = path.with_name(f".replaced-{secrets.token_hex(6)}-{path.name}")
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
