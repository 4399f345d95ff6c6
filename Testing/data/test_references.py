"""A reference that repeats the noise of the image it is compared with is told from an honest one."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from MRIDenoiseLib.data.references import (
    complex_leave_one_out,
    counts,
    from_inclusive,
    leave_one_out,
    reference_noise,
)
from MRIDenoiseLib.errors import InputError

SIGMA = 0.05


def anatomy() -> np.ndarray:
    """Smooth tissue with edges, brightness 1 to 2, in a field of view without air: noise stays Gaussian."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    image = 1.3 + 0.3 * np.sin(3 * x) * np.cos(2 * y) + 0.4 * (np.hypot(x, y) < 0.5)
    return np.repeat(image[None], 6, axis=0)


def repeats(count: int, seed: int = 0) -> np.ndarray:
    return (anatomy() + SIGMA * np.random.default_rng(seed).standard_normal((count, *anatomy().shape))).astype(np.float32)


EVERYWHERE = np.ones(anatomy().shape, bool)


@dataclass(frozen=True)
class SharedNoise:
    """How much of a noisy image's noise its reference repeats.

    Args:
        correlation: between the noise of the two; 0 for an honest reference.
        slope: of the reference's noise on the noisy image's; 1 / N for a mean over N repeats that contains it.
    """

    correlation: float
    slope: float


def shared_noise(
    noisy: np.ndarray,
    reference: np.ndarray,
    clean: np.ndarray,
    second_clean: np.ndarray | None = None,
    *,
    mask: np.ndarray,
) -> SharedNoise:
    """Measure whether a reference is independent of the noisy image: the regression of (reference - x) on (noisy - x).

    The clean image x is known for synthetic data. For measured repeats two estimates of it do, each the mean of repeats that
    went into nothing else: every product is taken between differences from one and from the other, so that the estimates'
    own noise drops out. Two images alone cannot tell, because what they have in common may be anatomy or noise. Movement and
    drift between repeats count as noise, so of measured repeats only the mean over several choices of ``noisy`` says much.

    Args:
        noisy: float array (slices, rows, columns).
        reference: the same shape and units.
        clean: what both would be without noise, or an estimate of it.
        second_clean: another estimate, independent of the first; the first where it is exact.
        mask: bool, where to look.

    Raises:
        InputError: one of the two has no noise to compare.
    """
    truths = [image[mask].astype(np.float64) for image in (clean, clean if second_clean is None else second_clean)]
    own, other = ([_centred(image[mask] - truth) for truth in truths] for image in (noisy, reference))
    own_power, other_power = (float(np.mean(one * two)) for one, two in (own, other))
    if own_power <= 0 or other_power <= 0:
        raise InputError("no noise can be seen in one of the two images, so nobody can say whether they share any")
    shared = float(np.mean(own[0] * other[1]) + np.mean(own[1] * other[0])) / 2
    return SharedNoise(shared / math.sqrt(own_power * other_power), shared / own_power)


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean()


@pytest.mark.parametrize("count", [2, 3, 6])
def test_leave_one_out_references_share_no_noise_with_their_repeat(count: int):
    measured = repeats(count)
    assert len(measured) == count
    for noisy, reference in zip(measured, leave_one_out(measured), strict=True):
        shared = shared_noise(noisy, reference, anatomy(), mask=EVERYWHERE)
        assert abs(shared.correlation) < 0.01


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_mean_of_all_repeats_has_a_slope_of_one_over_their_number(count: int):
    measured = repeats(count)
    shared = shared_noise(measured[0], measured.mean(axis=0), anatomy(), mask=EVERYWHERE)
    assert shared.slope == pytest.approx(1 / count, abs=0.01)
    assert shared.correlation == pytest.approx(1 / math.sqrt(count), abs=0.01)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_whoever_returns_his_input_gets_the_psnr_that_the_noise_of_both_allows_and_no_more(count: int):
    measured = repeats(count)
    expected = 10 * math.log10(1 / (SIGMA**2 * (1 + 1 / (count - 1))))
    assert len(measured) == count
    for noisy, reference in zip(measured, leave_one_out(measured), strict=True):
        assert -10 * math.log10(np.mean((noisy - reference) ** 2)) == pytest.approx(expected, abs=0.1)


