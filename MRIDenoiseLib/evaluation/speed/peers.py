"""What users have: denoisers of other packages, timed on the same volume."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from MRIDenoiseLib.evaluation.denoisers.ants import denoise_image
from MRIDenoiseLib.evaluation.denoisers.bm4d import block_matching
from MRIDenoiseLib.evaluation.speed.peak_memory import peak_memory
from MRIDenoiseLib.evaluation.speed.row import Measured, Row, Times
from MRIDenoiseLib.evaluation.speed.volumes import NOISE, phantom

PEERS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "BM4D": lambda image, threads: block_matching(image, NOISE, threads),
    # It takes as many threads as ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS says, which the measuring process is given.
    "ANTs DenoiseImage": lambda image, threads: denoise_image(image, model="Rician"),
}
"""Name -> what it makes of an image on so many threads."""


def measure_peer(row: Row) -> Measured:
    """A whole volume, once: their times hardly differ from run to run, and none prepares anything.

    Raises:
        SettingsError: the package is not installed.
    """
    assert row.peer is not None
    image = phantom(row.size, row.slices, seed=0).voxels
    began = time.perf_counter()
    PEERS[row.peer](image, row.threads)
    seconds = time.perf_counter() - began
    each = Times((seconds / row.slices,))
    return Measured(slice=each, with_transfer=each, volume=Times((seconds,)), memory=peak_memory())
