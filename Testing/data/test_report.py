"""The report says what came in, what was dropped and why, and holds its pictures itself."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pair_files import record

from MRIDenoiseLib.data.cases import Dropped
from MRIDenoiseLib.data.records import Alignment, RecordMeta
from MRIDenoiseLib.data.report import Picture, Summary, write_report

MOVED = Alignment((0.0, 3.0, 4.0), (0.0, 0.6, 0.8), 0.0, 1.0, 0.5, 0.75, 0.25)


@pytest.fixture(scope="module")
def meta() -> RecordMeta:
    return record(alignment=MOVED).meta


def page(path: Path, summary: Summary) -> str:
    write_report(path / "report.html", summary)
    return (path / "report.html").read_text()


def rows(html: str) -> list[list[str]]:
    """The cells of all tables, row by row."""
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_everything_that_came_in_is_counted(tmp_path: Path, meta: RecordMeta) -> None:
    records = [meta, replace(meta, subject="other"), replace(meta, split="test", acceleration_group="3x"), replace(meta, organ="")]
    dropped = [Dropped("fast 3", "alignment", "too far"), Dropped("fast 5", "alignment", "too far"), Dropped("full 1", "matching", "alone")]
    dropped += [
        Dropped("fast 4", "listing", "damaged"),
        Dropped("fast 6", "reading", "slices missing"),
        Dropped("fast 7", "reference", "copy"),
    ]
    found = rows(page(tmp_path, Summary("here", records, [10, 20, 30, 40], dropped, 0, [], [])))
    assert ["pairs found", "8"] in found and ["pairs written", "4 (100 slices of 2 patients)"] in found
    assert ["pairs given up", "4 (50% at this site)"] in found and ["images that are in no pair", "2"] in found
    assert ["alignment", "too far", "2", "fast 3, fast 5"] in found and ["matching", "alone", "1", "full 1"] in found
    assert ["train", "knee", "PDw", "2x", "2", "2", "30"] in found
    assert ["test", "knee", "PDw", "3x", "1", "1", "30"] in found and ["train", "unknown", "PDw", "2x", "1", "1", "40"] in found
    assert ["movement undone, mm", "1.00", "1.00", "1.00", "4"] in found and [
        "rotation undone, degrees",
        "5.00",
        "5.00",
        "5.00",
        "4",
    ] in found
    assert ["independent", "measured", "4"] in found


def test_a_noise_level_that_could_not_be_told_is_left_out(tmp_path: Path, meta: RecordMeta) -> None:
    found = rows(page(tmp_path, Summary("here", [meta, replace(meta, noise_level=0.0)], [1, 1], [], 0, [], [])))
    assert ["noise level, part of the bright tissue", "3.3%", "3.3%", "3.3%", "1"] in found


def test_pictures_are_in_the_page_and_nothing_is_loaded_from_elsewhere(tmp_path: Path, meta: RecordMeta) -> None:
    worst, refused = Picture("fast 1", 0.61, "", b"\x89PNG 1"), Picture("fast 2", 2.5, "still moves", b"\x89PNG 2")
    html = page(tmp_path, Summary("here", [meta], [5], [], 0, [worst], [refused]))
    stored = [base64.b64decode(data) for data in re.findall(r"data:image/png;base64,([^']+)", html)]
    assert stored == [b"\x89PNG 1", b"\x89PNG 2"]
    assert "fast 1: 0.61 pixels of movement left<" in html and "fast 2: 2.50 pixels of movement left; still moves<" in html
    assert not re.search(r"(src|href)='(?!data:)", html) and "http" not in html
    assert "NOT FOR DIAGNOSTIC USE" in html


def test_words_that_are_not_ours_cannot_become_part_of_the_page(tmp_path: Path, meta: RecordMeta) -> None:
    bad = "<script>alert(1)</script>"
    dropped = [Dropped(bad, "matching", bad)]
    html = page(tmp_path, Summary(bad, [replace(meta, organ=bad)], [5], dropped, 0, [Picture(bad, 1, bad, b"")], []))
    assert "<script>" not in html and html.count("&lt;script&gt;") == 8


def test_an_empty_preparation_has_a_report_too(tmp_path: Path) -> None:
    html = page(tmp_path, Summary("here", [], [], [], 0, [], []))
    assert ["pairs given up", "0 (0% at this site)"] in rows(html)


def test_a_clean_volume_with_more_than_a_third_of_the_noise_is_named_in_words_and_the_noisiest_comes_first(
    tmp_path: Path, meta: RecordMeta
) -> None:
    records = [replace(meta, own_noise=9.0), replace(meta, own_noise=12.0), meta, replace(meta, own_noise=18.0, split="test")]
    html = page(tmp_path, Summary("here", records, [1] * 4, [], 0, [], []))
    found = rows(html)
    listed = [["4", "test", "PDw", "2.0%", "60%"], ["2", "train", "PDw", "1.3%", "40%"], ["1", "train", "PDw", "1.0%", "30%"]]
    assert [row for row in found if row in listed] == listed
    assert "In 2 of 3 pairs" in html and "Pairs 2, 4." in html
    quiet = page(tmp_path, Summary("here", records[:1], [1], [], 0, [], []))
    assert "reward keeping noise" not in quiet and "upper bounds" in quiet and listed[2] in rows(quiet)
    assert "Noise of the clean volumes" not in page(tmp_path, Summary("here", [meta], [1], [], 0, [], []))


def test_references_that_hold_the_noise_are_warned_of(tmp_path: Path, meta: RecordMeta) -> None:
    assert "not trained on" in page(tmp_path, Summary("here", [replace(meta, gt_kind="inclusive")], [5], [], 0, [], []))
