"""What is denoised while the clock runs: a volume of any size whose body fills the view, and the sample head with air around it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from MRIDenoiseLib import io
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.volume import Volume

NOISE = 40.0
"""Standard deviation of each channel's noise; tissue lies around 500."""


def phantom(size: int, slices: int, seed: int) -> Volume:
    """A textured disc in Rician noise, (slices, size, size), slices 4 mm apart; another seed, other noise."""
    y, x = np.mgrid[0:size, 0:size]
    disc = np.hypot(x - size / 2, y - size / 2) < 0.49 * size
    generator = np.random.default_rng(seed)
    # Slice by slice, so that it is the only large array and the peak of memory is that of denoising.
    voxels = np.empty((slices, size, size), np.float32)
    for z, image in enumerate(voxels):
        body = np.where(disc, 500 + 100 * np.sin(x / 20) * np.cos(y / 30 + z), 0)
        noise = generator.normal(0, NOISE, (2, size, size))
        image[:] = np.hypot(body + noise[0], noise[1])
    return Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0]))


@lru_cache
def sample_head() -> tuple[Volume, Volume]:
    """The noisy and the clean head that come with the program.

    Raises:
        InputError: they do not, where it was installed without its resources.
    """
    noisy, clean = (io.read(sample_data(f"head_T1w_{name}.nii.gz")) for name in ("noisy", "clean"))
    return noisy, clean
