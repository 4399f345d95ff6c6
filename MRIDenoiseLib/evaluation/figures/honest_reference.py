"""Whether a reference may be used: its own noise is small, and it does not contain the noise of the image compared with it.

With a reference that has noise of 3 %, even a perfect denoiser scores little better than the noisy image, and the best score goes
to an image that still has the reference's noise. So a comparison counts only where the reference's own noise is small compared
with the noise that was added.

Whether the reference contains the image's own noise is found from the two images alone.

A mean over all repeats contains the noisy repeat: part of its noise looks like truth, and a method that returns its input scores
too well. What two images have in common may be anatomy or noise. The measure is the slope of the reference's fine detail R on the
noisy image's Y, sum(Y R) / sum(Y Y). For a mean of N repeats that contains the noisy one it is 1 / N, for an honest reference 0;
anatomy adds to both. Three properties distinguish anatomy from noise:

- It is only in some places. Only the flattest blocks are used, in tissue and in air. A block is called flat by its coarse detail
  and compared in its fine detail, so that the choice does not bias the result. Where blocks of tissue of medium flatness have
  clearly more in common, the cause is anatomy.
- It becomes weaker towards the finest detail, while the common share of noise is about the same at every frequency. The smallest
  share over the bands and over tissue and air is taken; where bands differ much, the cause is anatomy.
- A large share must be anatomy: a mean of two images has no more than half of each one's noise.

Where the cause is anatomy, nothing is claimed. The limits were tested on ten other real volumes as truth, at two resolutions and
with white and coarse noise of 1 to 10 % of P99.5. Where air still had its noise, means of 2, 3 and 8 repeats were found in 95 % of
480 cases, and honest references were wrongly called inclusive in 1.6 % of 320, all of one prostate. Where air was blanked, these
were 25 % and 0.3 %, and mostly nothing was claimed. No inclusive reference was called honest.

A mean of complex images shares less noise in air than in tissue, about N^(-3/2), so that the share is "at least".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from MRIDenoiseLib.data.references import counts
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.image.noise import estimate_noise_level, reference_noise

BLOCK = 8
"""Rows and columns of the blocks whose detail is compared."""
COARSE = 2.5
"""Cosine waves half a period long count 1: up to here detail is coarse and shows how flat a block is."""
BANDS = (COARSE, 4.0, 5.5, 7.0, np.inf)
"""Limits of the bands of fine detail, in the same."""
FLATTEST, MIDDLING = (0.0, 0.1), (0.4, 0.6)
"""Parts of the blocks of a zone, in the order of their coarse detail."""
FEWEST = 64
"""The smallest number of blocks; a zone with fewer gives no result."""
FAINTEST = 0.1
"""Relative to the strongest band's power: a weaker band was left empty (zero filling) and holds only rounding."""
BORDER = 2
"""Pixels between tissue and what counts as air."""
BLANKED = 0.1
"""Part of a block that may be exactly zero; with more, the image was masked, and the mask's border is common to both."""
SMOOTH = 2.0
"""Pixels over which both are smoothed to match their brightness."""

LEAST = 0.05
"""Share that counts as inclusive: 1 / 20. Ghosts in air of honest repeats reach 0.03."""
MOST = 0.6
"""Share above which it must be anatomy: a mean of two has 1 / 2."""
EVEN_BANDS, EVEN_PLACES = 2.5, 1.35
"""How much the odds share / (1 - share) may differ between bands, and be greater in middling blocks than in flat ones."""
CERTAIN = 4.0
"""Standard errors between a share and zero."""

WHY_APART = (
    "Shown apart, because the reference's own noise is more than a third of the noise that was added: such a reference rewards a method "
    "for leaving noise in the image."
)
"""The sentence for rows of a table that do not count."""
HOW = (
    "the reference's by the finest detail of its flattest places, rather too low than too high, the noisy image's by the spectrum of "
    "flat tissue"
)


@dataclass(frozen=True)
class Inclusion:
    """How much of the noisy image's own noise is in the reference.

    Args:
        share: at least so much; 1 / N for a mean of N repeats that contains the noisy one.
        standard_error: of the share.
        inclusive: True or False, or None where anatomy is everywhere and nothing can be found out.
    """

    share: float
    standard_error: float
    inclusive: bool | None

    @property
    def sentence(self) -> str:
        """The finding for the user."""
        if self.inclusive is None:
            return "It is unknown whether the reference contains the noisy image's own noise: no place is flat enough."
        if not self.inclusive:
            return "The reference does not contain the noisy image's own noise."
        return (
            f"The reference contains at least {self.share:.0%} of the noisy image's own noise: it is a mean that includes this image, "
            "or the noisy image was made from it. Figures against it favour methods that keep noise; use a reference of other scans."
        )


