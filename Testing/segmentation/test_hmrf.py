"""Tissue classes on a phantom whose truth is known, and what must not change them."""

import itertools

import numpy as np
import pytest

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.evaluation.claims.segmentation_time import PHANTOM_SPACING, phantom
from MRIDenoiseLib.segmentation import dice
from MRIDenoiseLib.segmentation.hmrf import Tissues, TissueSettings, segment_tissues
from MRIDenoiseLib.segmentation.mixture import Mixture, posteriors
from MRIDenoiseLib.segmentation.random_field import OUTSIDE, Neighbourhood, relax

ONLY_CLASSES = TissueSettings(bias_rounds=0, smoothness=0.0, bias_smoothness=0.0, mixing_smoothness=0.0, final_rounds=60)


def energy(costs: np.ndarray, labels: np.ndarray, neighbourhood: Neighbourhood, smoothness: float) -> float:
    """What a labelling costs: every voxel its label's cost, and every pair of unlike neighbours beta times its weight, once."""
    inside = labels != OUTSIDE
    present = np.where(inside, labels, 0)[None]
    own = np.take_along_axis(costs, present, axis=0)[0][inside].sum(dtype=np.float64)
    alike = sum(neighbourhood.weight_of(labels == k)[labels == k].sum(dtype=np.float64) for k in range(len(costs)))
    pairs = neighbourhood.weight_of(inside)[inside].sum(dtype=np.float64)
    return float(own + smoothness * (pairs - alike) / 2)


def run(settings: TissueSettings | None = None, **how) -> tuple[Tissues, np.ndarray]:
    """A segmented phantom and its true labels."""
    made = phantom(**how)
    return segment_tissues(made.image, made.labels > 0, made.spacing, settings), made.labels


def test_a_phantom_with_40_per_cent_bias_needs_the_bias_step_and_comes_out_right_with_it():
    corrected, truth = run()
    assert dice(corrected.labels, truth, 3).mean > 0.97
    uncorrected, _ = run(TissueSettings(bias_rounds=0))
    assert dice(uncorrected.labels, truth, 3).mean < 0.9
    assert (uncorrected.bias == 1).all()


def test_the_bias_field_found_comes_close_to_the_one_put_in_and_closer_with_more_rounds():
    made = phantom()
    inside = made.labels > 0
    true = np.log(made.bias[inside])

    def error(rounds: int) -> float:
        found = segment_tissues(made.image, inside, made.spacing, TissueSettings(bias_rounds=rounds))
        return float((np.log(found.bias[inside]) - true).std() / true.std())

    assert error(12) < error(4) < 0.35 and error(12) < 0.2


def plain_em(values: np.ndarray, means: np.ndarray, rounds: int) -> np.ndarray:
    """Labels of a mixture of equally likely Gaussians, by EM in its plainest form."""
    widths = np.full(len(means), values.std() / len(means))
    for _ in range(rounds):
        density = np.exp(-(((values[:, None] - means) / widths) ** 2) / 2) / widths
        weights = density / density.sum(axis=1, keepdims=True)
        means = (weights * values[:, None]).sum(axis=0) / weights.sum(axis=0)
        widths = np.sqrt((weights * (values[:, None] - means) ** 2).sum(axis=0) / weights.sum(axis=0))
    return 1 + (((values[:, None] - means) / widths) ** 2 / 2 + np.log(widths)).argmin(axis=1)


def test_without_neighbours_it_is_plain_em():
    made = phantom(bias=0, snr=12)
    inside = made.labels > 0
    found = segment_tissues(made.image, inside, made.spacing, ONLY_CLASSES)
    values = np.log(made.image[inside] / np.percentile(made.image[inside], 99.5)).clip(np.log(0.15))
    expected = plain_em(values, np.quantile(values, [0.2, 0.5, 0.8]), 500)
    assert np.array_equal(found.labels[inside], expected)


