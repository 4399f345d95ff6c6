"""What io.write had begun when the disk filled up leaves the old result, or none."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.volume import Volume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="file sizes cannot be limited there")


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the system refuse every write beyond a number of bytes, as a full disk does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_an_image_that_fails_halfway_leaves_the_old_file_or_none(tmp_path: Path, ending: str, overwrite: bool) -> None:
    voxels = np.random.default_rng(1).normal(500, 100, (16, 64, 64)).astype(np.float32)
    target = tmp_path / f"a{ending}"
    if overwrite:
        target.write_bytes(b"old")
    with no_file_larger_than(20000), pytest.raises(OutputError):
        io.write(Volume(voxels, np.eye(4), "float32"), target, overwrite=overwrite)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == ({target.name: b"old"} if overwrite else {})


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_series_that_fails_halfway_leaves_the_old_folder_or_none(tmp_path: Path, overwrite: bool) -> None:
    source = io.read(factory.series(tmp_path / "in", range(4)))
    target = tmp_path / "out"
    if overwrite:
        io.write(source, target)
    before = {p.name: p.read_bytes() for p in target.iterdir()} if overwrite else {}
    # The last slices are the ones that no longer fit.
    for header in source.headers[2:]:
        header.ImageComments = "x" * 9000
    with no_file_larger_than(6000), pytest.raises(OutputError):
        io.write(source, target, overwrite=overwrite)
    assert {p.name: p.read_bytes() for p in target.rglob("*")} == before
    assert target.exists() == overwrite
    assert sorted(p.name for p in tmp_path.iterdir()) == (["in", "out"] if overwrite else ["in"])
