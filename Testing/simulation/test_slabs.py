"""Slabs: what is acquired at once, how its noise lies, and the shares in which images are stored in one way or another."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.simulation import slabs
from MRIDenoiseLib.simulation.acquisition_model import AcquisitionModel
from MRIDenoiseLib.simulation.noise import acquire
from MRIDenoiseLib.simulation.scene import Scene
from MRIDenoiseLib.simulation.slabs import WIPED, Slab, random_acquisition, resampled, simulated_slab
from MRIDenoiseLib.volume import Acquisition

SIZE = 64
AIR = 0.02


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(clean: torch.Tensor, count: int, first: int = 0) -> list[Slab]:
    made = (simulated_slab(clean, [1], Acquisition(), 3.0, seeded(first + seed)) for seed in range(count))
    return [slab for slab in made if slab is not None]


def correlation_length(noise: torch.Tensor) -> float:
    """In pixels along the last axis: the sum of the squared autocorrelation. White noise has 1, zero filling by f has f."""
    power = torch.fft.fft(noise, dim=-1).abs().square().flatten(0, -2).mean(0)[1:]
    return float(power.square().mean() / power.mean().square())


@pytest.mark.parametrize(("fills", "expected"), [((1.0, 1.0), (1.0, 1.0)), ((1.0, 1.6), (1.0, 1.6)), ((1.3, 1.0), (1.3, 1.0))])
def test_zero_filling_of_one_direction_makes_grain_in_that_direction_alone(fills, expected):
    model = AcquisitionModel(coils=1, noise_correlation=0.0, sigma=0.02, zero_fill=fills[0], readout_fill=fills[1])
    image, scene = torch.ones(60, SIZE, SIZE), Scene.standard(model)
    noise = acquire(image, model, seeded(), scene=scene) - acquire(image, replace(model, sigma=0.0), seeded(), scene=scene)
    found = correlation_length(noise.transpose(1, 2)), correlation_length(noise)
    assert found == pytest.approx(expected, abs=0.1)
    assert float(noise.std()) == pytest.approx(0.02, rel=0.03), "a pixel keeps its strength"


def test_half_of_all_noise_and_more_is_coarser_than_a_pixel():
    lengths = []
    for slab in drawn(torch.full((3, SIZE, SIZE), 0.6), 160):
        noise = slab.noisy - slab.clean
        lengths.append(max(correlation_length(noise), correlation_length(noise.transpose(1, 2))))
    coarse = [length for length in lengths if length > 1.15]
    assert len(coarse) / len(lengths) >= 0.5
    assert sum(length > 1.4 for length in lengths) / len(lengths) > 0.25, "not just barely"
    assert sum(length < 1.1 for length in lengths) / len(lengths) > 0.1, "pixel-sized grain is seen as well"


def test_interpolation_magnifies_the_middle_and_makes_grain():
    generator = seeded()
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    disc = (torch.hypot(x, y) < 0.4).float()
    sizes = []
    for _ in range(30):
        finer = resampled(disc.expand(2, 3, -1, -1), generator)
        assert finer.shape == (2, 3, SIZE, SIZE) and finer.min() >= 0 and torch.equal(finer[0], finer[1])
        sizes.append(float(finer[0, 0].mean() / disc.mean()))
    assert min(sizes) > 1.05 and max(sizes) > 2


def test_a_fifth_of_the_images_has_exact_zeros_in_noisy_and_clean_alike():
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    clean = torch.from_numpy(np.where(np.hypot(x, y) < 0.7, 0.6, AIR).astype(np.float32)).expand(3, -1, -1)
    wiped = through_tissue = 0
    made = drawn(clean, 200)
    for slab in made:
        zeros = slab.noisy == 0
        if float(zeros.float().mean()) > 0.05 and bool((slab.clean[zeros] == 0).all()):
            wiped += 1
            through_tissue += bool(zeros[1][clean[1] > 0.5].float().mean() > 0.1)
    assert wiped / len(made) == pytest.approx(WIPED, abs=0.08)
    assert 0 < through_tissue < wiped, "outlines of what is bright, and others"


def test_a_corrected_coil_leaves_the_anatomy_and_makes_the_noise_vary(monkeypatch):
    """Where reception was weak the noise is strong, in proportion, and what the slices show is the same."""
    y, _ = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    monkeypatch.setattr(slabs, "random_reception", lambda size, generator: torch.exp(y))
    monkeypatch.setattr(slabs, "random_acquisition", lambda generator: 0.01)
    for name in ("NEW_CONTRAST", "LESIONS", "RESAMPLED", "WIPED"):
        monkeypatch.setattr(slabs, name, 0.0)
    monkeypatch.setattr(slabs, "RECEPTION", 1.0)
    clean = torch.full((40, SIZE, SIZE), 0.6)
    slab = simulated_slab(clean, [1], Acquisition(), 3.0, seeded())
    assert slab is not None and torch.allclose(slab.clean, clean, atol=1e-5)
    strength = (slab.noisy - slab.clean).std(dim=(0, 2))
    assert torch.allclose(strength / strength.mean(), torch.exp(y[:, 0]) / torch.exp(y[:, 0]).mean(), rtol=0.12)


def test_an_acquisition_without_tissue_in_a_target_is_none():
    clean = torch.zeros(5, SIZE, SIZE)
    clean[:3] = 0.6
    made = [simulated_slab(clean, [1, 2, 3], Acquisition(), 3.0, seeded(seed)) for seed in range(5)]
    assert made == [None] * 5


def test_the_noise_level_is_that_of_the_noise_in_the_body():
    clean = torch.zeros(3, SIZE, SIZE)
    clean[:, 16:48, 16:48] = 0.6
    noise = 0.05 * torch.randn(clean.shape, generator=seeded())
    slab = Slab(clean + noise + 0.3 * (clean == 0), clean, Acquisition(), 2.0, 3.0)
    assert slab.noise_level(1) == pytest.approx(0.05, rel=0.05)
    assert torch.equal(slab.around(0)[0], slab.around(0)[2]) and torch.equal(slab.around(2)[3:], slab.noisy[[2, 2]])


def test_acquisitions_are_varied_widely():
    generator = seeded()
    drawn = [random_acquisition(generator) for _ in range(300)]
    sigmas = [a for a in drawn if isinstance(a, float)]
    machines = [a for a in drawn if not isinstance(a, float)]
    assert 0.05 < len(sigmas) / 300 < 0.2
    assert max(sigmas) / min(sigmas) > 8
    assert {1.0, 1.5, 2.0, 3.0} <= {m.reduction for m in machines} and len({m.apodisation for m in machines}) >= 5
    filled = [m.fills for m in machines if max(m.fills) > 1]
    assert any(rows == 1 for rows, _ in filled) and any(columns == 1 for _, columns in filled) and any(a != b > 1 < a for a, b in filled)
    assert replace(machines[0], readout_fill=1.7).fills == (machines[0].zero_fill, 1.7)