@pytest.mark.parametrize("spacing", [PHANTOM_SPACING, (1.2, 1.0, 1.0)], ids=["within slices", "in space"])
def test_the_energy_never_rises_and_ends_where_no_voxel_gains(spacing):
    made = phantom(snr=4, shape=(6, 40, 44))
    neighbourhood = Neighbourhood(spacing)
    logs = np.log(np.maximum(made.image, 1))
    costs = Mixture(np.log([60.0, 85.0, 115.0]), np.full(3, 0.25), np.full(3, 1 / 3)).costs(logs)
    labels = np.where(made.labels > 0, costs.argmin(axis=0), OUTSIDE).astype(np.uint8)
    energies = [energy(costs, labels, neighbourhood, 0.5)]
    for _ in range(200):
        after = relax(costs, labels, neighbourhood, 0.5, sweeps=1)
        if np.array_equal(after, labels):
            break
        labels = after
        energies.append(energy(costs, labels, neighbourhood, 0.5))
    assert len(energies) > 3 and (np.diff(energies) < 0).all()
    for k, here in itertools.product(range(3), [(2, 20, 22), (3, 9, 20), (4, 30, 15)]):
        changed = labels.copy()
        changed[here] = k
        assert energy(costs, changed, neighbourhood, 0.5) >= energies[-1] - 1e-3


def test_an_energy_by_hand():
    labels = np.array([[[0, 0], [0, 1]]], np.uint8)
    costs = np.stack([np.full((1, 2, 2), 1.0), np.full((1, 2, 2), 3.0)]).astype(np.float32)
    # Unlike neighbours: two at distance 1, one at the diagonal.
    expected = 3 * 1 + 3 + 0.1 * (1 + 1 + 1 / np.sqrt(2))
    assert energy(costs, labels, Neighbourhood((5.0, 1.0, 1.0)), 0.1) == pytest.approx(expected, rel=1e-6)


def test_neighbours_lie_in_the_slice_where_slices_are_thick_and_weigh_by_distance_elsewhere():
    assert len(Neighbourhood((3.0, 1.0, 1.0)).offsets) == 8
    near = Neighbourhood((2.0, 1.0, 1.0))
    assert len(set(near.offsets)) == 26 and not any(offset == (0, 0, 0) for offset in near.offsets)
    member = np.zeros((3, 3, 3), bool)
    member[1, 1, 1] = True
    weight = near.weight_of(member)
    assert weight[1, 1, 0] == 1 and weight[0, 1, 1] == pytest.approx(0.5) and weight[0, 0, 0] == pytest.approx(1 / np.sqrt(6))


