"""The losses between images: their values, and gradients that exist whatever the images are."""

import pytest
import torch
from pytorch_msssim import ms_ssim, ssim

from MRIDenoiseLib.training.multi_cycle import absolute_error, structural_dissimilarity


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 176), torch.linspace(-1, 1, 176), indexing="ij")
    waves = [torch.sin(9 * k * x) * torch.cos(7 * y + k) + 0.3 * torch.sin(60 * x * y) for k in (1, 2)]
    return 0.6 * torch.stack(waves).unsqueeze(1)


def noise(image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


def test_the_absolute_error_counts_each_image_in_its_own_unit():
    estimate = torch.tensor([0.3, 0.5]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    error = absolute_error(estimate, torch.full((2, 1, 4, 4), 0.1), torch.tensor([0.2, 0.1]).view(2, 1, 1, 1))
    assert float(error) == pytest.approx((0.2 / 0.2 + 0.4 / 0.1) / 2)


def test_ms_ssim_of_images_in_the_network_range_is_the_published_one(image):
    other = (image + 0.2 * noise(image)).clamp(-1, 1)
    published = 1 - ms_ssim((image + 1) / 2, (other + 1) / 2, data_range=1.0)
    assert 0.02 < float(published) < 0.5
    assert float(structural_dissimilarity(image, other)) == pytest.approx(float(published), abs=1e-5)


def test_equal_images_lack_nothing_and_more_noise_lacks_more(image):
    losses = [float(structural_dissimilarity(image + sigma * noise(image), image)) for sigma in (0, 0.05, 0.2, 0.8)]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert losses == sorted(losses) and losses[-1] > 10 * losses[1]


def gradient(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    estimate = estimate.detach().requires_grad_()
    structural_dissimilarity(estimate, target).backward()
    return estimate.grad


@pytest.mark.parametrize("factor", [-1.0, 0.0], ids=["negated", "constant"])
def test_an_image_unlike_its_target_in_every_way_has_a_finite_loss_and_gradient(image, factor):
    assert 0.5 < float(structural_dissimilarity(factor * image, image)) <= 1
    assert torch.isfinite(gradient(factor * image, image)).all()


def checks() -> torch.Tensor:
    """A detail of one pixel, which only the finest scale sees."""
    rows, columns = torch.meshgrid(torch.arange(176), torch.arange(176), indexing="ij")
    return 0.4 * (1 - 2 * ((rows + columns) % 2)).float()


def test_where_the_finest_scale_goes_through_zero_the_gradient_does_not_explode(image):
    target = image[:1] + checks()

    def finest(share: float) -> float:
        return float(ssim((image[:1] + share * checks() + 1) / 2, (target + 1) / 2, data_range=1.0, K=(1e6, 0.03)))

    low, high = -1.0, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (low, middle) if finest(middle) > 0 else (middle, high)
    assert finest(low) <= 0 < finest(high) < 1e-6
    # Without a floor under the term the gradient at ``high`` is above 8000, and grows with every digit nearer to zero.
    assert all(gradient(image[:1] + share * checks(), target).norm() < 10 for share in (low, high, high + 1e-4))


def test_a_wrong_finest_detail_does_not_keep_the_coarser_scales_from_learning(image):
    target, estimate = image + checks(), 0.5 * image - checks()
    # The better contrast is found only where the coarser scales have a gradient.
    better = estimate - 0.01 * gradient(estimate, target).sign()
    assert structural_dissimilarity(better, target) < structural_dissimilarity(estimate, target) - 1e-3


def test_an_image_brighter_than_the_range_still_has_a_gradient(image):
    estimate = (image + 1.5 + 0.1 * noise(image)).requires_grad_()
    structural_dissimilarity(estimate, image + 1.5).backward()
    assert (estimate.grad[image + 1.5 > 1.2].abs() > 0).float().mean() > 0.99


def test_autocast_changes_nothing(image):
    other = image + 0.1 * noise(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = structural_dissimilarity(image, other)
    assert float(inside) == pytest.approx(float(structural_dissimilarity(image, other)), abs=1e-7)
    assert torch.isfinite(structural_dissimilarity(image.bfloat16(), other))


def test_the_smallest_size_is_161_pixels(image):
    assert torch.isfinite(structural_dissimilarity(image[..., :161, :161], -image[..., :161, :161]))
    with pytest.raises(ValueError, match="at least 161"):
        structural_dissimilarity(image[..., :160, :], image[..., :160, :])
