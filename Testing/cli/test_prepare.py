"""``mridenoise prepare``: what each of its commands reads, and what it refuses before it reads anything."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from pair_files import body, coils, complex_noise, hdf5, ismrmrd, kspace_of, nifti, rician
from typer.testing import CliRunner

from MRIDenoiseLib.cli.prepare import prepare_app
from MRIDenoiseLib.data.records import RecordStore
from MRIDenoiseLib.errors import InputError, OutputError, SettingsError

TRUTH = body(6, 64)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(prepare_app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def pair_folders(folder: Path) -> tuple[Path, Path]:
    nifti(folder / "fast" / "p1" / "knee_PD.nii", rician(TRUTH, 25, 1))
    nifti(folder / "full" / "p1" / "knee_PD.nii", 2 * TRUTH)
    return folder / "fast", folder / "full"


def test_two_folders_become_records_and_the_user_is_told_where_they_are(tmp_path: Path) -> None:
    said = run("pairs", *pair_folders(tmp_path), tmp_path / "out", "--acceleration", "2", "--site", "St. Elsewhere")
    (meta,) = RecordStore(tmp_path / "out").metas
    assert (meta.organ, meta.contrast, meta.acceleration, meta.site) == ("knee", "PDw", 2, "St. Elsewhere")
    assert re.search(r"pairs written +1", said) and str(tmp_path / "out" / "report.html") in said and "NOT FOR DIAGNOSTIC USE" in said


def test_repeats_of_one_folder_become_a_record_each(tmp_path: Path) -> None:
    nifti(tmp_path / "in" / "p1" / "four.nii", np.stack([rician(TRUTH, 25, seed) for seed in range(3)]))
    run("repeats", tmp_path / "in", tmp_path / "out", "--volumes", "1,3", "--external")
    metas = RecordStore(tmp_path / "out").metas
    assert [(meta.gt_kind, meta.repeats, meta.split) for meta in metas] == [("leave_one_out", 2, "test")] * 2
    run("repeats", tmp_path / "in", tmp_path / "out", "--cycle", "1", "--overwrite")
    assert [meta.repeats for meta in RecordStore(tmp_path / "out").metas] == [3] * 3


def test_m4raw_files_are_read_as_such(tmp_path: Path) -> None:
    header = ismrmrd((64, 64), (64, 64), (240, 240), (240, 240))
    for number in (1, 2):
        images = TRUTH[:, None] * coils(4, 64)
        kspace = kspace_of(images + complex_noise(images.shape, 25, number))
        hdf5(tmp_path / "in" / f"7_T10{number}.h5", {"acquisition": "AXT1"}, kspace=kspace, ismrmrd_header=header)
    run("m4raw", tmp_path / "in", tmp_path / "out")
    metas = RecordStore(tmp_path / "out").metas
    assert [(meta.site, meta.source, meta.organ, meta.contrast) for meta in metas] == [("M4Raw", "M4Raw", "head", "T1w")] * 2


def test_fastmri_files_are_read_as_such_with_the_noise_that_was_asked_for(tmp_path: Path) -> None:
    header = ismrmrd((128, 64), (64, 64), (140, 140), (280, 140))
    told = {"acquisition": "CORPD_FBK", "patient_id": "abc"}
    hdf5(tmp_path / "in" / "a.h5", told, kspace=np.zeros((6, 1, 4, 4), np.complex64), ismrmrd_header=header, reconstruction_rss=TRUTH)
    run("fastmri", tmp_path / "in", tmp_path / "out", "--acceleration", "3", "--seed", "4")
    run("fastmri", tmp_path / "in", tmp_path / "plain", "--level", "0")
    (fast,), (plain,) = RecordStore(tmp_path / "out"), RecordStore(tmp_path / "plain")
    assert (fast.meta.acceleration, fast.meta.noise, fast.meta.site) == (3, "simulated", "fastMRI")
    assert np.array_equal(fast.clean, plain.clean) and not np.array_equal(fast.noisy, plain.noisy)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("fastmri", "a", "b", "--level", "1"), "--level is 0 or 2"),
        (("repeats", "a", "b", "--volumes", "x"), "volume numbers"),
        (("pairs", "a", "b", "c", "--inclusive", "1"), "at least 2"),
        (("pairs", "a", "./a", "c"), "the same folder"),
    ],
)
def test_settings_that_do_not_fit_are_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=complaint):
        run(*options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("pairs", "a", "b"),
        ("repeats", "a", "b", "c"),
        ("pairs", "a", "b", "c", "--volumes", "1-3"),
        ("pairs", "a", "b", "c", "--level", "0"),
        ("repeats", "a", "b", "--acceleration", "2"),
        ("m4raw", "a", "b", "--acceleration", "2"),
        ("fastmri", "a", "b", "--inclusive", "2"),
        ("fastmri", "a", "b", "--cycle", "2"),
    ],
)
def test_each_command_knows_the_folders_and_options_that_mean_something_for_it_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(prepare_app, words).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", ["-1", str(2**32 - 1)])
def test_a_seed_that_registration_cannot_take_is_refused(tmp_path: Path, seed: str) -> None:
    result = CliRunner().invoke(prepare_app, ["pairs", "a", "b", str(tmp_path / "out"), "--seed", seed])
    assert result.exit_code == 2 and "--seed" in result.output and not (tmp_path / "out").exists()


def test_the_output_may_not_be_or_hold_one_of_the_inputs(tmp_path: Path) -> None:
    fast, full = pair_folders(tmp_path)
    for out in (full, tmp_path):
        with pytest.raises(OutputError):
            run("pairs", fast, full, out, "--acceleration", "2", "--overwrite")
    assert (full / "p1" / "knee_PD.nii").is_file()


def test_when_no_pair_could_be_used_the_user_is_sent_to_the_report(tmp_path: Path) -> None:
    fast, full = pair_folders(tmp_path)
    (full / "p1" / "knee_PD.nii").rename(full / "p1" / "other.nii")
    with pytest.raises(InputError, match=r"report\.html gives the reasons"):
        run("pairs", fast, full, tmp_path / "out", "--acceleration", "2")
    assert "have its name" in (tmp_path / "out" / "report.html").read_text()
    assert len(RecordStore(tmp_path / "out")) == 0


def test_a_library_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MRIDenoiseLib.data.pairs", None)
    with pytest.raises(SettingsError, match="install the extra 'train'"):
        run("pairs", *pair_folders(tmp_path), tmp_path / "out", "--acceleration", "2")
