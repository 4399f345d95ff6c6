"""A packed training: portions of the size asked for, joined again byte for byte, and refused where one is damaged."""

import json

import begin_training
import pack_training
import pytest
from command import command_line
from training_cases import data_folder
from typer.testing import CliRunner

from MRIDenoiseLib.training.packed import read_packed


@pytest.fixture(scope="module")
def portions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    data_folder(folder / "data", size=96)
    given = ["--data", str(folder / "data"), "--out", str(folder / "out"), "--portion", "1"]
    assert CliRunner().invoke(command_line(pack_training.main), given).exit_code == 0
    return folder / "out"


def test_what_was_packed_is_unpacked_on_the_machine(portions, tmp_path, monkeypatch):
    listed = json.loads((portions / pack_training.LIST).read_text())
    sizes = [(portions / portion["name"]).stat().st_size for portion in listed]
    assert len(sizes) > 1 and sizes[:-1] == [1 << 20] * (len(sizes) - 1) and sizes[-1] <= 1 << 20
    monkeypatch.setattr(begin_training, "HERE", portions)
    monkeypatch.setattr(begin_training, "UNPACKED", tmp_path / "unpacked")
    begin_training._unpack()
    assert [volume.row.subject for volume in read_packed(tmp_path / "unpacked" / "data")] == ["s0", "s1"], "no kept-out patient"
    own, packed = (folder / "MRIDenoiseLib" / "errors.py" for folder in (pack_training.ROOT, tmp_path / "unpacked" / "code"))
    assert own.read_bytes() == packed.read_bytes() and (tmp_path / "unpacked" / "recipe.yaml").is_file()
    assert (portions / "begin_training.py").is_file()


def test_a_damaged_portion_is_named_and_nothing_is_left_half_unpacked(portions, tmp_path, monkeypatch):
    monkeypatch.setattr(begin_training, "HERE", tmp_path)
    monkeypatch.setattr(begin_training, "UNPACKED", tmp_path / "unpacked")
    for path in portions.glob("portion*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    last = sorted(tmp_path.glob("portion-*"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(SystemExit, match=last.name):
        begin_training._unpack()
    assert not (tmp_path / "unpacked").exists()
