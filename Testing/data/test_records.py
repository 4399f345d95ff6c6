"""Records come back as they were written, or not at all, and nobody can be found out from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from pair_files import body, record

from MRIDenoiseLib.data.records import INDEX, Alignment, Pseudonyms, RecordStore, RecordWriter, is_store
from MRIDenoiseLib.errors import InputError

MOVED = Alignment((0.1, 0.0, -0.2), (1.0, 0.5, 0.0), 0.2, 0.98, 0.6, 0.8, 0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = RecordWriter(tmp_path / "records")
    writer.add(record(alignment=MOVED))
    writer.add(record(clean=body(seed=1), split="test", reference_noise=7.5))
    writer.finish()
    return tmp_path / "records"


def test_a_record_comes_back_bit_for_bit_with_its_account(folder: Path) -> None:
    store = RecordStore(folder)
    read = store.read(0)
    before = record(alignment=MOVED)
    for name in ("noisy", "clean", "mask"):
        found, expected = getattr(read, name), getattr(before, name)
        assert found.dtype == expected.dtype and np.array_equal(found, expected)
    assert read.meta == before.meta and store.metas[1].split == "test"
    assert [found.meta.split for found in store] == ["train", "test"] and len(store) == 2


def test_part_of_the_slices_can_be_read_and_there_are_none_beyond_the_last(folder: Path) -> None:
    store = RecordStore(folder)
    assert store.depth(0) == 6
    assert np.array_equal(store.read(0, 2, 4).noisy, store.read(0).noisy[2:4])
    assert np.array_equal(store.read(0, 4, 9).mask, store.read(0).mask[4:])


def test_a_record_that_was_changed_is_refused(folder: Path) -> None:
    path = folder / "00001.safetensors"
    stored = bytearray(path.read_bytes())
    stored[-5000] ^= 1
    path.write_bytes(stored)
    store = RecordStore(folder)
    with pytest.raises(InputError, match="changed or damaged"):
        store.read(0)
    store.read(1)


def test_a_record_cut_short_is_refused_even_where_the_index_was_made_to_agree(folder: Path) -> None:
    path = folder / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="changed or damaged"):
        RecordStore(folder).read(0)
    index = (folder / INDEX).read_text()
    shape = index.replace('"shape": [6, 64, 64]', '"shape": [6, 64, 63]')
    (folder / INDEX).write_text(shape)
    with pytest.raises(InputError, match="does not hold what the index says"):
        RecordStore(folder).read(1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace('"version": 1', '"version": 99'), "not written by this version"),
        (lambda text: text[:-200], "is damaged"),
        (lambda text: text.replace('"organ": "knee", ', ""), "is damaged"),
        (lambda text: text.replace("00002.safetensors", "../00002.safetensors"), "is damaged"),
        (lambda text: text.replace("00002.safetensors", "00009.safetensors"), "lacks 00009"),
        (lambda text: "", "is damaged"),
    ],
)
def test_a_damaged_or_foreign_index_is_refused_with_one_sentence(folder: Path, change, complaint: str) -> None:
    (folder / INDEX).write_text(change((folder / INDEX).read_text()))
    with pytest.raises(InputError, match=complaint) as caught:
        RecordStore(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no prepared pairs"):
        RecordStore(tmp_path)


def test_only_a_folder_that_holds_nothing_but_records_may_be_replaced(folder: Path) -> None:
    assert is_store(folder)
    (folder / "thesis.docx").write_text("years of work")
    assert not is_store(folder)
    (folder / "thesis.docx").unlink()
    (folder / INDEX).write_text(json.dumps({"format": "something else"}))
    assert not is_store(folder)


def test_a_folder_from_before_own_noise_was_measured_is_read(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "old")
    writer.add(record(own_noise=7.0))
    writer.finish()
    assert RecordStore(tmp_path / "old").metas[0].own_noise == 7.0
    path = tmp_path / "old" / INDEX
    path.write_text(path.read_text().replace(', "own_noise": 7.0', ""))
    assert RecordStore(tmp_path / "old").metas[0].own_noise is None


def test_pseudonyms_hold_within_a_run_and_lead_nowhere_after_it() -> None:
    first, second = Pseudonyms(), Pseudonyms()
    assert first.of("subject", "A", "123") == first.of("subject", "A", "123")
    others = {
        first.of("subject", "B", "123"),
        first.of("exam", "A", "123"),
        first.of("subject", "A1", "23"),
        second.of("subject", "A", "123"),
    }
    assert len(others | {first.of("subject", "A", "123")}) == 5
