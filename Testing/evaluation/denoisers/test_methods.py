"""Every method behind one interface: it sees what a user has, says where it comes from, and gives the slices asked for."""

import inspect
from dataclasses import fields, replace
from importlib.util import find_spec

import numpy as np
import pytest

from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.evaluation.blur import Blur
from MRIDenoiseLib.evaluation.denoisers import CONTENDERS, GROUPS, Task
from MRIDenoiseLib.evaluation.denoisers.filters import Diffusion
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.simulation.presets import with_noise
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

PACKAGE = {"nlm": "dipy", "ants": "ants", "bm4d": "bm4d", "bm4d-told": "bm4d"}
RESTORES_NOTHING = {"bme-x"}
"""Refuses what is no head; its own tests show what it does."""


@pytest.fixture(scope="session")
def scene(head, tiny_bundle):
    """The phantom's clean slices, and what a method is told of it."""
    clean = head.with_voxels(head.voxels / np.percentile(head.voxels[head.voxels > 0], 99.5))
    noisy = with_noise(clean, "R")
    told = Acquisition(organ=AcquisitionField("knee", "test", "high"), contrast=AcquisitionField("T2w", "test", "high"))
    task = Task(noisy.with_voxels(noisy.voxels * 700), range(10, 12), tiny_bundle, steps=2, other=told, true_noise=700 * 0.05)
    return task, 700 * clean.stack[10:12]


def test_a_method_can_know_nothing_of_the_reference():
    known = {one.name for one in fields(Task)}
    assert known == {"volume", "wanted", "bundle", "steps", "seed", "other", "true_noise", "observe"}
    for name, method in CONTENDERS.items():
        reads = "true_noise" in inspect.getsource(inspect.getmodule(method.run)) and bool(method.told)
        assert bool(method.told) == (name == "bm4d-told") == reads


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_method_says_where_it_comes_from_and_tries_at_most_eight_settings(name):
    method = CONTENDERS[name]
    assert method.group in GROUPS and len(method.source) > 10 and 1 <= len(method.settings) <= 8
    assert all(list(method.settings).count(setting) == 1 for setting in method.settings)
    documentation = inspect.getmodule(method.run).__doc__
    assert documentation and len(documentation) > 20


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name not in RESTORES_NOTHING])
def test_every_method_gives_the_slices_asked_for_in_the_volumes_units(scene, name):
    if name in PACKAGE and find_spec(PACKAGE[name]) is None:
        pytest.skip(f"{PACKAGE[name]} is not installed")
    task, clean = scene
    method = CONTENDERS[name]
    image = method.run(task, method.settings[0])
    assert image.shape == clean.shape and np.isfinite(image).all()
    assert 0.5 < image[clean > 200].mean() / clean[clean > 200].mean() < 1.5
    again = method.run(task, method.settings[0])
    # The threads of ANTs add up in the order in which they end.
    assert np.abs(again - image).max() <= (20 if name == "ants" else 0), "the same seed gives the same image"


@pytest.mark.parametrize("name", ["blur", "gradient", "curvature", "nlm", "ants", "bm4d", "bm4d-told"])
def test_the_tools_of_users_take_noise_out(scene, name):
    if name in PACKAGE and find_spec(PACKAGE[name]) is None:
        pytest.skip(f"{PACKAGE[name]} is not installed")
    task, clean = scene
    noisy = CONTENDERS["noisy"].run(task, {})

    def quality(image):
        return psnr(image, clean, data_range=700.0, mask=clean > 60)

    method = CONTENDERS[name]
    # The tiny model measures a noise of its own; a method that is told it must find a fitting strength among its settings.
    wanted = quality(noisy) + (1.0 if not method.measures_noise else 0.1)
    assert any(quality(method.run(task, setting)) > wanted for setting in method.settings)


def test_filters_see_neighbours_and_change_no_far_air(scene):
    task, _ = scene
    assert task.seen == range(7, 15) and len(task.image) == 8
    blurred = CONTENDERS["blur"].run(task, {"in_plane": 1.0, "across": 0.0})
    whole = task.slices[10:12]
    expected = Blur(1.0, 0.0)(whole)
    rows, columns = task.frame
    inner = (slice(None), slice(rows.start + 4, rows.stop - 4), slice(columns.start + 4, columns.stop - 4))
    assert np.allclose(blurred[inner], expected[inner], atol=1e-2)
    outside = np.ones(whole.shape, bool)
    outside[(slice(None), rows, columns)] = False
    assert outside.any() and np.array_equal(blurred[outside], whole[outside])


def test_diffusion_goes_on_where_it_was(head):
    voxels = np.ascontiguousarray(head.stack[:6]) / np.float32(800)
    settings = {"three_dimensional": True, "conductance": 1.0}
    whole = Diffusion(voxels, (4.0, 1.0, 1.0), "curvature", **settings).go_on(4)
    parts = Diffusion(voxels, (4.0, 1.0, 1.0), "curvature", **settings)
    parts.go_on(1)
    assert np.allclose(parts.go_on(3), whole, atol=1e-5)


def test_the_text_can_be_another_images_or_taken_away(scene, monkeypatch):
    told = []
    encode = Bundle.encode

    def listening(self, texts):
        told.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(Bundle, "encode", listening)
    task, _ = scene
    head = task.volume.with_acquisition(Acquisition(organ=AcquisitionField("head", "test", "high")))
    images = {name: CONTENDERS[name].run(replace(task, volume=head), {}) for name in ("tuned", "shuffled-text", "without-text")}
    assert [("head" in text, "knee" in text) for text in told] == [(True, False), (False, True), (True, False)]
    assert not np.array_equal(images["without-text"], images["tuned"]) and not np.array_equal(images["shuffled-text"], images["tuned"])


def test_no_sampler_takes_more_steps_than_it_may(scene):
    task, _ = scene
    steps = []
    watched = replace(task, wanted=range(10, 11), observe=lambda state, estimate: steps.append((state.shape, estimate.shape)))
    for name in ("ddim", "ddpm", "red-diff", "dps", "blind-dps", "paper", "tuned", "without-text"):
        steps.clear()
        CONTENDERS[name].run(watched, CONTENDERS[name].settings[0])
        assert len(steps) == 2, name
        assert {shape for pair in steps for shape in pair} == {task.slices.shape[1:]}


def test_the_two_that_sharpen_are_the_default_with_the_knob_turned_and_nobody_tunes_them(scene):
    task, _ = scene
    half, full = (CONTENDERS[f"sharpened-{name}"] for name in ("half", "full"))
    assert not half.tunable and not full.tunable and half.networks == full.networks == ("flow",)

    def told(sharpness):
        wanted = Settings(method="sharpened", sharpness=sharpness, slices=(10, 12))
        volume = Denoiser(task.model)(task.volume, wanted).volume
        return volume.stack[10:12]

    for method, sharpness in ((half, 0.5), (full, 1.0)):
        assert np.array_equal(method.run(task, {}), told(sharpness))
    assert not np.array_equal(told(0.5), told(1.0))


def test_bme_x_refuses_what_is_no_head(scene):
    task, _ = scene
    knee = task.volume.with_acquisition(Acquisition(organ=AcquisitionField("knee", "test", "high")))
    with pytest.raises(MRIDenoiseError, match="BME-X knows the tissues of the brain only"):
        CONTENDERS["bme-x"].run(replace(task, volume=knee), {})
