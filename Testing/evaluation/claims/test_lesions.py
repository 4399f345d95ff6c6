"""A whole trial on a phantom: denoisers of known vice get the score they deserve."""

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.lesion_contrast import Summary
from MRIDenoiseLib.evaluation.claims.lesions import (
    BLURRED,
    EQUALLY_BLURRED,
    GROUPS,
    NOISY,
    LesionOutcome,
    lesion_trial,
    misdescribed,
    summaries,
)
from MRIDenoiseLib.prompt import describe, override
from MRIDenoiseLib.volume import Acquisition, Volume

COUNT = 5


@pytest.fixture(scope="module")
def phantom() -> Volume:
    """Eight sagittal-like slices along the second axis, so that slices first is not how it is stored."""
    z, y, x = np.mgrid[0:8, 0:160, 0:160]
    body = np.hypot(y - 80, x - 80) < 70
    slices = np.where(body, 500 + 30 * np.sin(x / 25 + z / 4), 0).astype(np.float32)
    matrix = np.diag([1.0, 4.0, 1.0, 1.0])
    volume = Volume(np.ascontiguousarray(np.moveaxis(slices, 0, 1)), matrix, name="phantom")
    return volume.with_acquisition(override(Acquisition(), organ="head", contrast="T1w"))


@pytest.fixture(scope="module")
def outcomes(phantom: Volume) -> tuple[LesionOutcome, ...]:
    clean = phantom.voxels / np.percentile(phantom.voxels[phantom.voxels > 0], 99.5)

    def leave(part: float):
        return lambda volume, z: volume.with_voxels(clean + part * (volume.voxels - clean))

    ways = {"keeps all": leave(1.0), "keeps half": leave(0.5), "takes all": leave(0.0)}
    return lesion_trial(phantom, "M0.05", ways, count=COUNT, seed=1)


def values(outcomes: tuple[LesionOutcome, ...], name: str) -> np.ndarray:
    return np.array([outcome.kept[name].paired for outcome in outcomes])


def test_every_lesion_is_measured_in_every_way(outcomes):
    assert len(outcomes) == COUNT
    assert all(set(outcome.kept) == {NOISY, BLURRED, "keeps all", "keeps half", "takes all"} for outcome in outcomes)
    assert all((outcome.volume, outcome.noise) == ("phantom", "M0.05") for outcome in outcomes)


def test_what_changes_nothing_keeps_everything_and_what_deletes_keeps_nothing(outcomes):
    # The window of the acquisition and the magnitude touch a lesion by a few per cent.
    assert values(outcomes, NOISY) == pytest.approx(1, abs=0.06)
    assert values(outcomes, "keeps all") == pytest.approx(values(outcomes, NOISY))
    assert values(outcomes, "keeps half") == pytest.approx(0.5 * values(outcomes, NOISY))
    assert values(outcomes, "takes all") == pytest.approx(0, abs=1e-6)
    assert dict(summaries(outcomes, "takes all"))["all"].missing == COUNT


def test_the_blur_of_smallest_error_costs_some_contrast(outcomes):
    blurred = values(outcomes, BLURRED)
    assert (blurred < values(outcomes, NOISY)).all() and (blurred > 0.2).all()


def test_the_blur_of_equal_remaining_noise_costs_more_contrast_the_less_noise_is_left(phantom):
    clean = phantom.voxels / np.percentile(phantom.voxels[phantom.voxels > 0], 99.5)

    def leave(part: float):
        return lambda volume, z: volume.with_voxels(clean + part * (volume.voxels - clean))

    kept = {}
    for part in (1.0, 0.5, 0.2):
        trial = lesion_trial(phantom, "M0.05", {"ours": leave(part)}, count=COUNT, seed=1, equal_to="ours")
        kept[part] = values(trial, EQUALLY_BLURRED)
    assert kept[1.0] == pytest.approx(values(trial, NOISY)), "nothing was removed, so nothing is blurred"
    assert (kept[0.5] < kept[1.0]).all() and (kept[0.2] < kept[0.5]).all()


def test_blindly_the_noise_that_is_left_counts(outcomes):
    blind = np.array([outcome.kept[NOISY].blind for outcome in outcomes])
    assert np.abs(blind - 1).max() > 0.02
    assert np.abs(blind - 1).max() > 2 * np.abs(values(outcomes, NOISY) - 1).max()
    assert dict(summaries(outcomes, NOISY, blind=True))["all"] == Summary.of(list(blind))
    assert dict(summaries(outcomes, NOISY))["all"] == Summary.of(list(values(outcomes, NOISY)))


def test_both_images_have_the_same_noise_and_differ_near_the_lesions_only(phantom):
    seen = []

    def watched(volume: Volume, z: int) -> Volume:
        seen.append(np.moveaxis(volume.voxels, 1, 0))
        return volume

    lesions = [outcome.lesion for outcome in lesion_trial(phantom, "R", {"watched": watched}, count=3)]
    changed = seen[0] != seen[1]
    assert changed[lesions[0].centre[0]].any()
    far = np.ones(changed.shape[1:], bool)
    for lesion in lesions:
        far &= np.hypot(*(np.indices(far.shape) - np.array(lesion.centre[1:])[:, None, None])) > 32
    assert not changed[:, far].any()
    assert not changed[np.abs(np.arange(8) - lesions[0].centre[0]) > 2].any(), "none is deeper than eight pixels, two slices"


def test_seed_and_case_decide_where_lesions_go(phantom):
    places = [lesion_trial(phantom, noise, {}, count=2, seed=seed) for noise, seed in (("R", 0), ("R", 0), ("R", 1), ("M0.05", 0))]
    centres = [[outcome.lesion.centre for outcome in trial] for trial in places]
    assert centres[0] == centres[1] and centres[0] not in centres[2:]


def test_the_groups_of_size_and_contrast_hold_every_lesion_once(outcomes):
    numbers = {group: summary.number for group, summary in summaries(outcomes, NOISY)}
    for kind in ("contrast", "diameter"):
        assert sum(number for group, number in numbers.items() if group.startswith(kind)) == COUNT
    assert numbers.get("bright", 0) + numbers.get("dark", 0) == numbers["all"] == COUNT
    assert set(numbers) <= set(GROUPS)


@pytest.mark.parametrize("organ, contrast", [("head", "T1w"), ("knee", "T2w"), ("prostate", "T2w")])
def test_the_wrong_metadata_are_wrong_in_organ_and_contrast_and_words_the_model_knows(phantom, organ, contrast):
    volume = phantom.with_acquisition(override(phantom.acquisition, organ=organ, contrast=contrast))
    wrong = misdescribed(volume).acquisition
    assert wrong.organ.value != organ and wrong.contrast.value != contrast
    assert wrong.organ.seen_in_training and wrong.contrast.seen_in_training
    assert describe(wrong) != describe(volume.acquisition)


def test_a_volume_without_flat_tissue_is_refused():
    voxels = np.zeros((6, 64, 64), np.float32)
    voxels[:, ::4] = 1
    with pytest.raises(InputError, match="no flat tissue"):
        lesion_trial(Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0]), name="stripes"), "R", {}, count=2)
