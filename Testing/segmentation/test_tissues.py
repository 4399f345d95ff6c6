"""From a volume to named tissues: the mask, the names, the axes, what is counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.evaluation.claims.segmentation_time import phantom
from MRIDenoiseLib.prompt import override
from MRIDenoiseLib.segmentation import TissueSettings, dice, make_mask, segment
from MRIDenoiseLib.segmentation.masks import brain_mask, whole_body_mask
from MRIDenoiseLib.simulation.simulate import Simulation, simulate_volume
from MRIDenoiseLib.volume import Acquisition, Unmeasured, Volume

SAMPLE = Path(__file__).resolve().parents[2] / "Resources" / "SampleData"
SPACING = (3.0, 1.2, 1.2)


def head(fat: float = 300.0) -> tuple[np.ndarray, np.ndarray]:
    """A brain in a dark skull in a bright scalp (slices, rows, columns), and the brain with its fluid."""
    z, y, x = np.meshgrid(np.linspace(-0.6, 0.6, 20), np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    image = np.zeros(radius.shape)
    image[radius < 0.97] = fat
    image[radius < 0.89] = 12.0
    brain = radius < 0.78
    image[brain] = 100.0
    image[radius < 0.6] = 130.0
    image[np.hypot(y, np.abs(x) - 0.15) < 0.06] = 40.0
    return image + np.abs(np.random.default_rng(0).normal(0, 3, image.shape)), brain


def volume_of(stack: np.ndarray, organ: str | None = None, contrast: str | None = None, spacing=SPACING) -> Volume:
    k, j, i = spacing
    volume = Volume(stack.astype(np.float32), np.diag([i, j, k, 1.0]))
    return volume.with_acquisition(override(Acquisition(), organ=organ, contrast=contrast))


def test_the_brain_is_found_inside_its_skull_and_scalp():
    image, brain = head()
    found = brain_mask(image, SPACING)
    assert dice(found.astype(int), brain.astype(int), 1).mean > 0.95
    assert not found[image > 200].any(), "no scalp"


def test_a_brain_without_skull_is_found_as_well():
    image, brain = head()
    assert dice(brain_mask(np.where(brain, image, 0), SPACING).astype(int), brain.astype(int), 1).mean > 0.95


def test_the_mask_of_a_mirrored_head_is_mirrored():
    image, _ = head()
    assert np.array_equal(brain_mask(image[:, ::-1], SPACING)[:, ::-1], brain_mask(image, SPACING))


def test_the_body_holds_the_dark_within_it():
    image, brain = head(fat=150.0)
    assert whole_body_mask(image, SPACING)[brain].all()


def test_an_image_without_a_brain_says_so():
    stripes = np.zeros((8, 64, 64))
    stripes[:, ::16] = 100.0
    stripes += np.random.default_rng(0).random(stripes.shape)
    with pytest.raises(InputError, match="no brain"):
        brain_mask(stripes, (3.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("contrast", "names"),
    [
        ("T1w", ("cerebrospinal fluid", "grey matter", "white matter")),
        ("T2w", ("white matter", "grey matter", "cerebrospinal fluid")),
        ("T2-FLAIR", ("cerebrospinal fluid", "white matter", "grey matter")),
    ],
)
def test_a_brains_three_classes_are_tissues_by_their_contrast(contrast, names):
    found = segment(volume_of(head()[0], "head", contrast))
    assert found.anatomical and found.mask == "brain" and tuple(kind.name for kind in found.classes) == names


@pytest.mark.parametrize(
    ("organ", "contrast", "classes"), [("knee", "T1w", 3), ("head", "T1w", 4), ("head", "DWI", 3), ("head", None, 3), (None, "T1w", 3)]
)
def test_everywhere_else_they_are_classes_of_intensity(organ, contrast, classes):
    found = segment(volume_of(head()[0], organ, contrast), TissueSettings(classes=classes))
    assert not found.anatomical and [kind.name for kind in found.classes] == [f"intensity class {k + 1}" for k in range(classes)]
    assert found.report()["kind"] == "intensity classes" and len({kind.colour for kind in found.classes}) == classes


def test_volumes_and_typical_intensities_are_those_of_the_labels():
    made = phantom(bias=0)
    found = segment(volume_of(made.image, "head", "T1w", made.spacing), mask=made.labels > 0)
    for kind, level in zip(found.classes, (60, 85, 115), strict=True):
        assert kind.millilitres == pytest.approx((found.labels == kind.value).sum() * 3 / 1000)
        assert kind.mean == pytest.approx(level, rel=0.02)
    assert found.mask == "given" and found.anatomical


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_may_lie_along_any_axis(axis):
    made = phantom(shape=(6, 60, 64))
    plain = segment(volume_of(made.image, spacing=made.spacing), mask=made.labels > 0)
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 3.0
    turned, inside = (np.moveaxis(array, 0, axis) for array in (made.image, made.labels > 0))
    found = segment(volume_of(turned, spacing=tuple(spacing)), mask=inside)
    assert np.array_equal(np.moveaxis(found.labels, axis, 0), plain.labels)
    assert np.array_equal(np.moveaxis(found.posteriors, axis + 1, 1), plain.posteriors)


def test_a_wish_to_stop_is_heard():
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        segment(volume_of(head()[0]), should_stop=lambda: next(asked))


def test_a_mask_of_another_shape_is_refused():
    image, brain = head()
    with pytest.raises(InputError, match="shape"):
        segment(volume_of(image), mask=brain[1:])


def test_the_sample_heads_mask_is_its_brain(sample_head):
    mask, kind = make_mask(sample_head)
    millilitres = mask.sum() * np.prod(sample_head.spacing) / 1000
    assert kind == "brain" and 400 < millilitres < 1700
    bright_fat = sample_head.voxels > 0.9 * np.percentile(sample_head.voxels, 99.5)
    assert mask[bright_fat].mean() < 0.1


def test_an_unseen_contrast_has_no_tissue_names(sample_head):
    facts = sample_head.acquisition
    other = replace(sample_head, acquisition=replace(facts, contrast=replace(facts.contrast, value="PDw")))
    assert not segment(other, TissueSettings(bias_rounds=0)).anatomical


@pytest.fixture(scope="module")
def sample_head() -> Volume:
    return io.read(SAMPLE / "head_T1w_clean.nii.gz")


def test_nothing_is_labelled_or_simulated_where_nothing_was_measured() -> None:
    image, brain = head()
    mask = np.zeros(image.shape, bool)
    mask[:, :, 60:] = True
    image[mask] = 0
    given = replace(volume_of(image), unmeasured=Unmeasured(mask, np.full(mask.sum(), np.nan, np.float32)))
    for where in (None, brain):
        labels = segment(given, TissueSettings(bias_rounds=0), where).labels
        assert labels[~mask].any() and not labels[mask].any()
    noisy = simulate_volume(given, Simulation(level=0, sigma=0.05))
    assert not noisy.voxels[mask].any() and noisy.voxels[~mask].all() and np.isnan(noisy.in_file()[mask]).all()
