"""What was not measured stays as it was, and the tissue beside it is denoised as if nothing were missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.inference.analysis import analyse
from MRIDenoiseLib.inference.unmeasured import filled_stack
from MRIDenoiseLib.volume import LEAST_PLANE, Unmeasured, Volume


def gaps(volume: Volume, kind: str) -> np.ndarray:
    mask = np.zeros(volume.voxels.shape, bool)
    if kind == "strips":
        mask[:, :14], mask[:, :, :17] = True, True
    elif kind == "circle":
        mask[:] = np.hypot(*np.mgrid[-48:48, -56:56]) > 50
    elif kind == "hole":
        mask[:, 36:42, 44:52] = True
    elif kind == "pinholes":
        mask[:, ::7, ::9] = True
    elif kind == "background":
        mask[:] = volume.voxels < 200
    elif kind == "slice":
        mask[2] = True
    return mask


def with_gaps(volume: Volume, kind: str) -> Volume:
    mask = gaps(volume, kind)
    values = np.where(np.arange(mask.sum()) % 2, np.nan, -2000).astype(np.float32)
    return replace(volume, voxels=np.where(mask, np.float32(0), volume.voxels), unmeasured=Unmeasured(mask, values))


KINDS = ["strips", "circle", "hole", "pinholes", "background", "slice"]


@pytest.mark.parametrize("kind", KINDS)
def test_gaps_come_back_as_they_were_and_nothing_was_taken_there(models, volume, kind):
    given = with_gaps(volume, kind)
    result = Denoiser(models, "cpu")(given, Settings(method="regression"))
    mask = given.unmeasured.mask
    assert np.array_equal(result.volume.in_file()[mask], given.unmeasured.values, equal_nan=True)
    assert not result.residual.voxels[mask].any()
    assert np.isfinite(result.volume.voxels).all() and (result.volume.voxels != given.voxels)[~mask].any()


@pytest.mark.parametrize("kind", ["strips", "circle", "hole", "pinholes", "slice"])
def test_brightness_and_noise_are_measured_as_without_gaps(volume, kind):
    given = with_gaps(volume, kind)
    found, whole = analyse(*_filled(given)), analyse(volume.stack, None)
    assert found.scale == pytest.approx(whole.scale, rel=0.05)
    assert found.noise_level == pytest.approx(whole.noise_level, rel=0.15)


def _filled(volume: Volume):
    stack, mask = filled_stack(volume)
    return stack, None, mask


def test_a_value_in_a_gap_changes_nothing(models, volume):
    """What a file happens to hold there is no part of the image."""
    given = with_gaps(volume, "strips")
    other = replace(given, unmeasured=Unmeasured(given.unmeasured.mask, given.unmeasured.values * 0 + 7))
    one, two = (Denoiser(models, "cpu")(each, Settings(method="regression")).volume.voxels for each in (given, other))
    assert np.array_equal(one, two)


SPACINGS = some.sampled_from([0.5, 1.0, 4.4])


@given(shape=some.tuples(*[some.sampled_from([1, 2, 3, 5, 8, 17, 40])] * 3), spacing=some.tuples(SPACINGS, SPACINGS, SPACINGS))
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_is_denoised_across_planes_that_show_something_or_refused_in_a_sentence(identity_models, shape, spacing):
    generator = np.random.default_rng(0)
    parts = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else [0.0] for n in shape), indexing="ij")
    body = np.where(sum(part**2 for part in parts) < 0.7, 700.0, 0.0)
    voxels = np.hypot(body + generator.normal(0, 30, shape), generator.normal(0, 30, shape)).astype(np.float32)
    made = Volume(voxels, np.diag([*spacing[::-1], 1.0]))
    planes = made.stack.shape[1:]
    assert min(planes) >= min(LEAST_PLANE, *(sorted(shape)[1:]))
    try:
        result = Denoiser(identity_models, "cpu")(made, Settings(method="regression"))
    except InputError as error:
        assert min(planes) < 8 and "\n" not in str(error)
    else:
        assert result.volume.voxels.shape == shape and np.isfinite(result.volume.voxels).all()