def find_inclusion(noisy: np.ndarray, reference: np.ndarray) -> Inclusion:
    """Find out whether a reference contains the noise of a noisy image.

    Args:
        noisy: (slices, rows, columns), magnitudes.
        reference: the same shape; its brightness may differ by a factor.

    Raises:
        InputError: shapes that differ, or an image that shows nothing.
    """
    if reference.shape != noisy.shape:
        raise InputError("the noisy image and the reference differ in shape; compare images of one grid")
    body = body_mask(reference)
    alive = np.logical_and.reduce([_blocks(image == 0).mean(axis=(1, 2)) <= BLANKED for image in (noisy, reference)])
    ours, theirs = (
        fft.dctn(_blocks(image)[alive], axes=(1, 2), norm="ortho") for image in (noisy.astype(np.float64), _matched(reference, noisy, body))
    )
    near = ndimage.binary_dilation(body, np.ones((1, 3, 3)), iterations=BORDER)
    tissue, air = _blocks(body)[alive].all(axis=(1, 2)), ~_blocks(near)[alive].any(axis=(1, 2))
    zones = ((tissue, True), (air, False))
    found = [_in_zone(ours[zone], theirs[zone], anatomy=anatomy) for zone, anatomy in zones if zone.sum() >= FEWEST]
    return min(found, key=lambda one: one.share, default=Inclusion(math.nan, math.nan, None))


def _in_zone(noisy: np.ndarray, reference: np.ndarray, *, anatomy: bool) -> Inclusion:
    """The finding from the cosine coefficients (blocks, BLOCK, BLOCK) of one zone.

    With ``anatomy``, anatomy may be in all of the flattest blocks. In air there are ghosts in some blocks, but not in the flattest.
    """
    order = np.hypot(*np.mgrid[0:BLOCK, 0:BLOCK])
    coarse = (order > 0) & (order <= COARSE)
    flatness = np.argsort(np.square((noisy + reference)[:, coarse]).sum(axis=1), kind="stable")
    flat, middling = (_part(flatness, *limits) for limits in (FLATTEST, MIDDLING))
    bands = [(order > low) & (order <= high) for low, high in zip(BANDS[:-1], BANDS[1:], strict=True)]
    power = [float(np.square(noisy[flat][:, band]).mean()) for band in bands]
    kept = [band for band, strength in zip(bands, power, strict=True) if strength > FAINTEST * max(power)]
    shares = [_share(noisy[flat][:, band], reference[flat][:, band]) for band in kept]
    share, error = min(shares)
    if share < max(LEAST, CERTAIN * error):
        return Inclusion(share, error, False)
    odds = np.array([_odds(each) for each, _ in shares])
    elsewhere = np.array([_odds(_share(noisy[middling][:, band], reference[middling][:, band])[0]) for band in kept])
    even = odds.max() <= EVEN_BANDS * odds.min() and (not anatomy or np.median(elsewhere / odds) <= EVEN_PLACES)
    return Inclusion(share, error, True if share <= MOST and even else None)


def _part(order: np.ndarray, first: float, last: float) -> np.ndarray:
    """The first part of a list, with at least :data:`FEWEST` entries."""
    start = min(round(first * len(order)), len(order) - FEWEST)
    return order[start : max(round(last * len(order)), start + FEWEST)]


def _share(noisy: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """The slope over (blocks, coefficients) with its standard error, blocks being independent."""
    common, own = (noisy * reference).sum(axis=1), np.square(noisy).sum(axis=1)
    share = float(common.sum() / own.sum())
    return share, float(np.sqrt(np.square(common - share * own).sum()) / own.sum())


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else math.inf


def _matched(image: np.ndarray, like: np.ndarray, body: np.ndarray) -> np.ndarray:
    """An image at the brightness of another."""
    values, wanted = (ndimage.gaussian_filter(each.astype(np.float64), (0, SMOOTH, SMOOTH))[body] for each in (image, like))
    return image * float(values @ wanted / (values @ values))


def _blocks(slices: np.ndarray) -> np.ndarray:
    """(blocks, BLOCK, BLOCK) of all slices; what does not fill a block is left out."""
    count, rows, columns = len(slices), slices.shape[1] // BLOCK, slices.shape[2] // BLOCK
    cut = slices[:, : rows * BLOCK, : columns * BLOCK].reshape(count, rows, BLOCK, columns, BLOCK)
    return cut.transpose(0, 1, 3, 2, 4).reshape(-1, BLOCK, BLOCK)


@dataclass(frozen=True)
class ReferenceNoise:
    """The noise of a reference and of the noisy image; standard deviations in the body, relative to the reference's P99.5.

    Args:
        own: the reference's; 0 where there is too little flat tissue to measure.
        noisy: the noisy image's; None where none was given.
        added: the noise that the noisy image has and the reference does not: for a simulated image the difference of the two,
            for a separate scan all its noise; None where no noisy image was given.
    """

    own: float
    noisy: float | None = None
    added: float | None = None

    @property
    def counts(self) -> bool | None:
        """Whether the comparison counts; None where no noise was found to compare with."""
        return counts(self.own, self.added) if self.noisy and self.added is not None else None

    @property
    def sentence(self) -> str:
        """A warning about a comparison that does not count; empty otherwise."""
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

    Each is measured by the estimate that is right for it. In a clean volume the spectrum of flat tissue mistakes texture for noise
    (on real volumes it gives two to four times the network's value). In a noisy volume the finest detail misses noise that a filter
    has smoothed.

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
