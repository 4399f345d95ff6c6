"""Write under a temporary name next to the target, and rename only when everything is there.

A run that fails, is cancelled or is interrupted then leaves either the old result or none, never half a one.

JSON as all reports have it, and rows as a table (CSV) or a list of records (JSON).
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.io.paths import is_utf8, name_limit

TRIAL = 4096
"""Bytes with which is found out whether a disk takes any."""
HASH = 16
"""Letters that stand for a name in the name of a temporary file, where the name itself does not fit or is not UTF-8."""
TABLE_ENDINGS = (".csv", ".json")


def check_target(path: Path, overwrite: bool, is_ours: Callable[[Path], bool] | None = None) -> None:
    """Raise OutputError where nothing may be written at ``path``; cheap enough to call before long work.

    Args:
        path: the file or folder to be written.
        overwrite: whether the user allowed what is there to be replaced.
        is_ours: for an existing folder, returns whether everything in it is an earlier result of ours. Without it a
            folder that holds anything is never replaced, so that ``--overwrite`` cannot delete a user's own files.
    """
    parent = path.parent
    if not parent.is_dir():
        raise OutputError(f"cannot write {path}: the folder {parent} does not exist; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {parent}")
    if len(os.fsencode(path.name)) > name_limit(parent):
        raise OutputError(f"cannot write {path.name[:40]}...: the name is too long; choose one of at most {name_limit(parent)} bytes")
    if path.is_symlink() and path.is_dir():
        raise OutputError(f"cannot write {path}: it is a link to a folder; name the folder itself")
    if not path.exists():
        return
    if not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow it to be replaced with --overwrite")
    if path.is_dir() and any(path.iterdir()) and not (is_ours is not None and is_ours(path)):
        raise OutputError(f"{path} holds files that are not an earlier result, so it is not replaced; choose another folder")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OutputError(f"{path} is no file but a device or a pipe; name a file")


def check_room(path: Path, needed: int = 0) -> None:
    """Raise OutputError where the system would not let us write a file beside ``path``: found out by writing one.

    A permission that looks right may be refused all the same (a read-only disk, a quota, a name that the disk does not take).

    Args:
        path: what is to be written; its folder exists.
        needed: bytes that there must be room for.
    """
    trial = _sibling(path, "partial")
    try:
        with trial.open("wb") as file:
            file.write(bytes(TRIAL))
            file.flush()
            os.fsync(file.fileno())
        free = min(shutil.disk_usage(path.parent).free, _largest_file())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or 'the system refused'}; choose another place") from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)
    if free < needed:
        raise OutputError(f"cannot write {path}: {free / 1e6:.3g} MB are free there, and about {needed / 1e6:.3g} are needed; make room")


@contextmanager
def replacing(path: str | Path, overwrite: bool, is_ours: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write to; it takes ``path``'s place on success and vanishes on failure.

    The temporary name is hidden and keeps the file's ending, by which image writers choose a format. The caller
    creates a file or a folder there. Operating-system errors while writing become OutputError. Temporary files that a
    killed run on this machine left next to the same ``path`` are removed first.

    Args:
        path: the file or folder that is to exist in the end.
        overwrite: whether an existing ``path`` may be replaced.
        is_ours: see :func:`check_target`.

    Raises:
        OutputError: ``path`` exists and may not be replaced, its folder is missing, or writing failed.
    """
    path = Path(path)
    _clear_leftovers(path, overwrite)
    check_target(path, overwrite, is_ours)
    temporary = _sibling(path, "partial")
    try:
        yield temporary
        if temporary.is_dir() and path.exists() and not path.is_dir():
            raise OutputError(f"cannot write the folder {path}: a file of that name exists")
        if not temporary.is_dir() and path.is_dir():
            raise OutputError(f"cannot write the file {path}: a folder of that name exists")
        # Checked again: at the end of a long run the answer may be another one.
        check_target(path, overwrite, is_ours)
        _put_in_place(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or 'the system refused'}") from error
    finally:
        _remove(temporary)


