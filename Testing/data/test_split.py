"""No patient on both sides, on any machine, and no image twice."""

from collections import Counter

import numpy as np
import pytest

from MRIDenoiseLib.data.split import near_duplicates, split_of
from MRIDenoiseLib.data.zero_fill import resize
from MRIDenoiseLib.errors import InputError


def test_patients_fall_seven_to_one_to_two():
    counts = Counter(split_of(f"patient {number}", "A") for number in range(20_000))
    shares = [counts[split] / 20_000 for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.01)


def test_the_split_is_the_same_on_every_machine():
    pinned = {"ID-1": "validation", "ID-2": "test", "ID-3": "train", "ID-6": "test", "ID-17": "validation"}
    assert {subject: split_of(subject, "A") for subject in pinned} == pinned


def test_one_patient_has_one_split_for_all_examinations_and_spellings():
    for number in range(50):
        exams = {
            split_of(who, site, study)
            for who in (f"Pat{number}", f" PAT{number} \0")
            for site in ("X", "x ")
            for study in ("", "1.2", "1.3")
        }
        assert len(exams) == 1


def test_equal_numbers_at_two_sites_are_two_patients():
    assert any(split_of(str(number), "A") != split_of(str(number), "B") for number in range(20))


def test_the_study_stands_in_for_a_missing_patient_and_nothing_stands_in_for_both():
    assert {split_of("", "A", f"1.2.{number}") for number in range(60)} == {"train", "validation", "test"}
    with pytest.raises(InputError):
        split_of(" ", "A", "")


def test_external_sites_are_held_out_as_a_whole():
    assert {split_of(str(number), "Far", external_sites=("far", "elsewhere")) for number in range(60)} == {"test"}
    assert {split_of(str(number), "near", external_sites=("far",)) for number in range(60)} == {"train", "validation", "test"}


def anatomy(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    image = (np.hypot(y / 0.8, x / 0.65) < 1).astype(float)
    for _ in range(12):
        cy, cx, ry, rx, value = rng.uniform((-0.5, -0.4, 0.05, 0.05, -0.5), (0.5, 0.4, 0.3, 0.3, 0.5))
        image = image + value * (np.hypot((y - cy) / ry, (x - cx) / rx) < 1)
    return np.maximum(image, 0)


def test_a_copy_with_another_matrix_brightness_and_noise_is_found_and_other_patients_are_not():
    noise = np.random.default_rng(0).standard_normal((2, 160, 160)) * 0.2
    slices = {f"patient {seed}": anatomy(seed) for seed in range(6)}
    slices["copy of 2"] = resize(40 * np.hypot(slices["patient 2"] + noise[0], noise[1]), (128, 130))
    slices["copy of 5"] = slices["patient 5"].copy()
    assert near_duplicates(slices) == [("patient 2", "copy of 2"), ("patient 5", "copy of 5")]
    assert near_duplicates({}) == []


def test_blank_images_are_like_no_other():
    blank = {"a": np.zeros((32, 32)), "b": np.zeros((32, 32)), "c": np.full((40, 32), 7.0)}
    assert near_duplicates(blank) == []
    assert near_duplicates({**blank, "d": anatomy(1), "e": anatomy(1)}) == [("d", "e")]


def test_real_middle_slices_of_different_patients_are_not_taken_for_copies(data_dir):
    from MRIDenoiseLib import io

    subjects = ("ms01", "ms03", "ms04", "ms12", "sct01", "sct03", "lumbar", "forrest", "adi")
    slices = {}
    for subject in subjects:
        for path in sorted((data_dir / "volumes").glob(f"*{subject}*.nii.gz"))[:2]:
            volume = io.read(path)
            slices[f"{subject} {path.name}"] = np.take(volume.voxels, volume.voxels.shape[volume.slice_axis] // 2, axis=volume.slice_axis)
    assert len({name.split()[0] for name in slices}) == len(subjects)
    assert all(one.split()[0] == other.split()[0] for one, other in near_duplicates(slices))
