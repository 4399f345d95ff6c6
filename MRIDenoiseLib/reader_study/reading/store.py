"""The ratings of a study: one SQLite file that is only ever added to, survives being killed, and takes several readers at once."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from MRIDenoiseLib import __version__
from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.reader_study.reading.folder import ReadingPlan

RATINGS = "ratings.sqlite"
BUSY_SECONDS = 30.0
"""How long one process waits for another that is writing; a write takes milliseconds."""

_SCHEMA = (
    "CREATE TABLE study (id TEXT NOT NULL)",
    """CREATE TABLE ratings (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        reader TEXT NOT NULL,
        session INTEGER NOT NULL,
        item TEXT NOT NULL,
        field TEXT NOT NULL,
        revision INTEGER NOT NULL,
        value TEXT NOT NULL,
        seconds REAL NOT NULL,
        saved_at TEXT NOT NULL,
        software TEXT NOT NULL,
        bundle TEXT NOT NULL,
        UNIQUE (reader, item, field, revision)
    )""",
    "CREATE TRIGGER never_changed BEFORE UPDATE ON ratings BEGIN SELECT RAISE(ABORT, 'ratings are never changed'); END",
    "CREATE TRIGGER never_deleted BEFORE DELETE ON ratings BEGIN SELECT RAISE(ABORT, 'ratings are never deleted'); END",
)

_COLUMNS = "reader, session, item, field, revision, value, seconds, saved_at, software, bundle"

_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "fuse.sshfs", "fuse.rclone", "davfs", "fuse.davfs2"}


@dataclass(frozen=True)
class Rating:
    """One answer as it was saved.

    Args:
        reader: the reader's code.
        session: 1 and up.
        item: the entry of the reading list.
        field: the question.
        revision: 1 for the first answer; a correction adds a row with the next number.
        value: as :meth:`.forms.Field.check` gives it, JSON on disk; a signal index holds its regions, means and ratio.
        seconds: time spent on the whole item for this revision, without pauses.
        saved_at: when.
        software: version of this program.
        bundle: hash of the model under study, or ``none``.
    """

    reader: str
    session: int
    item: str
    field: str
    revision: int
    value: Any
    seconds: float
    saved_at: datetime
    software: str
    bundle: str


class RatingStore:
    """The ratings file of a reading folder. Holds no connection open: every call opens, does one transaction, and closes.

    When :meth:`save` returns, the answers are on the disk: neither a killed process nor a failing power supply loses them. Rows
    are never changed or deleted, which triggers in the file enforce against other programs too.

    Args:
        path: the file.
        plan: of the study it belongs to.
    """

    def __init__(self, path: Path, plan: ReadingPlan) -> None:
        self.path = path
        self._plan = plan

    @classmethod
    def open(cls, reading: Path, plan: ReadingPlan) -> RatingStore:
        """The store of a reading folder, made where there is none yet; two processes may do so at the same moment.

        Raises:
            OutputError: it cannot be made or written to.
            InputError: the file is damaged or belongs to another study.
        """
        store = cls(reading / RATINGS, plan)
        with store._connection() as connection:
            if not _is_made(connection):
                connection.execute("BEGIN IMMEDIATE")
                # Checked again: another process may have been faster.
                if not _is_made(connection):
                    for statement in _SCHEMA:
                        connection.execute(statement)
                    connection.execute("INSERT INTO study VALUES (?)", (plan.study,))
                connection.execute("COMMIT")
            owner = connection.execute("SELECT id FROM study").fetchone()
        if owner != (plan.study,):
            raise InputError(f"{store.path} holds the ratings of another study")
        return store

    def save(self, reader: str, session: int, item: str, answers: Mapping[str, Any], seconds: float, saved_at: datetime) -> int:
        """Add the answers to one item, all or none; returns their revision, 1 for the first.

        Args:
            reader: the reader's code.
            session: 1 and up.
            item: the entry of the reading list.
            answers: question -> value.
            seconds: time spent.
            saved_at: with its time zone.

        Raises:
            OutputError: they could not be written; nothing of them was.
        """
        if saved_at.tzinfo is None:
            raise ValueError("a rating's time needs its time zone")
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            (last,) = connection.execute("SELECT max(revision) FROM ratings WHERE reader = ? AND item = ?", (reader, item)).fetchone()
            revision = (last or 0) + 1
            _insert(
                connection,
                [
                    Rating(reader, session, item, name, revision, value, seconds, saved_at, __version__, self._plan.bundle)
                    for name, value in answers.items()
                ],
            )
            connection.execute("COMMIT")
        return revision

    def take_in(self, other: RatingStore) -> int:
        """Add what another copy of this study's ratings holds and this one does not; returns how many ratings that were.

        Raises:
            InputError: a reader has answered the same item in both, differently; nothing is added.
            OutputError: they could not be written; nothing is added.
        """
        known = {(rating.reader, rating.item, rating.field, rating.revision): rating for rating in self.all()}
        new = []
        for rating in other.all():
            mine = known.get((rating.reader, rating.item, rating.field, rating.revision))
            if mine is None:
                new.append(rating)
            elif mine != rating:
                raise InputError(f"{rating.reader} has answered the same case differently in {self.path} and in {other.path}")
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            _insert(connection, new)
            connection.execute("COMMIT")
        return len(new)

    def all(self, reader: str | None = None) -> list[Rating]:
        """Every rating with every revision, in the order they were saved.

        Args:
            reader: only this one's.

        Raises:
            InputError: the file is damaged.
        """
        chosen, values = (" WHERE reader = ?", (reader,)) if reader is not None else ("", ())
        with self._connection() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM ratings{chosen} ORDER BY number", values).fetchall()
        return [
            Rating(reader, session, item, name, revision, json.loads(value), seconds, datetime.fromisoformat(saved_at), software, bundle)
            for reader, session, item, name, revision, value, seconds, saved_at, software, bundle in rows
        ]

    def latest(self, reader: str | None = None) -> dict[tuple[str, str], dict[str, Rating]]:
        """(reader, item) -> question -> the last revision's answer.

        A correction replaces all answers of its item: a remark that was taken back is not there any more.
        """
        found: dict[tuple[str, str], dict[str, Rating]] = {}
        for rating in self.all(reader):
            answers = found.setdefault((rating.reader, rating.item), {})
            if any(earlier.revision < rating.revision for earlier in answers.values()):
                answers.clear()
            answers[rating.field] = rating
        return found

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction, with SQLite's complaints as ours."""
        try:
            # No implicit transactions: each one here first requests the right to write.
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                _choose_journal(connection, wal=not (self._plan.shared_drive or on_network_drive(self.path)))
                # Also against a failing power supply, not only against a killed process.
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.OperationalError as error:
            raise OutputError(f"the ratings in {self.path} cannot be reached ({error}); nothing was saved, try again") from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} is damaged ({error}); take it from a backup") from error


