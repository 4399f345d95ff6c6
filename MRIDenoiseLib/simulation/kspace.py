"""What happens to combined k-space between the receiver and the image: windows, truncation, partial Fourier; and the random numbers
of the simulated acquisitions, all from a generator that the caller passes.

All windows are in the order of ``torch.fft`` (zero frequency first). Rows (axis -2) are the phase-encoded axis.
Frequencies are given relative to Nyquist: 1 is the edge of an acquired line, whatever the image's size.
"""

from __future__ import annotations

import math
import zlib
from typing import Literal

import torch
from torch import Tensor

Apodisation = Literal["none", "hann", "tukey", "fermi", "gaussian", "raised_cosine"]
PartialFourier = Literal["none", "zero_fill", "homodyne", "pocs"]
POCS_ITERATIONS = 5


def fft2(image: Tensor) -> Tensor:
    """Unitary two-dimensional FFT over the last two axes."""
    return torch.fft.fft2(image, norm="ortho")


def ifft2(kspace: Tensor) -> Tensor:
    """Inverse of :func:`fft2`."""
    return torch.fft.ifft2(kspace, norm="ortho")


def relative_frequency(size: int, device: torch.device | str = "cpu") -> Tensor:
    """The frequencies of ``size`` samples, signed, in units of Nyquist: [-1, 1)."""
    return 2 * torch.fft.fftfreq(size, device=device)


def apodisation(frequency: Tensor, kind: Apodisation, parameter: float) -> Tensor:
    """One axis' window, 1 at the centre, evaluated at ``frequency`` relative to the acquired Nyquist.

    Args:
        frequency: signed, any shape. Outside [-1, 1) the window is 0: nothing was acquired there.
        kind: ``tukey`` and ``raised_cosine`` stay 1 up to a start and fall as a cosine to 0 at Nyquist; ``fermi`` is
            1 / (1 + exp((|f| - start) / 0.05)); ``gaussian`` is exp(-f^2 / 2 s^2); ``hann`` is (1 + cos(pi f)) / 2.
        parameter: the start (0..1) of ``tukey``, ``raised_cosine`` and ``fermi``, the width s of ``gaussian``.
    """
    f = frequency.abs()
    if kind == "none":
        window = torch.ones_like(f)
    elif kind == "hann":
        window = 0.5 + 0.5 * torch.cos(math.pi * f)
    elif kind in ("tukey", "raised_cosine"):
        window = 0.5 + 0.5 * torch.cos(math.pi * ((f - parameter) / max(1 - parameter, 1e-6)).clamp(0, 1))
    elif kind == "fermi":
        window = torch.sigmoid((parameter - f) / 0.05) / torch.sigmoid(torch.tensor(parameter / 0.05))
    elif kind == "gaussian":
        window = torch.exp(-f.square() / (2 * parameter**2))
    else:
        raise ValueError(f"unknown apodisation {kind!r}")
    # half-open, as the lines of an even matrix are: -N/2 ... N/2 - 1
    return torch.where((frequency >= -1 - 1e-6) & (frequency < 1 - 1e-6), window, torch.zeros_like(window))


def window2d(
    height: int,
    width: int,
    *,
    kind: Apodisation = "none",
    parameter: float = 0.75,
    corner_cut: bool = False,
    zero_fill: float | tuple[float, float] = 1.0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """H x W: the k-space weight of an acquisition: separable apodisation, and 0 where the scanner acquired nothing.

    Args:
        height: rows (phase encoding).
        width: columns (readout).
        kind: see :func:`apodisation`.
        parameter: see :func:`apodisation`.
        corner_cut: leave out the corners outside the ellipse through both Nyquist frequencies.
        zero_fill: image matrix / acquired matrix, >= 1, of both directions or of rows and columns; the outer k-space was filled
            with zeros.
        device: of the result.
    """
    row_fill, column_fill = zero_fill if isinstance(zero_fill, tuple) else (zero_fill, zero_fill)
    row = relative_frequency(height, device) * row_fill
    column = relative_frequency(width, device) * column_fill
    window = apodisation(row, kind, parameter).view(-1, 1) * apodisation(column, kind, parameter).view(1, -1)
    if corner_cut:
        window = window * ((row.square().view(-1, 1) + column.square().view(1, -1)) <= 1)
    return window


def partial_fourier(kspace: Tensor, fraction: float, method: PartialFourier, zero_fill: float = 1.0) -> Tensor:
    """Complex image (..., H, W) from k-space of which only the first ``fraction`` of the phase-encoded lines was acquired.

    Args:
        kspace: complex (..., H, W); lines beyond the fraction are ignored.
        fraction: acquired part of the lines, 0.5 < fraction <= 1.
        method: ``zero_fill`` puts zeros in place; ``homodyne`` (Noll 1991) weights the lines and keeps the real part
            after removing the phase seen in the symmetric centre, so that half of the noise goes; ``pocs`` (Haacke 1991)
            fills in the missing lines so that the image has that phase and leaves the acquired ones as they are.
        zero_fill: see :func:`window2d`; the fraction counts acquired lines.

    Returns:
        complex64; for ``homodyne`` its imaginary part is zero.
    """
    if method == "none" or fraction >= 1:
        return ifft2(kspace)
    line = (relative_frequency(kspace.shape[-2], kspace.device) * zero_fill).view(-1, 1)
    edge = 2 * fraction - 1
    if method == "zero_fill":
        return ifft2(kspace * (line <= edge))
    centre = torch.where(line.abs() <= edge, 0.5 + 0.5 * torch.cos(math.pi * line / edge), torch.zeros_like(line))
    phase = ifft2(kspace * centre).angle()
    if method == "pocs":
        return _pocs(kspace, (line > edge) & (line < 1), phase)
    weight = 1 - (line / edge).clamp(-1, 1)
    real = (ifft2(kspace * weight) * torch.polar(torch.ones_like(phase), -phase)).real
    return torch.complex(real, torch.zeros_like(real))


def _pocs(kspace: Tensor, missing: Tensor, phase: Tensor) -> Tensor:
    """Projects in turn onto images of the given phase and onto images with the acquired lines."""
    # only whole lines are missing, so the readout stays in image space
    acquired = torch.fft.ifft(kspace, norm="ortho")
    lines = acquired * ~missing
    for _ in range(POCS_ITERATIONS):
        image = torch.fft.ifft(lines, dim=-2, norm="ortho")
        with_phase = torch.polar(image.abs(), phase)
        lines = torch.where(missing, torch.fft.fft(with_phase, dim=-2, norm="ortho"), acquired)
    return torch.fft.ifft(lines, dim=-2, norm="ortho")


def normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Float32 normal numbers of unit variance on ``device``, drawn where the generator lives.

    A CPU generator therefore gives the same noise on every device; a CUDA generator saves the copy to the GPU.
    """
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def complex_normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Complex64 normal numbers with unit variance in each of the real and imaginary parts, as :func:`normal`."""
    return torch.view_as_complex(normal((*shape, 2), generator, device))


def seeded_generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """A CPU generator of its own for each purpose and slice, so that a slice's noise depends on nothing else."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed} {purpose} {index}".encode()))
