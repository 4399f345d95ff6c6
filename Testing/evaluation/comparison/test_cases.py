"""The images of a comparison: what a method gets, and what it is held against."""

from dataclasses import replace

import numpy as np
import pytest
from comparison_cases import smooth
from training_cases import record, record_folder

from MRIDenoiseLib.data.manifest import read_manifest
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.claim import NoisyVolume
from MRIDenoiseLib.evaluation.comparison.cases import MEASURED, CaseSpec, by_case, load, record_specs, repeat_specs, volume_specs
from MRIDenoiseLib.image.noise import reference_noise


def test_a_volumes_noise_is_that_of_the_published_rows(phantoms):
    [spec] = volume_specs(phantoms, ["s1"], ["M0.10"], 3)
    case = load(spec)
    row = NoisyVolume.read(phantoms, read_manifest(phantoms)[0], "M0.10")
    assert np.allclose(case.volume.voxels, row.volume.voxels, atol=1e-6)
    assert case.scored == range(6, 9) and case.reference.shape == (3, 72, 76)
    assert case.scale == pytest.approx(1.0, abs=1e-3), "in units of the reference's P99.5"
    assert case.true_noise == pytest.approx(0.07, rel=0.35)


def test_the_two_truths_differ_by_the_references_own_noise(phantoms):
    [spec] = volume_specs(phantoms, ["s1"], ["R"], 3)
    case = load(spec)
    first, second = case.twins
    assert np.array_equal(first, case.reference)
    assert (second - first).std() == pytest.approx(reference_noise(case.reference, case.foreground), rel=0.03)


def test_every_image_comes_with_its_references_own_noise_and_the_noise_that_was_added(phantoms):
    [added] = volume_specs(phantoms, ["s1"], ["R"], 3)
    case = load(added)
    assert case.own_noise == 0.005, "as the list has it"
    assert case.added_noise == pytest.approx(13 / 255, rel=0.05)
    measured = load(replace(added, own_noise=None))
    assert 0 <= measured.own_noise < 0.02, "measured where nobody wrote it down"
    assert replace(added, own_noise=0.1).name == added.name
    [repeat] = repeat_specs(phantoms, ["EPI"], 3)
    case = load(repeat)
    assert case.own_noise * case.scale == pytest.approx(25 / 19**0.5, rel=0.1), "by what differs between the repeats"
    assert case.added_noise * case.scale == pytest.approx(25 * (1 + 1 / 19) ** 0.5, rel=0.1)


def test_one_echo_of_a_series_is_an_image_with_own_noise_of_its_own(phantoms, tmp_path):
    list_of = (phantoms / "MANIFEST.csv").read_text() + "dicom/knee_series/,made here,none,knee,PDw,GE,k1,test,0.02\n"
    (tmp_path / "MANIFEST.csv").write_text(list_of)
    first, second = volume_specs(tmp_path, ["k1"], ["R"], 3, echoes={2: 0.0094, 4: 0.011})
    assert (first.echo, first.own_noise, first.name) == (2, 0.0094, "knee_series_echo_2_R")
    assert (second.echo, second.own_noise, second.name) == (4, 0.011, "knee_series_echo_4_R")


def test_the_reference_of_a_repeat_holds_none_of_its_noise(phantoms):
    [spec] = repeat_specs(phantoms, ["EPI"], 3)
    case = load(spec)
    truth = smooth()[case.scored.start : case.scored.stop]
    inside = truth > 100
    own, left = (case.noisy - truth)[inside], (case.reference - truth)[inside]
    assert own.std() == pytest.approx(25, rel=0.1) and left.std() == pytest.approx(25 / 19**0.5, rel=0.15)
    assert abs(np.corrcoef(own, left)[0, 1]) < 0.05
    halves = [(half - truth)[inside] for half in case.twins]
    assert abs(np.corrcoef(*halves)[0, 1]) < 0.05 and spec.noise == MEASURED and case.true_noise is None


def test_a_prepared_pair_comes_with_its_own_noise_or_with_another(tmp_path):
    pair = record("test", noise_level=20.0)
    folder = record_folder(tmp_path / "pairs", record("train"), pair)
    measured, simulated = (load(spec) for spec in record_specs(folder, [MEASURED, "R"], 2))
    assert np.array_equal(measured.volume.voxels, pair.noisy) and np.array_equal(measured.clean.voxels, pair.clean)
    assert measured.true_noise is None and simulated.true_noise > 0
    assert not np.array_equal(simulated.volume.voxels, pair.noisy)


def test_a_listed_inclusive_reference_is_known_as_one(tmp_path):
    folder = record_folder(tmp_path / "pairs", record("test", gt_kind="inclusive"))
    assert load(record_specs(folder, [MEASURED], 2)[0]).inclusive


def test_names_tell_nothing_of_folders_and_two_images_of_one_name_are_refused():
    spec = CaseSpec("volume", "/somewhere/secret", "volumes/head_T1w_s1.nii.gz", "L2-1.5", "s1", "head", "T1w", 3)
    assert spec.name == "head_T1w_s1_L2-1.5"
    other = CaseSpec("volume", "/elsewhere", "volumes/head_T1w_s1.nii.gz", "L2-1.5", "s1", "head", "T1w", 3)
    with pytest.raises(InputError, match="two different images"):
        list(by_case([spec, other]))


def test_what_is_not_there_is_named(phantoms, tmp_path):
    with pytest.raises(InputError, match="no volume of subject s9"):
        volume_specs(phantoms, ["s9"], ["R"], 3)
    with pytest.raises(InputError, match="no repeats called 'ABC'"):
        repeat_specs(phantoms, ["ABC"], 3)
    with pytest.raises(InputError, match="no pair of the test split"):
        record_specs(record_folder(tmp_path / "pairs", record("train")), [MEASURED], 2)