@pytest.mark.parametrize("flips", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("spacing", [PHANTOM_SPACING, (1.1, 1.0, 0.9)], ids=["within slices", "in space"])
def test_a_mirrored_image_comes_out_mirrored_to_the_voxel(flips, spacing):
    made = phantom(snr=8, shape=(7, 61, 64))
    plain = segment_tissues(made.image, made.labels > 0, spacing)
    mirrored = segment_tissues(np.flip(made.image, flips), np.flip(made.labels > 0, flips), spacing)
    assert np.array_equal(np.flip(mirrored.labels, flips), plain.labels)
    assert np.array_equal(np.flip(mirrored.partial_volumes, [axis + 1 for axis in flips]), plain.partial_volumes)


@pytest.mark.parametrize("factor", [1e-3, 1 / 3, 37.0, 4096.0])
def test_units_do_not_matter(factor):
    made = phantom(snr=8, shape=(6, 60, 64))
    plain, scaled = (segment_tissues(image, made.labels > 0, made.spacing) for image in (made.image, factor * made.image))
    assert np.array_equal(plain.labels, scaled.labels)
    assert scaled.unit == pytest.approx(factor * plain.unit)


def test_the_same_image_gives_the_same_result():
    (one, _), (two, _) = run(), run()
    assert np.array_equal(one.labels, two.labels) and np.array_equal(one.posteriors, two.posteriors)


def test_probabilities_and_parts_sum_to_one_inside_and_nothing_is_found_outside():
    found, truth = run()
    inside = truth > 0
    for maps in (found.posteriors, found.partial_volumes):
        assert maps.sum(axis=0)[inside] == pytest.approx(1, abs=1e-5) and not maps[:, ~inside].any()
    assert not found.labels[~inside].any() and set(np.unique(found.labels[inside])) == {1, 2, 3}


def test_a_voxel_half_of_one_tissue_and_half_of_the_next_is_told_so():
    image = np.full((4, 40, 40), 60.0)
    image[:, :, 18:22] = 90.0
    image[:, :, 22:] = 120.0
    image += np.random.default_rng(0).normal(0, 1.0, image.shape)
    found = segment_tissues(image, np.ones(image.shape, bool), PHANTOM_SPACING, TissueSettings(classes=2, bias_rounds=0))
    assert found.partial_volumes[1][:, :, 19:21].mean() == pytest.approx(0.5, abs=0.07)
    assert found.partial_volumes[1][:, :, :15].max() < 0.15 and found.partial_volumes[1][:, :, 25:].min() > 0.85


@pytest.mark.parametrize("classes", [2, 4, 6])
def test_other_numbers_of_classes_come_in_the_order_of_brightness(classes):
    found, truth = run(TissueSettings(classes=classes))
    made = phantom()
    means = [made.image[found.labels == k].mean() for k in range(1, classes + 1)]
    assert means == sorted(means) and (truth > 0).sum() == sum((found.labels == k).sum() for k in range(1, classes + 1))


def test_neighbours_help_in_noise():
    settings = [TissueSettings(smoothness=beta, bias_smoothness=min(beta, 0.02)) for beta in (0.0, 0.1)]
    apart, together = (dice(*(lambda pair: (pair[0].labels, pair[1]))(run(one, snr=7)), 3).mean for one in settings)
    assert together > apart + 0.02


def test_posteriors_are_probabilities_even_of_hopeless_values():
    found = posteriors(np.array([[0.0, 1e6], [0.0, 2e6]], np.float32))
    assert found.tolist() == [[0.5, 1.0], [0.5, 0.0]]


def test_every_step_is_reported_and_may_stop_the_work():
    made = phantom(shape=(4, 40, 40))
    seen: list[float] = []
    segment_tissues(made.image, made.labels > 0, made.spacing, checkpoint=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 10

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_tissues(made.image, made.labels > 0, made.spacing, checkpoint=stop)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda image, mask: (np.where(mask, 5.0, 0.0), mask), "fewer grey values"),
        (lambda image, mask: (np.where(image > 90, 2.0, 1.0), mask), "fewer grey values"),
        (lambda image, mask: (np.where(mask, np.nan, 0.0), mask), "NaN"),
        (lambda image, mask: (image, np.zeros_like(mask)), "empty"),
        (lambda image, mask: (image, mask[1:]), "shape"),
        (lambda image, mask: (-image, mask), "fewer grey values"),
    ],
    ids=["constant", "two values", "NaN", "empty mask", "other mask", "negative"],
)
def test_what_cannot_be_segmented_is_refused_in_a_sentence(damage, said):
    made = phantom(shape=(4, 40, 40))
    image, mask = damage(made.image, made.labels > 0)
    with pytest.raises(InputError, match=said):
        segment_tissues(image, mask, made.spacing)


@pytest.mark.parametrize("options", [{"classes": 1}, {"classes": 7}, {"bias_fwhm": 0}, {"smoothness": -1}, {"final_rounds": 0}])
def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(SettingsError):
        TissueSettings(**options)


def test_one_slice_is_enough():
    made = phantom(shape=(1, 96, 96))
    assert dice(segment_tissues(made.image, made.labels > 0, made.spacing).labels, made.labels, 3).mean > 0.95
