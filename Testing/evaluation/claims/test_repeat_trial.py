"""Single repeats against the mean of the others: known noise gives known errors, and what would flatter a denoiser does not."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.data.repeats import read_repeat_sets
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.blur import BLURS
from MRIDenoiseLib.evaluation.claims.repeat_trial import RepeatResult, measure_repeats
from MRIDenoiseLib.volume import Volume

NOISE, REPEATS = 20.0, 5


def truth(brightness: float = 1.0, phase: float = 0.0) -> np.ndarray:
    z, y, x = np.mgrid[0:5, 0:48, 0:56]
    body = np.hypot((y - 24) / 18, (x - 28) / 22) < 1
    return brightness * np.where(body, 700 + 150 * np.sin(x / 2 + phase) * np.cos(y / 3 + z), 0.0)


def measured(clean: np.ndarray, seed: int, noise: float = NOISE) -> list[Volume]:
    """Magnitudes far above their noise, so that it is as good as Gaussian inside the body."""
    parts = np.random.default_rng(seed).normal(0, noise, (REPEATS, 2, *clean.shape))
    return [Volume(np.hypot(clean + real, imaginary).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0])) for real, imaginary in parts]


def run(denoise: Callable[[Volume], np.ndarray], groups: list[list[Volume]] | None = None, limit: int | None = None) -> RepeatResult:
    groups = groups or [measured(truth(), 0)]
    return measure_repeats(groups, lambda volume: volume.with_voxels(denoise(volume)), limit=limit)


def test_an_unchanged_image_has_the_error_of_two_independent_noises_and_without_the_references_of_one():
    result = run(lambda volume: volume.voxels)
    scale = np.percentile(truth()[truth() > 0], 99.5)
    variance = (NOISE / scale) ** 2
    decibels = [10 * math.log10(value / variance) for value in (result.noisy.mse, result.noisy.true_mse)]
    # A mean that contained the image itself would give 10 log10(1 - 1 / N) = -0.97 for the first.
    assert decibels[0] == pytest.approx(10 * math.log10(1 + 1 / (REPEATS - 1)), abs=0.1)
    assert decibels[1] == pytest.approx(0, abs=0.1)
    assert result.reference_sigma == pytest.approx(NOISE / scale / math.sqrt(REPEATS - 1), rel=0.02)
    assert result.denoised == result.noisy
    assert result.closer_than_noisy == 0 and result.bias == 0 and not result.holds


def test_the_truth_is_closer_than_noise_and_blur_and_its_error_is_that_of_the_reference():
    result = run(lambda volume: truth())
    assert result.holds and result.repeats == REPEATS
    assert result.closer_than_noisy == result.blur.beaten == REPEATS
    assert result.denoised.mse == pytest.approx(result.reference_sigma**2, rel=0.05)
    assert result.denoised.true_psnr > result.blur.closeness.true_psnr + 10


def test_the_best_blur_is_better_than_nothing_and_than_any_other_blur():
    smooth = np.where(truth() > 0, 700.0, 0.0)
    result = run(lambda volume: volume.voxels, [measured(smooth, 1, noise=60)])
    assert result.blur.closeness.mse < 0.7 * result.noisy.mse and result.blur.beaten == 0
    best = next(blur for blur in BLURS if str(blur) == result.blur.setting)
    wider = best._replace(in_plane=1.5 * best.in_plane)
    other = run(lambda volume: wider(volume.voxels), [measured(smooth, 1, noise=60)])
    assert other.blur.closeness.mse < other.denoised.mse < other.noisy.mse
    assert other.closer_than_noisy == REPEATS and other.blur.beaten == 0 and not other.holds


def test_another_denoiser_stands_at_its_best_setting_and_is_told_the_spread_of_the_repeats():
    told: list[float] = []

    def shrink(noisy: np.ndarray, spread: float) -> Iterator[tuple[str, np.ndarray]]:
        told.append(spread)
        yield "bad", 0.5 * noisy
        yield "none", noisy

    denoise = {"shrink": shrink}
    result = measure_repeats([measured(truth(), 0)], lambda volume: volume.with_voxels(truth()), others=denoise)
    assert result.others["shrink"] == (result.noisy, "none", REPEATS)
    assert told == [pytest.approx(NOISE / np.percentile(truth()[truth() > 0], 99.5), rel=0.02)] * REPEATS


def test_a_denoiser_that_darkens_tissue_is_found_out_although_it_is_closer():
    result = run(lambda volume: 0.985 * truth(), [measured(truth(), 0, noise=40)])
    assert result.blur.beaten == REPEATS
    # The magnitude itself is sigma^2 / 2A brighter than the truth, 0.2 %.
    assert result.bias == pytest.approx(1.7, abs=0.15) and not result.holds
    assert abs(result.worst_bias) == max(abs(value) for value in result.bias_percent)


def test_the_floor_of_magnitudes_may_be_taken_away_and_nothing_more():
    groups = [measured(truth(), 0, noise=150)]
    result = run(lambda volume: truth(), groups)
    expected = 100 * (150**2 / (2 * truth()[truth() > 0])).mean() / truth()[truth() > 0].mean()
    assert result.floor_percent == pytest.approx(expected, rel=0.15) and result.floor_percent > 2
    assert result.bias == pytest.approx(result.floor_percent, abs=0.5) and result.holds
    assert not run(lambda volume: 0.98 * truth(), groups).holds
    assert not run(lambda volume: 1.05 * truth(), groups).holds


def test_air_that_the_scanner_blanked_tells_no_floor():
    blanked = [volume.with_voxels(volume.voxels * (truth() > 0)) for volume in measured(truth(), 0, noise=150)]
    assert run(lambda volume: truth(), [blanked]).floor_percent == 0


def test_conditions_are_compared_with_their_own_repeats_only_and_weigh_alike_however_bright():
    groups = [measured(truth(1.0), 0), measured(truth(10.0, phase=2.0), 1, noise=10 * NOISE)]
    both, first = run(lambda volume: volume.voxels, groups), run(lambda volume: volume.voxels, groups[:1])
    assert both.noisy.mse == pytest.approx(first.noisy.mse, rel=0.05)


def test_a_limit_spreads_over_the_conditions_and_keeps_the_references_whole():
    groups = [measured(truth(), seed) for seed in range(3)]
    seen: list[int] = []

    def watched(volume: Volume) -> np.ndarray:
        seen.append(next(number for number, group in enumerate(groups) for other in group if other is volume))
        return volume.voxels

    result = run(watched, groups, limit=3)
    assert sorted(seen) == [0, 1, 2] and result.repeats == 3
    scale = np.percentile(truth()[truth() > 0], 99.5)
    assert result.reference_sigma == pytest.approx(NOISE / scale / math.sqrt(REPEATS - 1), rel=0.02)


def test_too_few_repeats_and_repeats_of_different_shape_are_refused():
    volumes = measured(truth(), 0)
    with pytest.raises(InputError, match="at least 3"):
        run(lambda volume: volume.voxels, [volumes[:2]])
    with pytest.raises(InputError, match="shape"):
        run(lambda volume: volume.voxels, [[*volumes, Volume(volumes[0].voxels[:, 1:], np.eye(4))]])


@pytest.mark.parametrize("name", ["pCASL", "EPI", "DWI b0"])
def test_the_real_repeats_are_what_the_list_says(data_dir, name):
    repeats = next(one for one in read_repeat_sets(data_dir) if one.name == name)
    numbers = [number for group in repeats.groups for number in group]
    assert len(set(numbers)) == len(numbers)
    for group in repeats.groups:
        first, last = (io.read(data_dir / repeats.file, volume=number + 1).voxels for number in (group[0], group[-1]))
        # A b800 volume among the b0 would be half as bright.
        assert last.mean() == pytest.approx(first.mean(), rel=0.1)
        assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.75