def _is_made(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ratings'").fetchone() is not None


def _insert(connection: sqlite3.Connection, ratings: Sequence[Rating]) -> None:
    rows = [{**vars(rating), "value": _as_text(rating.value), "saved_at": rating.saved_at.isoformat()} for rating in ratings]
    values = ", ".join(f":{name}" for name in _COLUMNS.split(", "))
    connection.executemany(f"INSERT INTO ratings ({_COLUMNS}) VALUES ({values})", rows)


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _choose_journal(connection: sqlite3.Connection, *, wal: bool) -> None:
    """Write-ahead log on a local disk; a rollback journal on a network drive, where the log's shared memory does not work."""
    mode = "wal" if wal else "delete"
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != (mode,):
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        except sqlite3.OperationalError:
            # The mode changes only while no other process has the file open, and SQLite does not wait for that.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def on_network_drive(path: Path) -> bool:
    """Whether a file lies on a drive of another computer, as far as Linux and Windows report it; False on other systems."""
    if sys.platform == "win32":
        import ctypes

        remote = 4
        return ctypes.windll.kernel32.GetDriveTypeW(os.path.splitdrive(path.resolve())[0] + "\\") == remote
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return network_mount(path.resolve(), mounts)


def network_mount(path: Path, mounts: list[str]) -> bool:
    """Whether the innermost of the mounted file systems that holds an absolute path is a network's.

    Args:
        path: absolute.
        mounts: lines of Linux's ``/proc/mounts``: device, mount point, type and options.
    """
    points = [(Path(point.replace("\\040", " ")), kind) for _, point, kind, *_ in map(str.split, mounts)]
    holding = [(len(point.parts), number, kind) for number, (point, kind) in enumerate(points) if path.is_relative_to(point)]
    # Of two on one place the later one hides the earlier.
    return bool(holding) and max(holding)[2] in _NETWORK_FILE_SYSTEMS
