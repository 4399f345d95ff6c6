"""Whatever is wrong with an input, it ends in one sentence, exit status 2 and no output."""

import re
from pathlib import Path

import numpy as np
import pytest
from damage import FORMATS, REFUSED, SHAPE, Case, cases, dicom_folder, good

from MRIDenoiseLib import io
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.errors import InputError

CASES = cases()


def denoise(source: Path, target: Path, bundle: Path) -> int:
    return main(["denoise", str(source), str(target), "--bundle", str(bundle), "--device", "cpu"])


def test_there_are_at_least_two_hundred_and_no_two_are_alike() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize("kind", FORMATS)
def test_the_file_that_gets_damaged_is_denoised_when_it_is_whole(kind: str, tmp_path: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "out.nii.gz"
    assert denoise(good(kind, tmp_path), out, tiny_bundle) == 0
    assert io.read(out).voxels.shape == io.read(good(kind, tmp_path)).voxels.shape


def test_the_series_that_gets_damaged_is_denoised_when_it_is_whole(tmp_path: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "derived"
    assert denoise(dicom_folder(tmp_path), out, tiny_bundle) == 0
    assert len(list(out.iterdir())) == 5


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_a_damaged_input_ends_in_one_sentence(number: int, tmp_path: Path, tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case: Case = CASES[number]
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source = case.make(tmp_path / "in", np.random.default_rng(number))
    before = {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()}
    out = tmp_path / "out" / "out.nii"

    status = denoise(source, out, tiny_bundle)

    printed, complaint = capfd.readouterr()
    assert status in case.statuses, complaint
    if status == 0:
        assert np.isfinite(io.read(out).voxels).all()
        assert complaint == ""
        if source.is_dir():
            assert len(io.read(out).voxels) == SHAPE[0]
    else:
        assert re.fullmatch(r"mridenoise: [^\n]{20,400}\.\n", complaint), complaint
        assert printed == ""
        assert list((tmp_path / "out").iterdir()) == []
    assert before == {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", [0, SHAPE[0] - 1])
def test_a_series_whose_first_or_last_file_is_cut_anywhere_never_comes_out_a_slice_short(place: int, tmp_path: Path) -> None:
    series = dicom_folder(tmp_path)
    victim = series / f"IM{place:03d}"
    whole = victim.read_bytes()
    for length in range(0, len(whole), 50):
        victim.write_bytes(whole[:length])
        with pytest.raises(InputError, match=victim.name):
            io.read(series)


def test_random_damage_meets_both_answers() -> None:
    # Otherwise "0 or 2" above could hold because every such case is refused before its bytes are looked at.
    assert sum(case.statuses != REFUSED for case in CASES) > 60
