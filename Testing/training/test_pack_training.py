"""A packed training: portions of the size asked for, joined again byte for byte, and refused where one is damaged."""

import json
import tarfile

import begin_training
import pack_training
import pytest
from training_cases import data_folder
from typer.testing import CliRunner

from MRIDenoiseLib.cli.exit_status import command_line
from MRIDenoiseLib.data.packed import read_packed
from MRIDenoiseLib.errors import InputError


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
    assert not begin_training._is_unpacked()
    begin_training._unpack()
    assert begin_training._is_unpacked()
    packed = read_packed(tmp_path / "unpacked" / "data")
    assert [volume.row.subject for volume in packed.volumes] == ["s0", "s1"] and packed.kept_out == ("ms12",), "named, and not learned from"
    own, packed = (folder / "MRIDenoiseLib" / "errors.py" for folder in (pack_training.ROOT, tmp_path / "unpacked" / "code"))
    assert own.read_bytes() == packed.read_bytes() and (tmp_path / "unpacked" / "recipe.yaml").is_file()
    assert (portions / "begin_training.py").is_file()


def test_the_archive_tells_nobody_who_packed_it(portions, tmp_path):
    listed = json.loads((portions / pack_training.LIST).read_text())
    (tmp_path / "all.tar").write_bytes(b"".join((portions / portion["name"]).read_bytes() for portion in listed))
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert {(member.uid, member.gid, member.uname, member.gname) for member in tar} == {(0, 0, "", "")}


def test_other_portions_that_are_brought_to_the_same_place_take_the_place_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(begin_training, "HERE", tmp_path)
    monkeypatch.setattr(begin_training, "UNPACKED", tmp_path / "unpacked")
    for said in ("first", "second"):
        (tmp_path / "recipe.yaml").write_text(said)
        with tarfile.open(tmp_path / "all.tar", "w") as tar:
            tar.add(tmp_path / "recipe.yaml", "recipe.yaml")
        pack_training._split(tmp_path / "all.tar", tmp_path, 1 << 20)
        assert not begin_training._is_unpacked()
        begin_training._unpack()
        assert begin_training._is_unpacked() and (tmp_path / "unpacked" / "recipe.yaml").read_text() == said


def test_a_model_that_is_not_there_is_missed_before_anything_is_packed(tmp_path):
    given = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--from-bundle", str(tmp_path / "nowhere")]
    with pytest.raises(InputError, match="nowhere is no folder"):
        CliRunner().invoke(command_line(pack_training.main), given, catch_exceptions=False)


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
