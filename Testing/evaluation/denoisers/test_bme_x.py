"""BME-X: shapes, the tissues' guidance, learning, the way to disk and back, and what it refuses."""

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from MRIDenoiseLib import io
from MRIDenoiseLib.data import samples
from MRIDenoiseLib.data.manifest import ManifestRow, clean_volume
from MRIDenoiseLib.data.samples import PairSampler
from MRIDenoiseLib.errors import BundleError, InputError, OutputError, SettingsError
from MRIDenoiseLib.evaluation.denoisers import bme_x
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import TISSUES, BmeX, load, save
from MRIDenoiseLib.evaluation.denoisers.bme_x.training import BmeXObjective, LabelledVolume, TissueBatch, TissuePairSampler, tissue_labels
from MRIDenoiseLib.inference import Settings
from MRIDenoiseLib.segmentation import segment
from MRIDenoiseLib.simulation.augment import random_crop
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume

ROW = ManifestRow("volumes/head_T1w_s1.nii.gz", "made here", "none", "head", "T1w", "Siemens", "s1")
HEAD = Acquisition(organ=AcquisitionField("head", "user", "high"), contrast=AcquisitionField("T1w", "user", "high"))


def small(seed=0) -> BmeX:
    """A network whose every part says something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BmeX(3, 8, 8)
        with torch.no_grad():
            network.enhancer.head[2].weight.normal_(0, 0.05)
    return network.eval()


@pytest.fixture(scope="module")
def brain() -> Volume:
    """Ten thick slices of a ball: fluid in the middle, white and grey matter around it, a dark gap, and a bright rim of scalp."""
    z, y, x = np.mgrid[0:10, 0:96, 0:96]
    radius = np.sqrt(((z - 4.5) * 4) ** 2 + (y - 48) ** 2 + (x - 48) ** 2)
    middle = np.hypot(y - 48, x - 48) < 8
    image = np.select([middle, radius < 23, radius < 33, radius < 37, radius < 42], [180.0, 800.0, 500.0, 30.0, 950.0], 0.0)
    grain = np.random.default_rng(0).normal(0, 12, image.shape)
    return Volume(np.abs(image + grain).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]), acquisition=HEAD)


@pytest.fixture(scope="module")
def labelled(brain) -> LabelledVolume:
    return LabelledVolume(clean_volume(brain, ROW), tissue_labels(segment(brain), brain.slice_axis))


@pytest.mark.parametrize("shape", [(64, 64), (41, 50), (9, 8)])
def test_images_of_any_size_come_back_in_that_size_with_four_tissues(shape):
    measured = torch.rand(2, 3, *shape) * 2 - 1
    with torch.no_grad():
        image, scores = small()(measured, torch.full((2,), 0.2))
    assert image.shape == (2, 1, *shape) and scores.shape == (2, 4, *shape)


def test_the_layers_are_as_many_as_published_and_the_skips_a_quarter_as_wide():
    """Published: two U-Nets, each with 33 convolutions and 3 deconvolutions and with skips of 64, 128 and 128 channels."""
    network = BmeX()
    for part in (network.classifier, network.enhancer):
        modules = list(part.modules())
        assert sum(isinstance(module, torch.nn.Conv2d) for module in modules) == 33
        assert sum(isinstance(module, torch.nn.ConvTranspose2d) for module in modules) == 3
        assert [skip[2].out_channels for skip in (part.first_skip, part.second_skip, part.third_skip)] == [16, 32, 32]
    assert network.classifier.head[2].out_channels == len(TISSUES)


def test_before_it_learns_a_slice_comes_back_as_it_was():
    measured = torch.rand(1, 3, 40, 40) * 2 - 1
    with torch.no_grad():
        image, _ = BmeX(3, 8, 8).eval()(measured, torch.full((1,), 0.2))
    assert torch.equal(image, measured[:, 1:2])


def test_other_tissues_make_another_image():
    network = small()
    measured = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        tissues = torch.rand(1, 4, 32, 32).softmax(dim=1) ** 3
        tissues /= tissues.sum(dim=1, keepdim=True)
        level = torch.full((1,), 0.2)
        image = network.enhance(measured, tissues, level)
        shuffled = network.enhance(measured, tissues[:, [1, 2, 3, 0]], level)
        own, scores = network(measured, level)
        assert torch.allclose(own, network.enhance(measured, scores.softmax(dim=1), level))
    assert (image - shuffled).abs().mean() > 1e-3 * (image - measured[:, 1:2]).abs().mean()


def test_the_enhancer_teaches_the_classifier():
    network = small().train()
    image, _ = network(torch.rand(2, 3, 32, 32), torch.full((2,), 0.2))
    image.square().mean().backward()
    assert network.classifier.stem.weight.grad.abs().sum() > 0


def test_labels_are_named_by_tissue_whatever_the_contrast(brain):
    """White matter is the brightest tissue of a T1w brain and the darkest of a T2w one."""
    segmentation = segment(brain)
    labels = tissue_labels(segmentation, brain.slice_axis)
    found = [TISSUES[labels[5, 48, place]] for place in (62, 76, 48, 2)]
    assert found == ["white matter", "grey matter", "cerebrospinal fluid", "background"]
    t2 = replace(HEAD, contrast=AcquisitionField("T2w", "user", "high"))
    labels = tissue_labels(segment(brain.with_acquisition(t2)), brain.slice_axis)
    assert TISSUES[labels[5, 48, 62]] == "cerebrospinal fluid"
    unknown = brain.with_acquisition(replace(HEAD, organ=AcquisitionField("knee", "user", "high")))
    with pytest.raises(SettingsError, match="this is not one"):
        tissue_labels(segment(unknown), brain.slice_axis)


def test_tissues_stay_with_their_slices_through_crop_flip_and_zoom(labelled):
    """Bright voxels of a T1w slice are white matter: where the drawn maps say so, the drawn slice has to be bright."""
    sampler = TissuePairSampler([labelled], 64, 0)
    found = 0
    for index in range(40):
        generator = torch.Generator().manual_seed(index)
        slices, maps = sampler._view(labelled, generator)
        assert slices.shape == (3, 64, 64) and maps.shape == (4, 64, 64)
        assert torch.allclose(maps.sum(dim=0), torch.ones(64, 64), atol=1e-5) and float(maps.min()) >= 0
        white, grey, fluid = (slices[1][maps[TISSUES.index(name)] > 0.9] for name in ("white matter", "grey matter", "cerebrospinal fluid"))
        if min(len(white), len(grey), len(fluid)) > 20:
            found += 1
            assert white.median() > 1.3 * grey.median() > 1.3 * fluid.median()
    assert found > 4


def test_pairs_come_out_of_the_simulation_that_the_bundled_model_learns_from(labelled, monkeypatch):
    acquired = []
    simulate = samples.simulated_slab
    monkeypatch.setattr(samples, "simulated_slab", lambda *given: acquired.append(simulate(*given)) or acquired[-1])
    ours = TissuePairSampler([labelled], 64, 3).batch(5, 3)
    made = [slab for slab in acquired if slab is not None]
    assert len(made) == 3 and ours.tissues.shape == (3, 4, 64, 64)
    assert ours.acceleration.tolist() == pytest.approx([slab.acceleration for slab in made])
    PairSampler([labelled.clean], 64, 3).batch(5, 3)
    assert len([slab for slab in acquired if slab is not None]) == 6


def test_a_volume_that_is_too_noisy_is_learned_from_at_a_coarser_grid(labelled):
    """An even image with noise of its own: twice as coarse (and mirrored at its border) it has much less of it."""
    grain = np.random.default_rng(0).normal(1, 0.1, labelled.clean.slices.shape).astype(np.float32)
    left = []
    for coarsening in (1.0, 2.0):
        volume = LabelledVolume(replace(labelled.clean, slices=grain, coarsening=coarsening), labelled.labels)
        sampler = TissuePairSampler([volume], grain.shape[-1], 0)
        slices, maps = sampler._view(volume, torch.Generator().manual_seed(0))
        assert slices.shape[1:] == maps.shape[1:] == grain.shape[1:]
        left.append(float(slices.std()))
    assert left[0] == pytest.approx(0.1, rel=0.05) and 0.3 < left[1] / left[0] < 0.75


def test_the_command_that_trains_it_runs_and_goes_on(brain, tmp_path, monkeypatch):
    script = import_module("train_bme_x")
    monkeypatch.setattr(script, "BmeX", lambda: BmeX(3, 8, 8))
    lines = ["file,source,licence,organ,contrast,vendor,subject,split,own_noise"]
    for subject in ("s1", script.VALIDATION):
        name = f"volumes/head_T1w_{subject}.nii.gz"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        io.write(brain, tmp_path / name)
        lines.append(f"{name},made here,none,head,T1w,Siemens,{subject},train,0.012")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    for steps in (1, 2):
        script.train(tmp_path, tmp_path / "cache", tmp_path / "bme_x", steps=steps, batch_size=1, overwrite=True)
        training = json.loads((tmp_path / "bme_x" / "card.json").read_text())["training"]
        assert training["steps"] == steps and [row["subject"] for row in training["data"]] == ["s1"]
    with pytest.raises(SettingsError, match="another recipe"):
        script.train(tmp_path, tmp_path / "cache", steps=3, batch_size=1, crop=80)


def test_a_little_training_lowers_both_losses():
    """Two tissues in white noise, the same pair again and again."""
    generator = torch.Generator().manual_seed(0)
    white = (torch.arange(32) // 8 % 2).float().expand(2, 1, 32, 32)
    clean = 0.5 * white
    tissues = torch.cat([1 - white, 0 * white, 0 * white, white], dim=1)
    told = {"noise_level": torch.full((2,), 0.3), "acceleration": torch.full((2,), 2.0), "slice_spacing": torch.full((2,), 4.0)}
    measured = clean + 0.3 * torch.randn(2, 3, 32, 32, generator=generator)
    batch = TissueBatch(measured, clean, torch.ones_like(clean), **told, prompts=["", ""], tissues=tissues)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective = BmeXObjective(BmeX(3, 8, 8))
    before = objective.probe(batch, generator)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    objective.train()
    for _ in range(40):
        optimizer.zero_grad()
        sum(objective(batch, generator).values()).backward()
        optimizer.step()
    after = objective.probe(batch, generator)
    assert before["enhancement"] == pytest.approx(1, abs=0.1)
    assert after["enhancement"] < 0.6 and after["tissues"] < 0.5 * before["tissues"]
    assert objective.bme_x.training


def test_a_probe_leaves_the_running_statistics_alone(labelled):
    objective = BmeXObjective(small().train())
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    objective.probe(TissuePairSampler([labelled], 64, 0).batch(0, 2), torch.Generator())
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


def test_what_is_saved_comes_back_and_says_what_it_is(tmp_path):
    network = small()
    save(network, tmp_path / "bme_x", {"name": "test"})
    loaded = load(tmp_path / "bme_x")
    measured = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        difference = (loaded(measured, torch.ones(1))[0] - network(measured, torch.ones(1))[0]).abs().max()
    assert 0 < difference < 5e-3  # float16
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    card = json.loads((tmp_path / "bme_x" / "card.json").read_text())
    assert card["name"] == "test" and set(card["files"]) == {"config.json", "bme_x.safetensors"}
    with pytest.raises(OutputError, match="exists"):
        save(network, tmp_path / "bme_x", {})


def test_weights_that_are_not_there_are_one_sentence(tmp_path):
    with pytest.raises(BundleError, match="without its weights") as error:
        load(tmp_path / "nowhere")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["config.json", "bme_x.safetensors"])
def test_a_changed_file_is_refused_and_named(tmp_path, name):
    save(small(), tmp_path / "bme_x", {})
    file = tmp_path / "bme_x" / name
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        load(tmp_path / "bme_x")


def test_a_head_is_enhanced_the_same_in_any_batch_and_another_organ_is_refused(small_denoiser, brain):
    network = small()
    told = []
    one, many = (
        small_denoiser(brain, Settings(batch_size=size), lambda *report: told.append(report[0]), method=bme_x.method(network))
        for size in (1, 4)
    )
    assert np.abs(one.volume.voxels - many.volume.voxels).max() < 1e-3 * one.noise_level
    assert np.abs(one.residual.voxels).max() > 0.02 * one.noise_level
    assert one.report["method"] == "bme-x" and max(told) == 1.0
    for organ in (AcquisitionField("knee", "user", "high"), AcquisitionField()):
        with pytest.raises(InputError, match="brain only"):
            bme_x.require_head(brain.with_acquisition(replace(HEAD, organ=organ)))


def test_the_view_for_maps_makes_the_same_choices_as_that_for_slices():
    """A crop of one image and of many takes the same draws; without that, tissues would not lie on their slices."""
    image = torch.rand(3, 90, 80)
    first, second = (random_crop(part, (40, 40), 64, torch.Generator().manual_seed(4)) for part in (image, image[:1]))
    assert torch.equal(first[:1], second)