def _largest_file() -> float:
    """Bytes that a file of this process may have; infinite where the system sets no limit."""
    try:
        import resource
    except ImportError:  # Windows has none
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _put_in_place(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        temporary.replace(path)
        return
    # A folder that holds something cannot be renamed over, so the old one steps aside first and comes back on failure.
    old = _sibling(path, "replaced")
    try:
        path.rename(old)
        temporary.rename(path)
    finally:
        # Also after an interruption between the two.
        if old.exists() and not path.exists():
            old.rename(path)
        elif not temporary.exists():
            shutil.rmtree(old, ignore_errors=True)


def _sibling(path: Path, what: str) -> Path:
    """A hidden sibling's name that shows which machine and process it belongs to."""
    mark = f".{what}-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}-"
    return path.with_name(mark + _stand_in(path))


def _stand_in(path: Path) -> str:
    """The path's last part, or something shorter in its place that ends alike: no name may be longer than the system allows."""
    longest = len(f".replaced-{_machine()}-{2**31}-{'0' * 8}-")
    if is_utf8(path.name) and longest + len(os.fsencode(path.name)) <= name_limit(path.parent):
        return path.name
    suffixes = "".join(path.suffixes[-2:])
    ending = suffixes if len(suffixes) <= len(".nii.gz") + 2 and suffixes.isascii() else ""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:HASH] + ending


def _machine() -> str:
    # A folder may be shared between machines, and a process number means something on its own machine only.
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _clear_leftovers(path: Path, overwrite: bool) -> None:
    """Remove what killed processes left of ``path``; a folder that one had moved aside comes back to be replaced again."""
    ours = re.compile(rf"\.(partial|replaced)-{_machine()}-(\d+)-[0-9a-f]{{8}}-{re.escape(_stand_in(path))}")
    with suppress(OSError):  # the check that follows reports what is wrong with the folder
        for sibling in list(path.parent.iterdir()):
            match = ours.fullmatch(sibling.name)
            if match is None or _is_running(int(match[2])):
                continue
            if match[1] == "partial" or path.exists():
                _remove(sibling)
            elif overwrite:
                sibling.rename(path)


def _is_running(process: int) -> bool:
    if os.name == "nt":
        return True  # there, a check with os.kill would interrupt the process, so what it left stays
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any, *, overwrite: bool = False) -> None:
    """Write a report as JSON, whole or not at all.

    Args:
        path: the file.
        content: see :func:`json_text`.
        overwrite: whether a file that is there may be replaced.

    Raises:
        OutputError: it is there already, or cannot be written.
        TypeError: the content holds what JSON does not know.
    """
    with replacing(path, overwrite) as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")


def json_text(content: Any) -> str:
    """JSON as all reports have it: in the order given, for people to read, with null for what is not a finite number.

    Args:
        content: mappings, sequences, words and numbers.

    Raises:
        TypeError: it holds something else.
    """
    return showable(json.dumps(json_ready(content), indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def showable(text: str) -> str:
    """A text that any UTF-8 file can hold: a file's name is bytes of any encoding, which Python keeps as half characters."""
    text = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\ufffd", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def json_ready(value: Any) -> Any:
    """The same with null for what is not a finite number, at any depth: JSON has neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_ready(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path, *, overwrite: bool = False) -> None:
    """Write rows by the file's ending; in a table, what is not a number or word is written as JSON.

    Raises:
        OutputError: the file is there already, has another ending, or cannot be written.
    """
    if path.suffix.lower() not in TABLE_ENDINGS:
        raise OutputError(f"{path.name} must end in {' or '.join(TABLE_ENDINGS)}")
    if path.suffix.lower() == ".json":
        write_json(path, rows, overwrite=overwrite)
        return
    with replacing(path, overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows([_cell(row[name]) for name in columns] for row in rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """What :func:`write_rows` wrote, or a person in a spreadsheet; the cells of a table are text.

    Raises:
        OSError: it cannot be read.
        ValueError: it is neither table nor list of records.
    """
    # Spreadsheets put a mark before UTF-8.
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() != ".json":
            return list(csv.DictReader(file, strict=True))
        rows = json.load(file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of records")
    return rows


def _cell(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | tuple) else value
    return showable(text) if isinstance(text, str) else text
