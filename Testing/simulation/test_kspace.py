"""Windows and partial Fourier do what their names say, to the object and to the noise."""

import math

import pytest
import torch

from MRIDenoiseLib.simulation.kspace import apodisation, fft2, partial_fourier, window2d


def blob(size: int = 64) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    return torch.exp(-8 * ((x - 0.2) ** 2 + (y + 0.1) ** 2)) + 0.4 * torch.exp(-200 * (x + 0.3) ** 2 - 60 * y**2)


def test_raised_cosine_is_one_up_to_its_start_half_at_the_middle_and_zero_at_nyquist():
    at = torch.tensor([0.0, 0.75, 0.875, 1.0, 1.2, -0.875])
    expected = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0, 0.5])
    assert torch.allclose(apodisation(at, "raised_cosine", 0.75), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "hann", "tukey", "fermi", "gaussian", "raised_cosine"])
def test_every_window_keeps_the_mean_and_never_amplifies(kind: str):
    window = window2d(32, 30, kind=kind, parameter=0.7, corner_cut=True, zero_fill=1.3)  # type: ignore[arg-type]
    assert float(window[0, 0]) == pytest.approx(1.0, abs=1e-6)
    assert float(window.max()) <= 1 + 1e-6 and float(window.min()) >= 0
    assert float(window[16, 15]) == 0


def test_zero_fill_keeps_the_acquired_share_of_k_space_and_corner_cut_the_ellipse():
    assert float(window2d(200, 200, zero_fill=2.0).mean()) == pytest.approx(0.25, rel=1e-6)
    assert float(window2d(200, 200, corner_cut=True).mean()) == pytest.approx(math.pi / 4, rel=0.01)


@pytest.mark.parametrize("method", ["homodyne", "pocs"])
def test_what_zero_filling_blurs_is_restored_although_the_object_has_a_phase(method: str):
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    image = blob() + ((x.abs() < 0.5) & ((y * 8).floor() % 2 == 0) & (y.abs() < 0.8)).float()
    kspace = fft2(torch.polar(image, 0.8 * torch.cos(math.pi * x) + 0.5 * torch.cos(math.pi * y)))
    blurred, restored = (partial_fourier(kspace, 0.65, m).abs() - image for m in ("zero_fill", method))  # type: ignore[arg-type]
    assert float(restored.square().mean()) < 0.5**2 * float(blurred.square().mean())
    assert torch.allclose(partial_fourier(kspace, 1.0, method).abs(), image, atol=1e-5)  # type: ignore[arg-type]


def test_pocs_leaves_the_acquired_lines_as_they_are_and_fills_no_more_than_was_left_out():
    kspace = fft2(blob() * torch.polar(torch.ones(64, 64), torch.linspace(-1, 1, 64).expand(64, 64).contiguous()))
    line = torch.fft.fftfreq(64) * 2 * 1.6
    acquired = (line >= -1) & (line <= 2 * 0.7 - 1)
    beyond = (line < -1) | (line >= 1)
    filled = fft2(partial_fourier(kspace * ~beyond.view(-1, 1), 0.7, "pocs", zero_fill=1.6))
    assert torch.allclose(filled[acquired], kspace[acquired], atol=1e-5)
    assert float(filled[beyond].abs().max()) < 1e-5
    made_up = ~acquired & ~beyond
    assert float(filled[made_up].abs().max()) > 10 * float((filled - kspace)[made_up].abs().max())


@pytest.mark.parametrize("fraction", [0.625, 0.75, 0.875])
@pytest.mark.parametrize("method", ["zero_fill", "homodyne", "pocs"])
def test_partial_fourier_leaves_the_noise_that_its_weights_say(method: str, fraction: float):
    centre = 2 * fraction - 1
    # power of the weights, zero for lost lines; homodyne: 2 outside, a ramp from 2 to 0 inside; pocs: conjugates are copies
    expected = {"zero_fill": fraction, "homodyne": 2 * (1 - centre) + 4 / 3 * centre, "pocs": 2 - centre}[method]
    column = torch.linspace(-1, 1, 64).view(-1, 1)
    flat = torch.polar(torch.ones(64, 64), (0.8 * torch.cos(math.pi * column)).expand(64, 64).contiguous())
    noise = torch.view_as_complex(torch.randn(300, 64, 64, 2, generator=torch.Generator().manual_seed(0)))
    image = partial_fourier(fft2(flat + 0.01 * noise), fraction, method).abs()  # type: ignore[arg-type]
    assert float(image.var(0).mean()) / 0.01**2 == pytest.approx(expected, rel=0.06)
