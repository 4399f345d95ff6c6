"""Ratings: nothing that was acknowledged is ever lost, changed or deleted."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from MRIDenoiseLib import __version__
from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.reader_study.reading import store as module
from MRIDenoiseLib.reader_study.reading.folder import ReadingPlan
from MRIDenoiseLib.reader_study.reading.store import RATINGS, RatingStore, network_mount

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=timezone.utc)


def plan(study: str = "study", shared: bool = False) -> ReadingPlan:
    return ReadingPlan(study, "name", ("R1", "R2"), 14, "0123456789ab", shared, (), {}, {})


def test_a_rating_comes_back_as_it_was_saved(tmp_path):
    store = RatingStore.open(tmp_path, plan())
    answers = {"quality": 3, "remarks": "Bewegung, “stark”\n'; DROP TABLE ratings; --", "disc": {"ratio": 0.25, "regions": {"a": [1.5, 2]}}}
    assert store.save("R1", 2, "item", answers, 12.5, NOW) == 1
    found = RatingStore.open(tmp_path, plan()).all()
    assert {rating.field: rating.value for rating in found} == answers
    first = found[0]
    assert (first.reader, first.session, first.item, first.revision, first.seconds) == ("R1", 2, "item", 1, 12.5)
    assert (first.saved_at, first.software, first.bundle) == (NOW, __version__, "0123456789ab")


def test_a_correction_is_a_revision_and_the_old_answer_stays(tmp_path):
    store = RatingStore.open(tmp_path, plan())
    store.save("R1", 1, "item", {"quality": 3, "remarks": "blurred"}, 5, NOW)
    store.save("R2", 1, "item", {"quality": 1}, 5, NOW)
    assert store.save("R1", 1, "item", {"quality": 4}, 2, NOW) == 2
    assert [(r.revision, r.value) for r in store.all("R1")] == [(1, 3), (1, "blurred"), (2, 4)]
    latest = store.latest()
    assert {name: rating.value for name, rating in latest["R1", "item"].items()} == {"quality": 4}, "the remark was taken back"
    assert latest["R2", "item"]["quality"].value == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE ratings SET value = '4'", "DELETE FROM ratings", "INSERT OR REPLACE INTO ratings SELECT * FROM ratings"]
)
def test_no_program_can_change_or_delete_a_rating(statement, tmp_path):
    store = RatingStore.open(tmp_path, plan())
    store.save("R1", 1, "item", {"quality": 3}, 5, NOW)
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA recursive_triggers = ON")
    with pytest.raises(sqlite3.IntegrityError, match="ratings are never"):
        connection.execute(statement)
    connection.close()
    assert [rating.value for rating in store.all()] == [3]


def test_an_answer_that_cannot_be_written_leaves_nothing_of_its_item(tmp_path):
    store = RatingStore.open(tmp_path, plan())
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.save("R1", 1, "item", {"quality": 3, "ratio": float("nan")}, 5, NOW)
    assert store.all() == []
    with pytest.raises(ValueError, match="time zone"):
        store.save("R1", 1, "item", {"quality": 3}, 5, datetime(2026, 1, 1))


def test_a_file_that_is_busy_for_too_long_is_said_in_one_sentence(tmp_path, monkeypatch):
    store = RatingStore.open(tmp_path, plan())
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutputError, match="locked.*nothing was saved"):
        store.save("R1", 1, "item", {"quality": 3}, 5, NOW)
    other.close()
    assert store.save("R1", 1, "item", {"quality": 3}, 5, NOW) == 1


def test_a_damaged_file_and_another_study_s_are_refused(tmp_path):
    RatingStore.open(tmp_path, plan())
    with pytest.raises(InputError, match="another study"):
        RatingStore.open(tmp_path, plan("other"))
    (tmp_path / RATINGS).write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match="damaged"):
        RatingStore.open(tmp_path, plan())


def test_ratings_of_two_copies_come_together_once(tmp_path):
    stores = []
    for name, reader in (("mine", "R1"), ("theirs", "R2")):
        (tmp_path / name).mkdir()
        stores.append(RatingStore.open(tmp_path / name, plan()))
        stores[-1].save(reader, 1, "item", {"quality": 3, "disc": {"ratio": 0.5}}, 5, NOW)
        stores[-1].save(reader, 1, "item", {"quality": 4}, 5, NOW)
    mine, theirs = stores
    before = theirs.all()
    assert mine.take_in(theirs) == 3 and mine.take_in(theirs) == 0
    assert mine.all("R2") == before and len(mine.all()) == 6
    mine.save("R1", 1, "next", {"quality": 1}, 5, NOW)
    theirs.save("R1", 1, "next", {"quality": 2}, 5, NOW)
    theirs.save("R2", 1, "next", {"quality": 2}, 5, NOW)
    with pytest.raises(InputError, match="R1 has answered the same case differently"):
        mine.take_in(theirs)
    assert len(mine.all()) == 7, "nothing is added where something does not fit"


def journal(store: RatingStore) -> str:
    connection = sqlite3.connect(store.path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    return mode


def test_a_shared_drive_gets_the_journal_that_works_there(tmp_path, monkeypatch):
    store = RatingStore.open(tmp_path, plan())
    assert journal(store) == "wal"
    store.save("R1", 1, "item", {"quality": 3}, 5, NOW)
    shared = RatingStore.open(tmp_path, plan(shared=True))
    assert journal(shared) == "delete" and len(shared.all()) == 1
    monkeypatch.setattr(module, "on_network_drive", lambda path: True)
    assert journal(RatingStore.open(tmp_path, plan())) == "delete"


@pytest.mark.parametrize(
    ("path", "network"),
    [("/home/a", False), ("/mnt/hospital/x", True), ("/mnt/hospital/local/x", False), ("/mnt/my share/x", True), ("/mnt/hospitals", False)],
)
def test_network_drives_are_known_by_their_innermost_mount(path, network):
    mounts = [
        "/dev/sda1 / ext4 rw 0 0",
        "server:/x /mnt/hospital nfs4 rw 0 0",
        "/dev/sdb1 /mnt/hospital/local ext4 rw 0 0",
        "//server/s /mnt/my\\040share cifs rw 0 0",
    ]
    assert network_mount(Path(path), mounts) is network


@pytest.fixture
def quick_folder(tmp_path):
    """In memory where the system has such a place: a killed process does not care, and a disk takes 10 ms for every rating."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


