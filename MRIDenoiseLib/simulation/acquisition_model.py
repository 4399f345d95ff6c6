"""Every choice a simulated acquisition makes, as one value that can be drawn at random, recorded and replayed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import torch

from MRIDenoiseLib.simulation.kspace import Apodisation, PartialFourier
from MRIDenoiseLib.simulation.sense import sampling_pattern

PostFilter = Literal["none", "unsharp", "median", "bilateral", "diffusion"]
Reconstruction = Literal["sense", "sense_acs", "grappa"]
Combination = Literal["adaptive", "rss"]
T = TypeVar("T")


@dataclass(frozen=True)
class AcquisitionModel:
    """A level-2 acquisition of an image whose P99.5 is 1.

    Args:
        coils: number of receive coils.
        noise_correlation: rho of Psi_ij = rho^|i-j|.
        sigma: standard deviation of the coils' noise per real and imaginary part, for one fully sampled average, in
            units of the image's P99.5. The image's noise before windows is sigma * g * sqrt(reduction / nex).
        reduction: parallel-imaging reduction along the phase-encoded axis (1, 1.5, 2, 3 ... at most 6).
        reconstruction: ``sense`` with known sensitivities, ``sense_acs`` with sensitivities estimated from a noisy
            reference scan (residual folding, as in products), ``grappa`` with weights learned from such a scan.
        acs_lines: number of central lines of that reference scan.
        combine: ``adaptive`` (prewhitened and weighted by the sensitivities, Roemer 1990) or ``rss``, root of the sum of
            squares, which SENSE has for full sampling only.
        nex: number of averages; infinite for an acquisition without noise.
        magnitude_averaging: averages are taken after the magnitude (the noise floor stays) instead of before.
        phase_axis: 0 when rows (H) are phase encoded, 1 when columns (W) are.
        object_phase: largest phase of the object over the field of view in radians.
        partial_fourier: how missing lines are filled in.
        partial_fourier_fraction: acquired part of the lines (0.5..1].
        apodisation: k-space window, see :func:`MRIDenoiseLib.simulation.kspace.apodisation`.
        apodisation_parameter: its start or width.
        corner_cut: the corners of k-space were not acquired.
        zero_fill: image matrix / acquired matrix (1..2). The noise of a pixel keeps its strength and becomes coarser.
        readout_fill: the same along the readout, where it differs from ``zero_fill`` along the phase encoding.
        receive_bias: 0 for homogeneous reception, 1 for loops whose weak depth was normalised away (noise rises there).
        unwarp: largest displacement in pixels that a gradient-unwarping resampling undid; 0 for none.
        post_filter: what the vendor does to the magnitude image.
        post_filter_strength: unsharp gain, or the share of the median, bilateral or diffused image.
        post_filter_sigma: width of the unsharp mask in pixels.
        rounding_bits: stored integers span 0..3 with this many bits; None keeps real numbers.

    Raises:
        ValueError: for combinations that do not exist, such as undersampling with one coil.
    """

    coils: int = 8
    noise_correlation: float = 0.15
    sigma: float = 0.05
    reduction: float = 1.0
    reconstruction: Reconstruction = "sense"
    acs_lines: int = 24
    combine: Combination = "adaptive"
    nex: float = 1.0
    magnitude_averaging: bool = False
    phase_axis: Literal[0, 1] = 0
    object_phase: float = 2 * math.pi
    partial_fourier: PartialFourier = "none"
    partial_fourier_fraction: float = 1.0
    apodisation: Apodisation = "none"
    apodisation_parameter: float = 0.75
    corner_cut: bool = False
    zero_fill: float = 1.0
    readout_fill: float | None = None
    receive_bias: float = 0.0
    unwarp: float = 0.0
    post_filter: PostFilter = "none"
    post_filter_strength: float = 0.0
    post_filter_sigma: float = 1.0
    rounding_bits: int | None = None

    def __post_init__(self) -> None:
        """Refuse combinations that do not exist."""
        period, kept = sampling_pattern(self.reduction)
        if self.reduction > 1 and self.coils * kept < period:
            raise ValueError(f"{self.coils} coils cannot unfold a reduction of {self.reduction}")
        if self.reduction > 1 and self.combine == "rss" and self.reconstruction != "grappa":
            raise ValueError("rss combination needs full sampling (reduction 1) or GRAPPA")
        if self.reconstruction == "grappa" and (self.reduction == 1 or self.acs_lines < 4 * period):
            raise ValueError(f"GRAPPA needs a reduction above 1 and {4 * period} acs lines, got {self.reduction} and {self.acs_lines}")
        if self.sigma < 0 or self.nex <= 0 or min(self.fills) < 1:
            raise ValueError(f"need sigma >= 0, nex > 0 and zero filling >= 1, got {self.sigma}, {self.nex}, {self.fills}")
        if self.partial_fourier != "none" and not 0.5 < self.partial_fourier_fraction <= 1:
            raise ValueError(f"partial Fourier fraction must lie in (0.5, 1], got {self.partial_fourier_fraction}")

    @property
    def fills(self) -> tuple[float, float]:
        """Image matrix / acquired matrix along the phase encoding and along the readout."""
        return self.zero_fill, self.zero_fill if self.readout_fill is None else self.readout_fill

    @property
    def image_sigma(self) -> float:
        """Noise per real and imaginary part of the combined image before the g-factor and the windows."""
        return self.sigma * math.sqrt(self.reduction / self.nex)

    @property
    def relative_time(self) -> float:
        """Scan time relative to one fully sampled average: nex / reduction (partial Fourier left out on purpose)."""
        return self.nex / self.reduction

    def partner(self, acceleration: float = math.inf) -> AcquisitionModel:
        """The slow, clean acquisition of a pair: same machine, full sampling, ``acceleration`` times the scan time.

        With the default the partner has no noise of its own; with a finite number it is as noisy as a real one.
        """
        return replace(self, reduction=1.0, reconstruction="sense", nex=self.relative_time * acceleration)

    @classmethod
    def sample(cls, generator: torch.Generator, reduction: float | None = None, sigma: float | None = None) -> AcquisitionModel:
        """A random machine and protocol, varied on purpose far more widely than any one site.

        Args:
            generator: the source of every choice (a CPU generator gives the same model on every device).
            reduction: fixes the parallel-imaging reduction.
            sigma: fixes the coils' noise; when left out ``image_sigma`` is log-uniform in 0.005..0.15.
        """
        draw = _Draw(generator)
        if reduction is None:
            reduction = draw.choice((1.0, 1.5, 2.0, 3.0), (0.4, 0.2, 0.2, 0.2))
        counts = (1, 4, 8, 12, 16, 20, 32) if reduction <= 1 else ((4, 8, 12, 16, 20, 32) if reduction <= 2 else (8, 12, 16, 20, 32))
        coils = draw.choice(counts)
        combine: Combination = "rss" if reduction <= 1 and coils > 1 and draw.chance(0.25) else "adaptive"
        reconstruction: Reconstruction = draw.choice(("sense", "sense_acs", "grappa"), (0.6, 0.15, 0.25)) if reduction > 1 else "sense"
        if combine == "rss" or reconstruction != "sense":
            coils = min(coils, 8)  # scanners compress their coils to about as many where each is processed on its own
        nex = draw.choice((1.0, 2.0, 3.0, 4.0), (0.6, 0.2, 0.1, 0.1))
        image_sigma = math.exp(draw.uniform(math.log(0.005), math.log(0.15)))
        method: PartialFourier = draw.choice(("zero_fill", "homodyne", "pocs"), (0.5, 0.25, 0.25)) if draw.chance(0.4) else "none"
        kind: Apodisation = draw.choice(
            ("none", "hann", "tukey", "fermi", "gaussian", "raised_cosine"), (0.25, 0.08, 0.2, 0.17, 0.15, 0.15)
        )
        parameter = draw.choice((0.8, 1.0, 1.5, 2.0, 2.25)) if kind == "gaussian" else draw.uniform(0.5, 0.95)
        filters: tuple[PostFilter, ...] = ("unsharp", "median", "bilateral", "diffusion")
        post_filter = draw.choice(filters, (0.55, 0.15, 0.15, 0.15)) if draw.chance(0.5) else "none"
        model = cls(
            coils=coils,
            noise_correlation=draw.uniform(0, 0.5),
            sigma=image_sigma * math.sqrt(nex / reduction) if sigma is None else sigma,
            reduction=reduction,
            reconstruction=reconstruction,
            combine=combine,
            nex=nex,
            magnitude_averaging=nex > 1 and draw.chance(0.2),
            phase_axis=draw.choice((0, 1)),
            object_phase=draw.uniform(0, 2 * math.pi),
            partial_fourier=method,
            partial_fourier_fraction=draw.uniform(0.625, 0.875) if method != "none" else 1.0,
            apodisation=kind,
            apodisation_parameter=parameter,
            corner_cut=draw.chance(0.3),
            zero_fill=draw.uniform(1, 2) if draw.chance(0.4) else 1.0,
            receive_bias=draw.uniform(0.2, 1) if draw.chance(0.5) else 0.0,
            unwarp=draw.uniform(0.3, 1.5) if draw.chance(0.15) else 0.0,
            post_filter=post_filter,
            post_filter_strength=draw.uniform(0.2, 0.8),
            post_filter_sigma=draw.uniform(0.7, 1.5),
            rounding_bits=draw.choice((None, 10, 12), (0.15, 0.15, 0.7)),
        )
        return replace(model, combine="rss") if reconstruction == "grappa" and draw.chance(0.5) else model


class _Draw:
    """Scalars from a torch generator, so that one seed replays every choice."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        value = torch.rand(1, generator=self.generator, device=self.generator.device, dtype=torch.float64)
        return low + (high - low) * float(value)

    def chance(self, probability: float) -> bool:
        return self.uniform(0, 1) < probability

    def choice(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        weights = weights or [1.0] * len(options)
        at = self.uniform(0, sum(weights))
        for option, weight in zip(options, weights, strict=True):
            at -= weight
            if at < 0:
                return option
        return options[-1]
