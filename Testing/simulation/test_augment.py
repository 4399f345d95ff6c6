"""Augmentations keep what they promise: sizes, brightness, dark air, and slices that stay aligned."""

import pytest
import torch

from MRIDenoiseLib.simulation.augment import crop_kspace, random_contrast, random_crop, random_flip, random_lesions, random_reception


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


def test_a_view_is_at_least_as_coarse_as_asked_even_where_it_reaches_over_the_image():
    """A single bright square of 60 pixels in 100."""
    image = torch.zeros(3, 100, 100)
    image[:, 20:80, 20:80] = 1.0
    for seed in range(20):
        view = random_crop(image, (50, 50), 96, seeded(seed), least=1.5)
        edges = (view[1, 24:32].mean(dim=0) > 0.5).int().diff().nonzero().flatten()
        assert view.shape == (3, 96, 96) and int(edges[1] - edges[0]) <= 60 / 1.5 + 1


def test_lesions_are_small_lie_in_the_body_and_are_spread_over_the_slices():
    image = torch.zeros(7, 96, 96)
    image[:, 16:80, 16:80] = 0.6
    strongest, touched = [], torch.zeros(7)
    for seed in range(40):
        change = (random_lesions(image, seeded(seed)) - image).abs()
        assert change.isfinite().all() and change[:, :16].max() == 0, "air stays air"
        assert float((change[:, 16:80, 16:80] > 0.02).float().mean()) < 0.35
        touched += (change.amax(dim=(1, 2)) > 0.03).float()
        strongest.append(float(change.max()))
    assert max(strongest) > 0.3 and sum(s > 0.03 for s in strongest) > 30
    assert touched.min() > 12, "each slice holds one in many of the views"


def test_a_lesion_fades_into_neighbouring_slices_or_ends_with_its_own():
    """Seen over many single-slice stacks of three: some changes are in one slice alone, some in all of them."""
    image = torch.full((5, 64, 64), 0.6)
    reached = []
    for seed in range(60):
        changed = (random_lesions(image, seeded(seed)) - image).abs() > 0.02
        reached += changed.flatten(1).sum(dim=0).unique().tolist()
    assert {1, 2, 3} <= set(reached) and 5 not in reached[:1]


def test_a_reception_profile_is_smooth_and_keeps_the_mean_strength():
    ratios = []
    for seed in range(40):
        profile = random_reception(64, seeded(seed))
        assert profile.min() > 0 and float(profile.square().mean()) == pytest.approx(1, rel=1e-4)
        assert float((profile.diff(dim=1).abs() / profile[:, 1:]).max()) < 0.15
        ratios.append(float(profile.max() / profile.min()))
    assert max(ratios) < 10.1 and max(ratios) > 4 and min(ratios) < 1.5