def test_an_inclusive_mean_is_turned_into_the_leave_one_out_reference():
    measured = repeats(4)
    assert np.abs(from_inclusive(measured.mean(axis=0), measured[1], 4) - leave_one_out(measured)[1]).max() < 1e-5
    with pytest.raises(InputError):
        from_inclusive(measured[0], measured[0], 1)


def test_rounding_leaves_nothing_of_a_bright_repeat_in_its_own_reference():
    measured = np.stack([np.full(4, 1e7, np.float32), np.full(4, 0.1, np.float32), np.full(4, 0.3, np.float32)])
    assert leave_one_out(measured)[0] == pytest.approx(0.2, rel=1e-6)


def test_complex_averages_lose_the_noise_floor_that_averages_of_magnitudes_keep():
    noise = np.random.default_rng(0).standard_normal((8, 4, 64, 64, 2)) @ [1, 1j]
    of_complex = np.abs(complex_leave_one_out(noise)).mean()
    of_magnitudes = leave_one_out(np.abs(noise)).mean()
    rayleigh = math.sqrt(math.pi / 2)
    assert of_complex == pytest.approx(rayleigh / math.sqrt(7), rel=0.01)
    assert of_magnitudes == pytest.approx(rayleigh, rel=0.01)
    with pytest.raises(InputError, match="magnitudes"):
        complex_leave_one_out(np.abs(noise))


@pytest.mark.parametrize("count", [2, 5])
def test_the_noise_of_a_reference_is_known_from_the_repeats_alone(count: int):
    measured = repeats(count)
    expected = float((leave_one_out(measured)[0] - anatomy()).std())
    assert reference_noise(measured) == pytest.approx(expected, rel=0.02)


def test_the_noise_of_a_reference_is_read_inside_the_mask():
    measured = repeats(3)
    measured[:, :3] = 0
    inside = np.zeros(anatomy().shape, bool)
    inside[3:] = True
    assert reference_noise(measured, inside) == pytest.approx(SIGMA / math.sqrt(2), rel=0.02)
    with pytest.raises(InputError):
        reference_noise(measured, np.zeros_like(inside))


def test_measured_repeats_tell_shared_noise_although_nobody_knows_the_clean_image():
    measured = repeats(7)
    measured, others = measured[:3], measured[3:].reshape(2, 2, *anatomy().shape).mean(axis=1)
    honest = shared_noise(measured[0], leave_one_out(measured)[0], *others, mask=EVERYWHERE)
    inclusive = shared_noise(measured[0], measured.mean(axis=0), *others, mask=EVERYWHERE)
    assert abs(honest.correlation) < 0.02
    assert inclusive.slope == pytest.approx(1 / 3, abs=0.02)
    assert inclusive.correlation == pytest.approx(1 / math.sqrt(3), abs=0.02)


def test_one_image_is_no_set_of_repeats():
    for function in (leave_one_out, reference_noise):
        with pytest.raises(InputError, match="two repeats"):
            function(anatomy()[None])


def test_images_without_noise_cannot_tell_whether_they_share_any():
    flat = np.ones(anatomy().shape)
    with pytest.raises(InputError, match="no noise"):
        shared_noise(flat, flat, flat, mask=EVERYWHERE)


def test_a_comparison_counts_up_to_a_third_of_the_noise_that_was_added():
    assert counts(0.0, 0.0) and counts(0.0099, 0.03) and counts(0.5, 30.0)
    assert not counts(0.0101, 0.03) and not counts(0.01, 0.0)
