"""Names that are not UTF-8, names as long as the system takes, and places that refuse: found before any work, and nothing is left."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import InputError, OutputError
from MRIDenoiseLib.io import atomic
from MRIDenoiseLib.io.paths import is_utf8, utf8_path
from MRIDenoiseLib.volume import Volume

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names of bytes are POSIX's")


def volume() -> Volume:
    voxels = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    return Volume(voxels, np.diag([1.0, 2.0, 3.0, 1.0]), "int16")


NAMES = [
    b"Sch\xe4del",
    b"\x93\xaa",
    b"T1 \xff\xfe",
    b"a\nb",
    b"-x",
    b"[red]y[b]",
    "🧠".encode(),
    b"n" * 240,
    b"trailing..",
    "\u202e\u0301".encode(),
]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_of_file_and_folder_can_be_written_and_read(tmp_path: Path, name: bytes, ending: str) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    path = folder / (os.fsdecode(name) + ending)
    io.check_writable(volume(), path)
    io.write(volume(), path)
    assert np.array_equal(io.read(path).voxels, volume().voxels)
    assert list(folder.iterdir()) == [path]
    io.write(volume(), path, overwrite=True)


@given(name=some.binary(min_size=1, max_size=250).filter(lambda name: not set(name) & {0, 47} and name not in (b".", b"..")))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_temporary_name_is_never_longer_than_the_system_takes_and_always_utf8(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name + b".nrrd")
    with atomic.replacing(path, overwrite=True) as temporary:
        assert is_utf8(temporary.name) and temporary.name.endswith(".nrrd")
        assert len(os.fsencode(temporary.name)) <= 255
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"
    path.unlink()


def test_what_a_killed_run_left_of_a_long_name_is_removed(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 245}.nii"
    with atomic.replacing(path, overwrite=False) as temporary:
        temporary.write_bytes(b"half")
        left = temporary.with_name(temporary.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-"))
        left.write_bytes(b"left")
        temporary.write_bytes(b"whole")
    with atomic.replacing(path, overwrite=True) as temporary:
        assert not left.exists()
        temporary.write_bytes(b"whole")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_link_to_a_name_that_is_not_utf8_goes_again(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xe4.nrrd")
    path.write_bytes(b"content")
    with utf8_path(path) as plain:
        assert is_utf8(plain) and plain.suffix == ".nrrd" and plain.read_bytes() == b"content"
    assert not plain.parent.exists() and path.exists()


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ""])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"pipe{ending}")
    with pytest.raises(InputError, match="pipe"):
        io.read(tmp_path / f"pipe{ending}")


@pytest.mark.parametrize("target", ["out.nii.gz", "out.nii", "out.mha"])
def test_a_full_disk_is_found_before_the_work(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_largest_file", lambda: 10)
    large = Volume(np.ones((40, 64, 64), np.float32), np.eye(4), "float32")
    with pytest.raises(OutputError, match="are needed"):
        io.check_writable(large, tmp_path / target)
    assert not list(tmp_path.iterdir())


def test_a_name_longer_than_the_system_takes_is_refused_before_the_work(tmp_path: Path) -> None:
    for name in ("x" * 252 + ".nii", "\u00e4" * 130 + ".nii"):
        with pytest.raises((OutputError, OSError), match="too long"):
            io.check_writable(volume(), tmp_path / name)
