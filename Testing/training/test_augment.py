"""Augmentations keep what they promise: sizes, brightness, dark air, and slices that stay aligned."""

import pytest
import torch

from MRIDenoiseLib.training.augment import crop_kspace, random_contrast, random_crop, random_flip, random_lesions


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_cropping_k_space_keeps_a_constant_and_lowers_white_noise():
    assert torch.allclose(crop_kspace(torch.full((2, 96, 96), 0.7), 64), torch.full((2, 64, 64), 0.7), atol=1e-5)
    noise = 0.1 * torch.randn(4, 96, 96, generator=seeded())
    assert float((crop_kspace(1 + noise, 64) - 1).std()) == pytest.approx(0.1 * 64 / 96, rel=0.1)


@pytest.mark.parametrize("shape", [(3, 200, 180), (3, 128, 128), (3, 100, 250), (3, 38, 60)])
@pytest.mark.parametrize("centre", [(0, 0), (30, 50), (37, 59)])
def test_a_crop_always_has_the_size_asked_for(shape, centre):
    image = torch.rand(shape, generator=seeded())
    for seed in range(5):
        assert random_crop(image, centre, 128, seeded(seed)).shape == (3, 128, 128)


def test_flips_keep_the_centre_slice_in_the_centre_and_every_value():
    image = torch.rand(3, 16, 16, generator=seeded())
    seen = set()
    for seed in range(40):
        flipped = random_flip(image, seeded(seed))
        assert torch.equal(flipped[1].flatten().sort().values, image[1].flatten().sort().values)
        seen.add(tuple(flipped[1].flatten().tolist()))
    assert len(seen) == 8, "four mirrorings, each with and without transposition"


def test_a_new_contrast_keeps_air_dark_and_changes_tissue():
    image = torch.zeros(3, 32, 32)
    image[:, 8:24, 8:24] = 0.6
    levels = []
    for seed in range(30):
        changed = random_contrast(image, seeded(seed))
        assert changed.isfinite().all() and changed[:, :8].max() < 1e-6
        levels.append(float(changed[1, 16, 16]))
    assert max(levels) - min(levels) > 0.2


def test_now_and_then_a_view_is_as_coarse_as_a_perfusion_image():
    """A single bright square of 60 pixels in 200: its side tells how many times coarser a view became."""
    image = torch.zeros(3, 200, 200)
    image[:, 70:130, 70:130] = 1.0
    sides = [float((random_crop(image, (100, 100), 64, seeded(seed))[1, 32 - 12 : 32 + 12] > 0.5).sum(dim=1).max()) for seed in range(60)]
    coarse = [side for side in sides if side < 60 / 2]
    assert 0.05 < len(coarse) / len(sides) < 0.4


def test_lesions_are_small_lie_in_the_body_and_are_all_in_the_centre_slice():
    image = torch.zeros(3, 96, 96)
    image[:, 16:80, 16:80] = 0.6
    strongest = []
    for seed in range(40):
        change = (random_lesions(image, seeded(seed)) - image).abs()
        assert change.isfinite().all() and change[:, :16].max() == 0, "air stays air"
        # Lesions of opposite sign may meet and cancel in one slice, so their sum over the slice is compared.
        assert change[1].sum() >= 0.5 * max(change[0].sum(), change[2].sum())
        assert float((change[1, 16:80, 16:80] > 0.02).float().mean()) < 0.35
        strongest.append(float(change[1].max()))
    assert max(strongest) > 0.3 and sum(s > 0.03 for s in strongest) > 30
