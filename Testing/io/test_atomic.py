"""Results appear whole or not at all, and nothing of the user's is lost."""

from pathlib import Path

import pytest

from MRIDenoiseLib.errors import OutputError
from MRIDenoiseLib.io.atomic import replacing


def test_a_file_appears_only_after_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.nii.gz"
    with replacing(target, overwrite=False) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent and temporary.name.endswith("out.nii.gz")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_result_and_no_partial_one(tmp_path: Path, fault: type[BaseException]) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(fault), replacing(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise fault
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_vanishes_with_everything_in_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError), replacing(tmp_path / "series", overwrite=False) as temporary:
        temporary.mkdir()
        (temporary / "one").write_text("1")
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_overwrite_is_allowed(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="--overwrite"), replacing(target, overwrite=False):
        pytest.fail("the body must not run")
    with replacing(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_a_file_that_appears_during_the_run_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with pytest.raises(OutputError), replacing(target, overwrite=False) as temporary:
        temporary.write_text("ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs"


def test_a_folder_with_foreign_files_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "documents"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    for is_ours in (None, lambda folder: False):
        with pytest.raises(OutputError), replacing(target, overwrite=True, is_ours=is_ours):
            pytest.fail("the body must not run")
    assert (target / "thesis.txt").read_text() == "years of work"


def test_a_folder_of_ours_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").write_text("1")
    with replacing(target, overwrite=True, is_ours=lambda folder: True) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("2")
    assert [p.name for p in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_parent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"), replacing(tmp_path / "nowhere" / "out.nii", overwrite=False):
        pytest.fail("the body must not run")
