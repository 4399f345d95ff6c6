"""A volume of any size whose body fills the view, so that nothing of it is left out."""

from __future__ import annotations

import numpy as np

from MRIDenoiseLib.volume import Volume

NOISE = 40.0
"""Standard deviation of each channel's noise; tissue lies around 500."""


def phantom(size: int, slices: int, seed: int) -> Volume:
    """A textured disc in Rician noise, (slices, size, size), slices 4 mm apart; another seed, other noise."""
    z, y, x = np.mgrid[0:slices, 0:size, 0:size]
    disc = np.hypot(x - size / 2, y - size / 2) < 0.49 * size
    body = np.where(disc, 500 + 100 * np.sin(x / 20) * np.cos(y / 30 + z), 0)
    noise = np.random.default_rng(seed).normal(0, NOISE, (2, *body.shape))
    return Volume(np.hypot(body + noise[0], noise[1]).astype(np.float32), np.diag([4.0, 1.0, 1.0, 1.0]))
