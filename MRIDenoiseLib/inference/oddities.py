"""Inputs that no network here knows: what is odd about a volume, in words, so that less is removed from it and never in silence.

Every detector looks at a few slices of the noisy volume alone. Its limit lies well above what the training patients' volumes reach,
as they are and under every noise of the benchmark, see ``mridenoise measure oddities``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from scipy import ndimage

SLICES = 6
"""Slices that are looked at, spread over the volume without its ends."""
ENDS = 0.15
"""The part of the volume at either end where slices may show no body."""
LEAST_SIDE = 48
"""Rows and columns of a slice; a smaller one is too small to tell a pattern from anatomy."""
STRENGTH = 0.6
"""The part that is removed, of what would be removed otherwise, where a volume is odd."""

SIGNAL = 0.12
"""Part of P99.5; where it is darker, there is no tissue at a border."""
WRAPPED = 0.35
"""How well opposite borders continue each other, 0 to 1: at most 0.03 in the training, 0.33 in the middle of a head cut out of its image,
0.4 and more where the body is folded over."""
ALONG = 0.1
"""The part of the field of view that is the nearest at which a copy is sought: nearer, the anatomy resembles itself, as both sides of
the scalp do."""
COPIED = 8.0
"""Standard deviations of the autocorrelation of slopes, at a half, a third or a quarter of the field of view: about 2 in the training, 40
and more for a copy of three tenths."""
STEPS = range(4, 11)
"""Equal parts of the field of view that ghosts of a periodic motion lie apart."""
REPEATED = 6.5
"""The same of edges, over the multiples of one step: at most 5.0 in the training."""
HINT = 0.5
"""The part of what counts as a copy that ghosts must show."""
ISOLATED = 1.6
"""Natural logarithm of how far a point of k-space rises above all around it: at most 1.3 in the training, 2 or more for a spike."""
HEART = 6
"""Points from the centre of k-space that belong to the anatomy."""
LINE = 2.5
"""How far a whole row or column differs from those beside it, compared with its neighbourhood: at most 1.4 in the training, at the edge
of padding."""
SEAM = 1.25
"""How many times as far as two neighbours at a border the opposite borders may differ, where they are to be neighbours."""
BRIGHT_BORDER, INVERTED = 0.7, 1.02
"""Part of P99.5 that most of the border must reach, and how much brighter than the dark part of the inside it must be."""
EVEN = 0.4
"""The part of the neighbours in tissue that have the same value: at most 0.29 in the training, where stored values were low."""
SMOOTH = 1.7
"""Common logarithm of how much power there is at a wavelength of nine pixels, compared with five: at most 1.15 in the training."""
SPECK, SPECKS = 0.25, 0.008
"""Part of P99.5, and of the pixels, that stand alone: at most 0.003 in the training."""
COARSE = 3.0
"""How many times as much the means of squares of coarse noise may differ as those of white noise."""
SQUARE, PLAIN = 16, 0.15
"""Pixels along a square, and how much the means of such squares differ, relative to their own mean: 0.6 and more in the training."""

SENTENCES = {
    "fold-over": "This image looks folded over: the body reaches across one edge and comes in again at the opposite one.",
    "copy": "This image holds a faint copy of itself, shifted by a part of the field of view, as an unfolding that failed leaves it.",
    "ghosts": "This image repeats itself in even steps, as it does where something moved.",
    "stripes": "Fine stripes run all over this image, as a spike in the raw data leaves them.",
    "line": "A line runs straight through this image, as radio interference leaves it.",
    "inverted": "This image seems to be inverted: what lies around the body is bright.",
    "few grey levels": "This image holds few grey levels, like a label map or a picture that was saved for a screen.",
    "smoothed": "This image shows no fine detail at all: it was smoothed or enlarged strongly before.",
    "specks": "Single black or white pixels are strewn over this image, which is not what the noise of a scanner looks like.",
    "noise only": "This image shows nothing but noise.",
}
"""Kind -> what the user reads."""


@dataclass(frozen=True)
class Oddities:
    """What is odd about a volume.

    Args:
        found: kinds, keys of :data:`SENTENCES`, in their order.
        scores: kind -> how far it is there, 1 at its limit; what could not be measured is missing.
    """

    found: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def strength(self) -> float:
        """The part that is removed of what would be removed otherwise."""
        return STRENGTH if self.found else 1.0

    def sentences(self, strength: float, *, chosen: bool, clean: bool = False) -> list[str]:
        """What the user reads.

        Args:
            strength: the one that the run has in the end.
            chosen: whether the user named it.
            clean: whether nothing is removed anyway.
        """
        if not self.found:
            return []
        what = "Nothing like it was in the training of the networks: look at the residual before you trust the result."
        if not clean and not chosen:
            what += (
                f" To be careful, only {strength:.0%} of what would be removed was removed; a strength that you choose yourself is kept."
            )
        elif not clean:
            what += f" The strength {strength:g} that you chose was kept."
        return [*(SENTENCES[kind] for kind in self.found), what]


def find_oddities(stack: np.ndarray, scale: float, slices: Sequence[int] | None = None) -> Oddities:
    """What is odd about a volume, from a few of its slices.

    Args:
        stack: float32 (slices, rows, columns) across the acquired plane, without gaps, see :mod:`.unmeasured`.
        scale: P99.5 of the body, in the volume's units.
        slices: the slices that are looked at; :func:`chosen_slices` where not given.
    """
    scores: dict[str, float] = {}
    wanted = chosen_slices(len(stack)) if slices is None else slices
    # A slice outside the body may be empty, and shows nothing.
    images = [np.asarray(stack[z] / np.float32(scale), np.float32) for z in wanted if stack[z].any()]
    if images and min(stack.shape[1:]) >= LEAST_SIDE:
        scores = {kind: score(images) for kind, score in DETECTORS.items()}
        # Rings, as of a phantom, have edges in even steps, too, but no part of them is a copy of another.
        scores["ghosts"] = min(scores["ghosts"], scores["copy"] / HINT)
    found = tuple(kind for kind in SENTENCES if scores.get(kind, 0.0) >= 1)
    return Oddities(found, {kind: round(score, 3) for kind, score in scores.items()})


def chosen_slices(count: int) -> list[int]:
    """The indices of the slices that are looked at, of ``count``."""
    return [int(z) for z in np.unique(np.linspace(ENDS * (count - 1), (1 - ENDS) * (count - 1), SLICES).round())]


def _wrapped(image: np.ndarray) -> float:
    """How well two opposite borders continue each other: the body goes out on one side and comes in on the other."""
    best = 0.0
    for along in (image, image.T):
        first, last = along[:2].mean(axis=0), along[-2:].mean(axis=0)
        signal = np.maximum(first, last) > SIGNAL
        if signal.sum() < max(8, 0.1 * len(first)):
            continue
        ours, theirs = first[signal], last[signal]
        both = float((np.minimum(ours, theirs) > SIGNAL).mean())
        alike = 1 - float(np.abs(ours - theirs).mean() / np.maximum(ours, theirs).mean())
        spread = float(ours.std() * theirs.std())
        correlation = float(((ours - ours.mean()) * (theirs - theirs.mean())).mean()) / spread if spread > 0 else 0.0
        # Borders of a tight field of view may be alike, but only those of a folded image continue each other like neighbours.
        inner = (_apart(first, along[2:4].mean(axis=0)) + _apart(last, along[-4:-2].mean(axis=0))) / 2
        continued = min(1.0, SEAM * inner / max(_apart(first, last), 1e-9)) ** 2
        best = max(best, both * alike * max(correlation, 0.0) * continued)
    return best / WRAPPED


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """How far two lines of pixels differ, once noise is smoothed along them."""
    return float(np.abs(ndimage.gaussian_filter1d(one - other, 2.0)).mean())


def _self_likeness(images: list[np.ndarray], parts: Callable[[np.ndarray], list[np.ndarray]]) -> list[np.ndarray]:
    """For rows and columns: the autocorrelation along that axis at every shift, in standard deviations of that beside the axis.

    What is shifted by the same amount adds up over slices, and chance does not.

    Args:
        images: slices (rows, columns).
        parts: image -> the images whose autocorrelations are added up.
    """
    found: list[list[np.ndarray]] = [[], []]
    for image in images:
        power = sum(np.abs(np.fft.rfft2(part)) ** 2 for part in parts(image))
        whole = np.fft.irfft2(power, s=image.shape)
        for axis, likeness in enumerate((whole, whole.T)):
            beside = likeness[:, [*range(4, 13), *range(-12, -3)]]
            spread = float(np.median(beside.std(axis=1)))
            line = (likeness[:, 0] - beside.mean(axis=1)) / spread if spread > 0 else np.zeros(len(likeness))
            # The anatomy's own likeness is broad, that of a copy as sharp as its edges.
            found[axis].append(line - ndimage.median_filter(line, 9, mode="wrap"))
    return [np.sum(lines, axis=0) / math.sqrt(len(lines)) for lines in found]


def _slopes(image: np.ndarray) -> list[np.ndarray]:
    """The two derivatives, steep places no steeper than most. Their signs tell a copy from the opposite side of the body."""
    slopes = [ndimage.gaussian_filter(image, 1.0, order=order, mode="wrap") for order in ((1, 0), (0, 1))]
    steep = np.hypot(*slopes)
    factor = np.minimum(1, np.percentile(steep, 95) / np.maximum(steep, 1e-9))
    return [slope * factor for slope in slopes]


def _edges(image: np.ndarray) -> list[np.ndarray]:
    """How steep the image is, whichever way: ghosts of a motion are brighter than what they lie on in one place and darker in the next."""
    edges = ndimage.gaussian_gradient_magnitude(image, 1.0, mode="wrap")
    edges -= ndimage.gaussian_filter(edges, 3.0, mode="wrap")
    most = float(np.percentile(np.abs(edges), 99))
    edges = np.clip(edges, -most, most)
    return [edges - edges.mean()]


def _copied(images: list[np.ndarray]) -> float:
    """A copy at a half, a third or a quarter of the field of view."""
    lines = _self_likeness(images, _slopes)
    return max(float(_peaks(line)[round(len(line) / part)]) for line in lines for part in (2, 3, 4)) / COPIED


def _repeated(images: list[np.ndarray]) -> float:
    """Copies at the multiples of one step.

    The half and the third are left out: parallel imaging correlates the noise of pixels that far apart.
    """
    best = 0.0
    for line in _self_likeness(images, _edges):
        peaks, size = _peaks(line), len(line)
        for step in STEPS:
            steps = [k / step for k in range(1, step // 2 + 1) if step not in (2 * k, 3 * k) and k / step >= ALONG]
            shifts = [round(part * size) for part in steps]
            if len(shifts) >= 2:
                best = max(best, float(peaks[shifts].sum()) / math.sqrt(len(shifts)))
    return best / REPEATED


def _peaks(line: np.ndarray) -> np.ndarray:
    """The largest value within a pixel of every shift."""
    return np.asarray(ndimage.maximum_filter1d(line, 3, mode="wrap"))


def _striped(image: np.ndarray) -> float:
    """A point of k-space that rises alone above all around it."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    half = np.abs(np.fft.rfft2(image * window))
    spectrum = np.log(np.fft.fftshift(half, axes=0) + 1e-6 * half.max())
    centre = image.shape[0] // 2
    rise = spectrum - ndimage.uniform_filter(spectrum, 9, mode="wrap")
    # The half spectrum ends at its first and last column, where a ring would be cut.
    rise[:, :HEART] = rise[:, -4:] = 0
    rise[centre - HEART : centre + HEART + 1, : 2 * HEART] = 0
    best = 0.0
    for row, column in np.argwhere(rise > ISOLATED):
        around = spectrum[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5].copy()
        top, left = min(row, 4), min(column, 4)
        around[max(top - 2, 0) : top + 3, max(left - 2, 0) : left + 3] = -np.inf
        best = max(best, float(spectrum[row, column] - around.max()))
    return best / ISOLATED