RATING = """
import os, random, signal, sys, time
from datetime import datetime, timezone
from pathlib import Path
from MRIDenoiseLib.reader_study.reading.folder import ReadingPlan
from MRIDenoiseLib.reader_study.reading.store import RatingStore
folder, reader, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
plan = ReadingPlan("study", "name", ("R1", "R2"), 14, "none", False, (), {}, {})
now = datetime(2026, 3, 2, tzinfo=timezone.utc)
"""

KILLS = """
random.seed(7)
acknowledged = []
number = 0
for kill in range(count):
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        store = RatingStore.open(folder, plan)
        while True:
            store.save(reader, 1, f"item {number}", {"quality": number % 4, "confidence": kill}, 1.0, now)
            os.write(said, b"%d\\n" % number)
            number += 1
    os.close(said)
    # After some ratings, or while the file is opened, and then at any moment of what follows.
    lines, wanted = b"", random.randrange(4)
    while lines.count(b"\\n") < wanted:
        lines += os.read(heard, 65536)
    time.sleep(random.uniform(0.0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(heard, 65536):
        lines += part
    acknowledged += map(int, lines.split())
    os.close(heard)
    number = max(acknowledged, default=-1) + 100_000
latest = RatingStore.open(folder, plan).latest()
lost = [n for n in acknowledged if {f: r.value for f, r in latest.get((reader, f"item {n}"), {}).items()}.get("quality") != n % 4]
halves = [key for key, answers in latest.items() if set(answers) != {"quality", "confidence"}]
print(len(acknowledged), len(lost), len(halves), len(latest) - len(acknowledged))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_200_kills_lose_no_acknowledged_rating_and_leave_no_half_one(quick_folder):
    done = subprocess.run(
        [sys.executable, "-c", RATING + KILLS, str(quick_folder), "R1", "200"], capture_output=True, text=True, check=True
    )
    acknowledged, lost, halves, unheard = map(int, done.stdout.split())
    assert (lost, halves) == (0, 0)
    assert acknowledged > 200, "the readers must have been killed while they rated"
    assert 0 <= unheard <= 200, "at most one rating a kill was saved but not heard of"
    connection = sqlite3.connect(quick_folder / RATINGS)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


MANY = """
store = RatingStore.open(folder, plan)
for number in range(count):
    store.save(reader, 1, f"item {number}", {"quality": number % 4}, 1.0, now)
"""


@pytest.mark.slow
def test_two_readers_write_1000_ratings_each_at_the_same_time_and_none_is_lost(quick_folder):
    command = [sys.executable, "-c", RATING + MANY, str(quick_folder)]
    writers = [subprocess.Popen([*command, reader, "1000"]) for reader in ("R1", "R2")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    ratings = RatingStore.open(quick_folder, plan()).all()
    for reader in ("R1", "R2"):
        assert [(r.item, r.value) for r in ratings if r.reader == reader] == [(f"item {n}", n % 4) for n in range(1000)]
    order = [rating.reader for rating in ratings]
    assert order != sorted(order), "they must have written at the same time"
