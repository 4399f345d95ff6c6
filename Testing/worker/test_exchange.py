"""Voxels between processes: complete, closed to others, and gone with their owner."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from MRIDenoiseLib.volume import Unmeasured
from MRIDenoiseLib.worker.exchange import (
    OWNER,
    make_exchange,
    owner_lives,
    remove_exchange,
    share_array,
    share_volume,
    take_array,
    take_volume,
)
from MRIDenoiseLib.worker.protocol import Denoise, ProtocolError, decode_request, encode


@pytest.fixture
def folder(tmp_path):
    return make_exchange(tmp_path)


def test_a_volume_arrives_as_it_was_sent_and_its_file_is_gone(folder, noisy):
    told = decode_request(encode(Denoise(1, None, "cpu", share_volume(noisy, folder, "v"), {}, None)))
    found = take_volume(told.volume, folder)
    assert np.array_equal(found.voxels, noisy.voxels) and np.array_equal(found.ijk_to_ras, noisy.ijk_to_ras)
    assert (found.pixel_type, found.acquisition, found.slice_axis) == ("int16", noisy.acquisition, noisy.slice_axis)
    assert [path.name for path in folder.iterdir()] == [OWNER]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_acquired_axis_travels_because_headers_do_not(folder, noisy, axis):
    isotropic = replace(noisy, ijk_to_ras=np.eye(4), acquired_axis=axis)
    assert take_volume(share_volume(isotropic, folder, "v"), folder).slice_axis == axis


@pytest.mark.skipif(os.name == "nt", reason="Windows closes a user's own folder for temporary files otherwise")
def test_the_folder_is_closed_to_other_users(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_a_dead_owner_left_is_removed_and_what_a_living_one_has_is_not(tmp_path):
    mine = make_exchange(tmp_path)
    made = "import sys; from pathlib import Path; from MRIDenoiseLib.worker import exchange; "
    made += "print(exchange.make_exchange(Path(sys.argv[1])))"
    left = subprocess.run([sys.executable, "-c", made, str(tmp_path)], capture_output=True, text=True, check=True).stdout.strip()
    assert left in map(str, tmp_path.iterdir()) and not owner_lives(tmp_path / left) and owner_lives(mine)
    another = make_exchange(tmp_path)
    assert set(tmp_path.iterdir()) == {mine, another}


def owner(folder) -> list:
    return json.loads((folder / OWNER).read_text())


def test_another_process_with_the_owners_number_is_not_the_owner(folder):
    pid, began, computer = owner(folder)
    assert owner_lives(folder)
    (folder / OWNER).write_text(json.dumps([pid, began - 1, computer]))
    assert not owner_lives(folder)


@pytest.mark.parametrize("content", [None, "", "[1, 2", "[1]"])
def test_a_folder_that_is_just_being_made_is_nobodys_to_remove(folder, tmp_path, content):
    (folder / OWNER).unlink()
    if content is not None:
        (folder / OWNER).write_text(content)
    assert owner_lives(folder)
    make_exchange(tmp_path)
    assert folder.is_dir()


def test_an_owner_on_another_computer_that_shares_the_disk_is_left_alone(folder, tmp_path):
    (folder / OWNER).write_text(json.dumps([2**22 + 1, 1.0, "another computer"]))
    make_exchange(tmp_path)
    assert folder.is_dir() and owner_lives(folder)
    (folder / OWNER).write_text(json.dumps([2**22 + 1, 1.0, owner(make_exchange(tmp_path))[2]]))
    make_exchange(tmp_path)
    assert not folder.exists()


def test_damaged_voxels_are_one_sentence(folder, noisy):
    shared = share_volume(noisy, folder, "v")
    (folder / shared.array).write_bytes(b"\x93NUMPY damaged")
    with pytest.raises(ProtocolError, match="missing or damaged"):
        take_volume(shared, folder)
    with pytest.raises(ProtocolError, match="missing or damaged"):
        take_array(folder, "nothing.npy")
    with pytest.raises(ProtocolError, match="another kind"):
        take_array(folder, share_array(np.zeros((2, 2, 2)), folder, "wide.npy"))


def test_a_name_cannot_lead_out_of_the_folder(folder, tmp_path):
    share_array(np.zeros((1, 1, 1), np.float32), tmp_path, "secret.npy")
    with pytest.raises(ProtocolError):
        take_array(folder, "../secret.npy")


def test_an_impossible_axis_or_type_is_refused(folder, noisy):
    for change in ({"slice_axis": 3}, {"pixel_type": "voxels"}, {"ijk_to_ras": [[1.0]]}):
        with pytest.raises(ProtocolError, match="damaged"):
            take_volume(replace(share_volume(noisy, folder, "v"), **change), folder)
    remove_exchange(folder)
    assert not folder.exists()


def test_what_was_not_measured_and_the_notes_travel(folder, noisy):
    mask = noisy.voxels > np.percentile(noisy.voxels, 80)
    values = np.where(np.arange(mask.sum()) % 3, np.nan, -7).astype(np.float32)
    given = replace(
        noisy,
        voxels=np.where(mask, np.float32(0), noisy.voxels),
        notes=("a note",),
        unmeasured=Unmeasured(mask, values),
        pixel_type="float32",
    )
    told = decode_request(encode(Denoise(1, None, "cpu", share_volume(given, folder, "v"), {}, None)))
    found = take_volume(told.volume, folder)
    assert found.notes == ("a note",) and np.array_equal(found.voxels, given.voxels)
    assert np.array_equal(found.in_file(), given.in_file(), equal_nan=True)
    assert [path.name for path in folder.iterdir()] == [OWNER]
