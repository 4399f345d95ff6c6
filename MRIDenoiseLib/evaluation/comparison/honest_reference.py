"""Whether a comparison counts: a reference with noise of its own rewards whoever keeps noise.

On a reference with noise of 3 % even a perfect denoiser scores little better than the noisy image, and the best score goes to an
image that has kept the reference's noise, if it can. So a comparison counts only where the reference's own noise is small against
the noise that was added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from MRIDenoiseLib.data.references import ALLOWED_SHARE, counts
from MRIDenoiseLib.image.noise import estimate_noise_level, reference_noise

__all__ = ["ALLOWED_SHARE", "HOW", "WHY_APART", "ReferenceNoise", "counts", "measure_reference_noise"]

WHY_APART = (
    "Shown apart, because the reference's own noise is more than a third of the noise that was added: such a reference rewards a method "
    "for leaving noise in the image."
)
"""What is said where rows of a table do not count."""
HOW = (
    "the reference's by the finest detail of its flattest places, rather too low than too high, the noisy image's by the spectrum of "
    "flat tissue"
)


@dataclass(frozen=True)
class ReferenceNoise:
    """The noise of a reference, and of the noisy image beside it; standard deviations in the body, parts of the reference's P99.5.

    Args:
        own: the reference's; 0 where there is too little flat tissue to tell.
        noisy: the noisy image's; None where none was given.
        added: what the noisy image has that the reference has not: of a simulated one the difference of the two, of a scan of its
            own all its noise; None where none was given.
    """

    own: float
    noisy: float | None = None
    added: float | None = None

    @property
    def counts(self) -> bool | None:
        """Whether the comparison does; None where no noise was found to compare with."""
        return counts(self.own, self.added) if self.noisy and self.added is not None else None

    @property
    def sentence(self) -> str:
        """What the user has to know of a comparison that does not count; empty otherwise."""
        if self.counts is not False:
            return ""
        share = f"at least {self.own / self.added:.0%} of the noise that was added" if self.added else "all there is"
        ceiling = -20 * math.log10(self.own)
        return (
            f"the reference's own noise is {share} (more than a third): the figures reward keeping noise, and a perfect denoiser "
            f"would reach a foreground PSNR of about {ceiling:.1f} dB"
        )


def measure_reference_noise(
    reference: np.ndarray, mask: np.ndarray, p995: float, noisy: np.ndarray | None = None, *, simulated: bool = False
) -> ReferenceNoise:
    """Measure both in the body, without a network.

    Each by the estimate that is right for it: in a clean volume the spectrum of flat tissue takes texture for noise (two to four
    times the network's figure on real ones), and the finest detail of a noisy volume misses noise that a filter has smoothed.

    Args:
        reference: float (slices, rows, columns).
        mask: bool, the same shape: the body.
        p995: of the reference.
        noisy: the same shape and units.
        simulated: whether ``noisy`` was made by adding noise to ``reference``, whose own noise it then holds as well.
    """
    own = reference_noise(reference, mask) / p995
    if noisy is None:
        return ReferenceNoise(own)
    whole = estimate_noise_level(noisy, mask) / p995
    return ReferenceNoise(own, whole, float((noisy - reference)[mask].std()) / p995 if simulated else whole)
