"""The noise estimator: follows the units, looks at the body alone, learns to tell noise from texture, and is what inference uses."""

import numpy as np
import pytest
import torch

from MRIDenoiseLib.image.noise import estimate_noise_level
from MRIDenoiseLib.inference.analysis import measured_noise
from MRIDenoiseLib.models.noise_estimator import SMALLEST_LEVEL, NoiseEstimator, estimated_noise_level


def textured(count: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bodies full of texture as fine as a pixel, with white noise of 0.01 to 0.2 in network units: images, bodies, noise levels."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    body = (torch.hypot(x, y) < 0.8).float().expand(count, 1, size, size)
    # Fine dots of a few strengths: not one place is flat, but the strengths are always the same.
    dots = torch.randint(0, 3, (count, 1, size // 2, size // 2), generator=generator).float()
    dots = dots.repeat_interleave(2, 2).repeat_interleave(2, 3)
    sigma = 0.01 * 20 ** torch.rand(count, generator=generator)
    noise = torch.randn(count, 1, size, size, generator=generator) * sigma.view(-1, 1, 1, 1)
    return body * (0.6 + 0.3 * dots) - 1 + noise, body, sigma


@pytest.fixture(scope="module")
def taught() -> NoiseEstimator:
    torch.manual_seed(0)
    network = NoiseEstimator(filters=8, channels=16, layers=2)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for step in range(250):
        images, body, sigma = textured(8, 48, step)
        loss = (network(images, body).log() - sigma.log()).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def test_it_learns_what_a_spectrum_cannot_tell(taught):
    images, body, sigma = textured(16, 48, 999)
    with torch.no_grad():
        factor = (taught(images, body).log() - sigma.log()).abs().mean().exp()
    by_spectrum = [estimate_noise_level((image + 1).numpy(), mask.numpy() > 0) for image, mask in zip(images, body, strict=True)]
    assert factor < 1.3
    assert (torch.tensor(by_spectrum).log() - sigma.log()).abs().mean().exp() > 2, "the texture fills all of k-space"


def test_twice_as_bright_has_twice_the_noise_and_the_grey_level_does_not_matter(taught):
    images, body, _ = textured(3, 48, 5)
    with torch.no_grad():
        once, twice, lifted = (taught(image, body) for image in (images, 2 * images, images + 0.7))
    assert torch.allclose(twice, 2 * once, rtol=0.01) and torch.allclose(lifted, once, rtol=0.01)


def test_air_does_not_decide(taught):
    images, body, _ = textured(2, 96, 6)
    loud = torch.where(body > 0, images, images + torch.randn(images.shape, generator=torch.Generator().manual_seed(0)))
    inner = torch.nn.functional.avg_pool2d(body, 33, 1, 16).floor()
    with torch.no_grad():
        assert torch.allclose(taught(loud, inner), taught(images, inner), rtol=0.02)


def test_it_runs_in_full_precision_also_where_the_training_does_not(taught):
    images, body, _ = textured(2, 48, 7)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = taught(images, body)
    with torch.no_grad():
        assert found.dtype == torch.float32 and torch.equal(found, taught(images, body))


def test_a_slice_with_little_body_is_told_what_those_with_much_say(taught):
    images, body, _ = textured(5, 48, 8)
    slices, mask = images[:, 0].numpy(), body[:, 0].numpy() > 0
    mask[0] = False
    mask[0, 24, 24] = True
    with torch.no_grad():
        each = estimated_noise_level(taught, images[1:], body[1:]).numpy()
    found, _ = measured_noise(taught, slices, mask, lambda index: float(each[index - 1]))
    assert each.max() > 1.5 * each.min() and len(found) == 5
    assert found[0] == found[1] == pytest.approx(np.median([each[0], each[0], each[1]]), rel=1e-5)


def test_no_less_than_the_least_is_told(taught):
    _, body, _ = textured(1, 48, 9)
    with torch.no_grad():
        assert float(estimated_noise_level(taught, torch.zeros(1, 1, 48, 48), body)) == pytest.approx(SMALLEST_LEVEL)
