"""Packed volumes: small, the same to the eye of training, and refused where damaged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_cases import clean_volumes, data_folder

from MRIDenoiseLib.data.manifest import LeftOut
from MRIDenoiseLib.data.packed import INDEX, MARGIN, STEP, Packed, read_packed, write_packed
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.training.data import open_data
from MRIDenoiseLib.volume import AcquisitionField


def test_what_is_unpacked_is_what_was_packed_but_for_the_air_around_it(tmp_path):
    first, second = clean_volumes()
    placed = np.zeros((6, 140, 100), np.float32)
    placed[1:5, 40:104, 20:84] = first.slices
    plane = replace(first.acquisition, plane=AcquisitionField("coronal", "geometry", "high"))
    first = replace(first, slices=placed, body=placed > 0.1, acquisition=plane, coarsening=1.7)
    write_packed(Packed([first, second]), tmp_path / "packed")
    found, other = read_packed(tmp_path / "packed").volumes
    rows, columns = (np.flatnonzero(first.body.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    shown = np.s_[1:5, rows[0] - MARGIN : rows[-1] + MARGIN + 1, columns[0] - MARGIN : columns[-1] + MARGIN + 1]
    assert found.slices.shape == first.slices[shown].shape, "slices without body are left out"
    assert np.abs(found.slices - first.slices[shown]).max() <= STEP / 2 + 1e-6
    assert found.body.sum() == first.body.sum() and found.slices.dtype == np.float32
    assert (found.acquisition, found.row, found.coarsening) == (first.acquisition, first.row, 1.7)
    assert other.row == second.row and other.coarsening == 1.0


def test_training_draws_from_a_packed_folder_as_from_any_other(tmp_path):
    plain = open_data([data_folder(tmp_path / "clean", size=96)])
    assert plain.kept_out == ["ms12"]
    left_out = [LeftOut("volumes/grainy.nii.gz", "its own noise is 0.04")]
    write_packed(Packed(plain.volumes, plain.kept_out, left_out), tmp_path / "packed")
    packed = open_data([tmp_path / "packed"])
    assert packed.account() == replace(plain, left_out=left_out).account(), "the card says the same of the data, packed or not"
    one, other = (data.batches(0, 64, 3).batch(0, 4) for data in (plain, packed))
    assert one.prompts and torch.isfinite(other.measured).all() and other.measured.shape == one.measured.shape


@pytest.mark.parametrize("file", ["000.xz", INDEX])
def test_damage_is_one_sentence(file, tmp_path):
    write_packed(Packed(clean_volumes()), tmp_path / "packed")
    content = bytearray((tmp_path / "packed" / file).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "packed" / file).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_packed(tmp_path / "packed")
