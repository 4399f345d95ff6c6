"""A channelised Hotelling observer: how well the best linear reader of a few broad channels finds a known disc, before and after denoising.

Task: signal known exactly. The observer is given small images centred on the place in question and says how sure it is that a disc is
there. Its channels are Laguerre-Gauss functions (Gallas and Barrett 2003), which suit round signals; it has no noise of its own. The
template is learned from one half of the images and judged on the other, so that it cannot know their noise by heart. The score is the
area under the ROC curve: 0.5 is guessing, 1 is certainty. What a linear reader can still find, denoising has not destroyed; and a
filter that could be undone, such as a narrow blur, hardly changes the score, however smooth the image looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

CHANNELS = 6
"""Beyond five or six, Laguerre-Gauss channels add nothing for discs (Gallas and Barrett 2003)."""
WIDTH = 1.5
"""Width of the channels, in diameters of the disc."""
NORMAL_95 = 1.959964
"""Standard deviations on either side of the mean that hold 95 %."""


def laguerre_gauss(side: int, width: float, count: int = CHANNELS) -> np.ndarray:
    """Laguerre-Gauss channels: sqrt(2) / a exp(-pi r^2 / a^2) L_p(2 pi r^2 / a^2) for p = 0, 1, ...

    Args:
        side: pixels of the square, odd; its centre is the signal's.
        width: ``a``, in pixels.
        count: how many.

    Returns:
        float64 (count, side * side).
    """
    places = np.arange(side) - side // 2
    square = (places[:, None] ** 2 + places[None, :] ** 2) / width**2
    profile = math.sqrt(2) / width * np.exp(-math.pi * square)
    return np.stack([profile * special.eval_laguerre(p, 2 * math.pi * square) for p in range(count)]).reshape(count, -1)


def observer_scores(present: np.ndarray, absent: np.ndarray, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """How sure the observer is of a disc in each image of the second half; it has learned from the first.

    The template is S^-1 (mean of present - mean of absent), S the mean of both covariances, all of the channels' answers.

    Args:
        present: (images, side, side) with a disc in the centre.
        absent: the same without one; the images of a number need not belong together.
        diameter: of the disc, in pixels.

    Returns:
        The scores with and without the disc.

    Raises:
        ValueError: too few images to learn a covariance from.
    """
    channels = laguerre_gauss(present.shape[-1], WIDTH * diameter)
    answers = [images.reshape(len(images), -1).astype(np.float64) @ channels.T for images in (present, absent)]
    halves = [len(one) // 2 for one in answers]
    if min(halves) < 2 * len(channels):
        raise ValueError(f"an observer of {len(channels)} channels needs {4 * len(channels)} images or more of either kind")
    learned = [one[:half] for one, half in zip(answers, halves, strict=True)]
    covariance = (np.cov(learned[0], rowvar=False) + np.cov(learned[1], rowvar=False)) / 2
    # Channels in which nothing varies, such as after an extreme blur, tell nothing.
    template = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ (learned[0].mean(axis=0) - learned[1].mean(axis=0))
    first, second = (one[half:] @ template for one, half in zip(answers, halves, strict=True))
    return first, second


@dataclass(frozen=True)
class Detection:
    """Areas under the ROC curve of one task, all read from the same noise.

    Args:
        areas: name of the image -> area.
        errors: name of the image -> its standard error.
        difference: name of the image -> its area minus that of the first one, with the ends of the 95 % interval.
    """

    areas: dict[str, float]
    errors: dict[str, float]
    difference: dict[str, tuple[float, float, float]]

    @classmethod
    def of(cls, scores: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Detection:
        """From the scores with and without the disc of each kind of image.

        The covariance of the areas is that of DeLong, DeLong and Clarke-Pearson (1988), which knows that all have the same noise.
        """
        names = list(scores)
        positive, negative = [], []
        for present, absent in scores.values():
            wins = (present[:, None] > absent[None, :]) + 0.5 * (present[:, None] == absent[None, :])
            positive.append(wins.mean(axis=1))
            negative.append(wins.mean(axis=0))
        areas = np.mean(positive, axis=1)
        of_positive, of_negative = (np.atleast_2d(np.cov(np.stack(part))) / len(part[0]) for part in (positive, negative))
        covariance = of_positive + of_negative
        differences = {}
        for k, name in enumerate(names):
            change = float(areas[k] - areas[0])
            error = math.sqrt(max(0.0, covariance[k, k] + covariance[0, 0] - 2 * covariance[0, k]))
            differences[name] = change, change - NORMAL_95 * error, change + NORMAL_95 * error
        return cls(
            {name: float(area) for name, area in zip(names, areas, strict=True)},
            {name: math.sqrt(covariance[k, k]) for k, name in enumerate(names)},
            differences,
        )