def _lined(images: list[np.ndarray]) -> float:
    """One or two rows or columns that differ over their whole length from those on both sides, in the same place of every slice."""
    best = 0.0
    for turn in (False, True):
        found = []
        for image in images:
            along = image.T if turn else image
            found.append(np.percentile(np.abs(along - ndimage.median_filter(along, (5, 1))), 25, axis=1)[8:-8])
        apart = np.mean(found, axis=0)
        usual = ndimage.median_filter(apart, 17)
        best = max(best, float(((apart - usual) / (usual + 0.01)).max()))
    return best / LINE


def _inverted(image: np.ndarray) -> float:
    """A bright border around something darker."""
    border = np.concatenate([image[:4].ravel(), image[-4:].ravel(), image[:, :4].ravel(), image[:, -4:].ravel()])
    middle = float(np.median(border))
    if middle < BRIGHT_BORDER:
        return 0.0
    inside = float(np.percentile(image[8:-8, 8:-8], 30))
    return min(middle / BRIGHT_BORDER, middle / inside / INVERTED) if inside > 0 else middle / BRIGHT_BORDER


def _even(image: np.ndarray) -> float:
    """Neighbours in tissue that have the same value."""
    left, right = image[:, :-1], image[:, 1:]
    tissue = (left > SIGNAL) & (right > SIGNAL)
    return float((left == right)[tissue].mean()) / EVEN if tissue.sum() >= 100 else 0.0


