"""Simulated machines: every option turns up as often as is said, a seed replays them, and impossible ones are refused."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch

from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel, Combination, PostFilter, Reconstruction
from MRIDenoiseLib.simulation.kspace import Apodisation, PartialFourier
from MRIDenoiseLib.simulation.noise import acquire, acquire_pair


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_partner_scans_longer_by_the_acceleration_and_by_default_has_no_noise():
    fast = AcquisitionModel(coils=8, sigma=0.04, reduction=2.0, nex=1.0)
    full = fast.partner(3.0)
    assert full.reduction == 1 and full.relative_time / fast.relative_time == pytest.approx(3.0)
    assert fast.image_sigma / full.image_sigma == pytest.approx(math.sqrt(3.0))
    flat = torch.ones(2, 32, 32)
    assert float((acquire(flat, fast.partner(), generator()) - flat).abs().max()) < 1e-5


def test_random_models_follow_the_stated_probabilities_and_ranges():
    g = generator(5)
    models = [AcquisitionModel.sample(g) for _ in range(4000)]

    def share(of: list, true) -> float:
        return sum(map(true, of)) / len(of)

    averaged = [m for m in models if m.nex > 1]
    undersampled = [m for m in models if m.reduction > 1]
    partial = [m for m in models if m.partial_fourier != "none"]
    assert share(models, lambda m: m.partial_fourier != "none") == pytest.approx(0.4, abs=0.03)
    assert share(models, lambda m: m.corner_cut) == pytest.approx(0.3, abs=0.03)
    assert share(models, lambda m: m.post_filter != "none") == pytest.approx(0.5, abs=0.03)
    assert share(averaged, lambda m: m.magnitude_averaging) == pytest.approx(0.2, abs=0.04)
    assert share(undersampled, lambda m: m.reconstruction == "grappa") == pytest.approx(0.25, abs=0.03)
    assert share(models, lambda m: m.rounding_bits == 12) == pytest.approx(0.7, abs=0.03)
    assert not any(m.magnitude_averaging for m in models if m.nex == 1)
    assert not any(m.reconstruction == "grappa" for m in models if m.reduction == 1)
    assert {m.acs_lines for m in models} == {24}
    for of, name, low, high in (
        (models, "noise_correlation", 0, 0.5),
        (models, "object_phase", 0, 2 * math.pi),
        (models, "image_sigma", 0.005, 0.15),
        (models, "zero_fill", 1, 2),
        (models, "post_filter_strength", 0.2, 0.8),
        (models, "post_filter_sigma", 0.7, 1.5),
        (partial, "partial_fourier_fraction", 0.625, 0.875),
    ):
        values = [getattr(m, name) for m in of]
        margin = 0.02 * (high - low)
        assert low - 1e-9 <= min(values) < low + margin and high - margin < max(values) <= high + 1e-9, name


def test_random_models_know_every_option():
    g = generator(6)
    models = [AcquisitionModel.sample(g) for _ in range(2000)]
    assert {m.coils for m in models} == {1, 4, 8, 12, 16, 20, 32}
    assert {m.reduction for m in models} == {1.0, 1.5, 2.0, 3.0}
    for name, options in (
        ("reconstruction", Reconstruction),
        ("combine", Combination),
        ("partial_fourier", PartialFourier),
        ("apodisation", Apodisation),
        ("post_filter", PostFilter),
    ):
        assert {getattr(m, name) for m in models} == set(get_args(options)), name
    assert {m.combine for m in models if m.reconstruction == "grappa"} == {"adaptive", "rss"}


def test_random_models_give_images_of_the_object():
    g = generator(5)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    image = torch.exp(-3 * (x**2 + y**2))[None]
    likeness = []
    for _ in range(120):
        model = AcquisitionModel.sample(g)
        noisy, clean = acquire_pair(image, model, model.partner(), g, g)
        assert noisy.shape == clean.shape == image.shape
        assert torch.isfinite(noisy).all() and float(noisy.min()) >= 0
        assert float((clean - image).abs().mean()) < 0.05
        likeness.append(torch.corrcoef(torch.stack([noisy.flatten(), image.flatten()]))[0, 1])
    assert float(torch.stack(likeness).median()) > 0.95


def test_one_seed_replays_model_scene_and_noise():
    image = torch.rand(1, 24, 24)
    first, second = (AcquisitionModel.sample(generator(7)) for _ in range(2))
    assert first == second
    assert torch.equal(acquire(image, first, generator(8)), acquire(image, second, generator(8)))
    assert not torch.equal(acquire(image, first, generator(8)), acquire(image, first, generator(9)))


def test_impossible_acquisitions_are_refused():
    for wrong in (
        {"coils": 1, "reduction": 2.0},
        {"combine": "rss", "reduction": 2.0},
        {"reconstruction": "grappa", "reduction": 1.0},
        {"reconstruction": "grappa", "reduction": 3.0, "acs_lines": 8},
        {"reduction": 0.5},
        {"nex": 0.0},
        {"zero_fill": 0.5},
    ):
        with pytest.raises(ValueError):
            AcquisitionModel(**wrong)
    model = AcquisitionModel(coils=4)
    for name, value in (("coils", 8), ("phase_axis", 1), ("object_phase", 0.0), ("unwarp", 1.0)):
        with pytest.raises(ValueError, match=f"same {name.replace('_', ' ')}"):
            acquire_pair(torch.rand(1, 8, 8), model, replace(model, **{name: value}), generator(), generator())
