"""Which volumes are learned from: what the manifest says and nothing else, and only where their own noise allows it."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MRIDenoiseLib.data.manifest import (
    CLEAN_ENOUGH,
    COARSEST,
    ManifestRow,
    coarsening,
    kept_out_subjects,
    left_out,
    load_clean_volumes,
    may_be_learned_from,
    read_manifest,
    training_rows,
)
from MRIDenoiseLib.data.zero_fill import resize
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.training.data import open_data

COLUMNS = "file,source,licence,organ,contrast,vendor,subject,split,own_noise"


def manifest(folder: Path, *rows: str, columns: str = COLUMNS) -> Path:
    """A manifest whose rows are ``name subject split own_noise ...``."""
    lines = [columns]
    for row in rows:
        name, *said = row.split(" ")
        lines.append(",".join([f"volumes/{name}.nii", "here", "CC0", "head", "T1w", "GE", *said]))
    (folder / "MANIFEST.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def row(subject: str, split: str) -> ManifestRow:
    return ManifestRow("volumes/a.nii", "here", "CC0", "head", "T1w", "GE", subject, split)


@pytest.mark.parametrize(
    ("column", "complaint"), [("split", "what may be trained on"), ("own_noise", "mridenoise own-noise"), ("licence", "")]
)
def test_a_manifest_that_lacks_a_column_is_refused_and_nothing_is_taken_for_granted(tmp_path, column, complaint):
    manifest(tmp_path, columns=COLUMNS.replace(column, "other"))
    with pytest.raises(InputError, match=f"lacks the column {column}.*{complaint}"):
        training_rows(tmp_path)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(InputError, match="no MANIFEST"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("a Train .005", "says split 'Train'"),
        ("a  .005", "says split ''"),
        ("a train low", "own_noise 'low'"),
        ("a train -1", "own_noise '-1'"),
    ],
)
def test_a_row_that_says_what_cannot_be_is_refused(tmp_path, said, complaint):
    with pytest.raises(InputError, match=complaint):
        read_manifest(manifest(tmp_path, f"one {said}"))


def test_only_the_split_decides_who_is_trained_on_and_no_name_does(tmp_path):
    manifest(tmp_path, "a ms12 train .005", "b other test .005", "c third as-scanned .005", "d third train .005", "e fourth repeats ")
    assert [one.file for one in training_rows(tmp_path)] == ["volumes/a.nii", "volumes/d.nii"]
    assert kept_out_subjects(read_manifest(tmp_path)) == ["other"]
    assert [one.file for one in read_manifest(tmp_path, split="test")] == ["volumes/b.nii"]


def test_what_the_manifest_leaves_open_goes_with_its_patient():
    rows = [row("MS12 ", "test"), row("ms04", "train")]
    assert not may_be_learned_from(row("ms12", "repeats"), rows), "however it is written"
    assert may_be_learned_from(row("ms04", "repeats"), rows) and may_be_learned_from(row("ms12", "train"), rows)
    assert not may_be_learned_from(row("ms04", "as-scanned"), rows)


def test_a_noisy_volume_is_made_coarser_and_a_very_noisy_one_left_out_with_the_reason(tmp_path):
    manifest(tmp_path, "a s1 train .004", "b s1 train .022", "c s2 train .0221", "d s3 as-scanned .004", "e s4 test .1")
    assert [coarsening(one.own_noise) for one in training_rows(tmp_path)] == [1, pytest.approx(COARSEST)]
    reasons = {one.file: one.reason for one in left_out(tmp_path)}
    assert set(reasons) == {"volumes/c.nii", "volumes/d.nii"}
    assert "2.21% of P99.5" in reasons["volumes/c.nii"] and "as it was scanned" in reasons["volumes/d.nii"]


def test_a_volume_whose_own_noise_nobody_measured_is_no_target_and_the_command_is_named(tmp_path):
    manifest(tmp_path, "a s1 train ", "b s2 test ")
    with pytest.raises(InputError, match=r"volumes/a.nii is not known.*mridenoise own-noise .* --write"):
        training_rows(tmp_path)
    assert read_manifest(tmp_path)[1].own_noise is None


def test_an_interpolated_volume_comes_at_the_matrix_that_was_measured_and_the_account_tells_all(tmp_path):
    (tmp_path / "volumes").mkdir()
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    measured = np.stack([np.where(np.hypot(x, y) < 0.8, 600 + 300 * np.sin(9 * x + k), 0.0) for k in range(3)]).astype(np.float32)
    for name, slices in (("a", measured), ("b", resize(measured, (128, 128)))):
        sitk.WriteImage(sitk.GetImageFromArray(slices), str(tmp_path / f"volumes/{name}.nii"))
    manifest(tmp_path, "a s1 train .005 ", "b s2 train .015 2", "c s3 train .03 ", "d s4 test .01 ", columns=f"{COLUMNS},interpolated")
    plain, interpolated = load_clean_volumes(tmp_path, training_rows(tmp_path))
    assert interpolated.slices.shape == plain.slices.shape
    inside = plain.body & interpolated.body
    assert np.corrcoef(interpolated.slices[inside], plain.slices[inside])[0, 1] > 0.995, "the very slices, but for ringing cut at zero"
    assert (plain.coarsening, interpolated.coarsening) == (1, pytest.approx(0.015 / CLEAN_ENOUGH))
    account = open_data([tmp_path]).account()
    assert [(entry["own_noise"], entry["coarsening"]) for entry in account["data"]] == [(0.005, 1), (0.015, 1.5)]
    assert account["kept_out"]["subjects"] == ["s4"] and [one["file"] for one in account["left_out"]] == ["volumes/c.nii"]


def test_of_the_real_data_no_test_patient_is_trained_on_and_what_is_too_noisy_is_told(data_dir):
    rows, everything = training_rows(data_dir), read_manifest(data_dir, kind=None)
    learned, kept = {one.subject for one in rows}, set(kept_out_subjects(everything))
    assert {"ms12", "sct03", "ProstateX-0000", "pymskt"} <= kept and not learned & kept
    assert not learned & {"forrest", "sct-lumbar"} and "flo1" in learned
    fallen = {one.file for one in left_out(data_dir)}
    assert {"volumes/head_T2-FLAIR_ms01_study2.nii.gz", "volumes/knee_PDw_flo1_cor.nii.gz"} <= fallen
    assert not fallen & {one.file for one in rows} and all(one.own_noise <= CLEAN_ENOUGH * COARSEST for one in rows)
