"""Own noise: measured once, at the matrix that was measured, kept, and written down with the network that told it."""

import json
import struct

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn
from training_cases import phantom, record, record_folder

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.data.manifest import training_rows
from MRIDenoiseLib.data.records import OWN_NOISE_BY, RecordStore, is_store
from MRIDenoiseLib.data.zero_fill import resize
from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.models.noise_estimator import SQUARE
from MRIDenoiseLib.training.own_noise import Estimator, measure, write

HEADER = "file,source,licence,organ,contrast,vendor,subject,split,remark,interpolated"


class FinestDetail(nn.Module):
    """Tells the noise of the finest diagonal detail in the body; of white noise that is its standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.asked = 0

    def squares(self, image: torch.Tensor, body: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.asked += 1
        detail = (image[..., 1:, 1:] - image[..., 1:, :-1] - image[..., :-1, 1:] + image[..., :-1, :-1]) / 2
        inside = body[..., 1:, 1:].bool() & body[..., :-1, :-1].bool()
        shape = (1, 1, image.shape[2] // SQUARE, image.shape[3] // SQUARE)
        return (1.4826 * detail[inside].abs().median()).log().expand(shape), torch.zeros(shape)


@pytest.fixture
def network() -> FinestDetail:
    return FinestDetail()


@pytest.fixture
def folder(tmp_path):
    """Three volumes with white noise of 1 % of 900, one of them interpolated, and repeats that are no target."""
    (tmp_path / "volumes").mkdir()
    noisy = 1000 * phantom(4, 96) + np.random.default_rng(0).normal(0, 9, (4, 96, 96))
    for name, slices in (("a", noisy), ("b", noisy), ("c", resize(np.abs(noisy), (192, 192)))):
        sitk.WriteImage(sitk.GetImageFromArray(slices.astype(np.float32)), str(tmp_path / f"volumes/{name}.nii"))
    lines = [HEADER, 'volumes/a.nii,x,CC0,head,T1w,GE,s1,train,"one, and more",', "volumes/b.nii,x,CC0,head,T1w,GE,s2,train,,"]
    lines += ["volumes/c.nii,x,CC0,head,T1w,GE,s3,train,,2", "repeats/d.nii,x,CC0,head,EPI,GE,s4,repeats,,"]
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_what_the_reader_notes_of_a_volume_is_kept_with_its_noise(folder, network):
    header = bytearray((folder / "volumes/b.nii").read_bytes())
    header[76 + 4 : 76 + 8] = struct.pack("<f", 0.0)
    (folder / "volumes/b.nii").write_bytes(header)
    found = {one.file: one.notes for one in measure(folder, network)}
    assert any("voxel size of 0" in note for note in found["volumes/b.nii"]) and not found["volumes/a.nii"]


def test_it_is_the_noise_of_the_image_in_parts_of_p995_and_of_an_interpolated_one_that_before(folder, network):
    found = {one.file: one.value for one in measure(folder, network)}
    assert list(found) == ["volumes/a.nii", "volumes/b.nii", "volumes/c.nii"], "repeats are no targets"
    assert all(value == pytest.approx(0.01, rel=0.15) for value in found.values()), "interpolated grain would be told far too low"


def test_what_was_written_down_is_what_training_reads_and_is_kept(folder, network):
    write(folder, measure(folder, network), Estimator(network, "abc", "first"))
    assert [row.own_noise for row in training_rows(folder)] == [one.value for one in measure(folder, network)]
    text = (folder / "MANIFEST.csv").read_text()
    assert text.splitlines()[0] == f"{HEADER},own_noise" and '"one, and more"' in text and text.splitlines()[-1].endswith("repeats,,,")
    asked = network.asked
    known = measure(folder, network)
    assert network.asked == asked and not any(one.measured for one in known)
    (folder / "MANIFEST.csv").write_text(text.replace(text.splitlines()[2], text.splitlines()[2].rpartition(",")[0] + ","))
    write(folder, measure(folder, network), Estimator(network, "def", "second"))
    told = json.loads((folder / "own_noise.json").read_text())
    assert told["measured_by"] == {"volumes/a.nii": "abc", "volumes/b.nii": "def", "volumes/c.nii": "abc"}
    assert told["estimators"] == {"abc": "first", "def": "second"}
    write(folder, measure(folder, network, again=True), Estimator(network, "def", "second"))
    assert json.loads((folder / "own_noise.json").read_text())["estimators"] == {"def": "second"}


def test_a_measurement_that_is_stopped_writes_nothing(folder, network):
    before = (folder / "MANIFEST.csv").read_text()
    with pytest.raises(Cancelled):
        measure(folder, network, should_stop=lambda: network.asked > 2)
    assert (folder / "MANIFEST.csv").read_text() == before and not (folder / OWN_NOISE_BY).exists()


def test_references_of_prepared_pairs_have_a_table_beside_them_and_their_folder_stays_one(tmp_path, network):
    pairs = record_folder(tmp_path / "pairs", record(), record("test"))
    found = measure(pairs, network)
    write(pairs, found, Estimator(network, "abc", "first"))
    assert RecordStore(pairs).own_noise == {"00001.safetensors": found[0].value, "00002.safetensors": found[1].value}
    assert is_store(pairs) and not any(one.measured for one in measure(pairs, network))
    (pairs / "own_noise.csv").write_text("file,own_noise\n00001.safetensors,low\n")
    with pytest.raises(InputError, match="damaged"):
        measure(pairs, network)


def test_a_folder_that_is_neither_is_refused(tmp_path, network):
    with pytest.raises(InputError, match="neither a MANIFEST.csv"):
        measure(tmp_path, network)
    (tmp_path / "MANIFEST.csv").write_text("file,source\n")
    with pytest.raises(InputError, match="lacks the column licence"):
        measure(tmp_path, network)
    (tmp_path / "MANIFEST.csv").write_text(f"{HEADER}\n")
    with pytest.raises(InputError, match="lists no image"):
        measure(tmp_path, network)


def test_the_command_writes_only_when_told_to(folder, tiny_bundle, capsys):
    given = ["own-noise", str(folder), "--bundle", str(tiny_bundle)]
    assert main(given) == 0 and not (folder / OWN_NOISE_BY).exists()
    assert "add --write" in capsys.readouterr().out
    assert main([*given, "--write"]) == 0
    digest = json.loads((tiny_bundle / "card.json").read_text())["files"]["noise_estimator/diffusion_pytorch_model.safetensors"]
    assert set(json.loads((folder / OWN_NOISE_BY).read_text())["estimators"]) == {digest}
    out = capsys.readouterr().out
    assert "volumes/c.nii" in out and digest[:12] in out and "Written next to the images" in out