def _smoothed(image: np.ndarray) -> float:
    """Far less power at fine detail than at detail half as fine; a matrix enlarged twice has both, one enlarged four times has neither."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
    rows, columns = np.abs(np.fft.fftfreq(image.shape[0]))[:, None], np.fft.rfftfreq(image.shape[1])[None]
    frequency = np.hypot(rows, columns)
    # Borders of the image fill the axes of k-space.
    free = (rows > 0.02) & (columns > 0.02)
    coarse, fine = (float(power[free & (frequency >= low) & (frequency < high)].mean()) for low, high in ((0.09, 0.125), (0.1875, 0.25)))
    return math.log10(coarse / max(fine, 1e-12 * coarse)) / SMOOTH if coarse > 0 else 0.0


def _specks(image: np.ndarray) -> float:
    """Single pixels far from all their neighbours and from the noise."""
    apart = np.abs(image - ndimage.median_filter(image, 3))
    return float((apart > max(SPECK, 6 * 1.4826 * float(np.median(apart)))).mean()) / SPECKS


def _plain(images: list[np.ndarray]) -> float:
    """No square brighter than another."""
    means = np.concatenate([_squares(image).ravel() for image in images])
    spread, noise = float(means.std()), float(np.median([image.std() for image in images])) / SQUARE
    # A body that fills the field of view may be even, but not as even as noise is.
    return min(PLAIN * float(means.mean()), COARSE * noise) / spread if spread > 0 else 0.0


def _squares(image: np.ndarray) -> np.ndarray:
    rows, columns = (size // SQUARE for size in image.shape)
    return np.asarray(image[: rows * SQUARE, : columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE).mean(axis=(1, 3)))


def _usual(score: Callable[[np.ndarray], float]) -> Callable[[list[np.ndarray]], float]:
    """The score of the middle slice by score: what is odd about a volume is there in most slices."""
    return lambda images: median(map(score, images))


def _worst(score: Callable[[np.ndarray], float]) -> Callable[[list[np.ndarray]], float]:
    """The highest score of a slice: a spike hits one slice and spares the next."""
    return lambda images: max(map(score, images))


DETECTORS: dict[str, Callable[[list[np.ndarray]], float]] = {
    "fold-over": _usual(_wrapped),
    "copy": _copied,
    "ghosts": _repeated,
    "stripes": _worst(_striped),
    "line": _lined,
    "inverted": _usual(_inverted),
    "few grey levels": _usual(_even),
    "smoothed": _usual(_smoothed),
    "specks": _usual(_specks),
    "noise only": _plain,
}
"""Kind -> score of some slices (rows, columns) in units of P99.5; 1 at its limit."""
