"""What users have: denoisers of other packages, timed on the same volume."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from MRIDenoiseLib.evaluation.methods.ants import denoise_image
from MRIDenoiseLib.evaluation.methods.bm4d import block_matching
from MRIDenoiseLib.evaluation.peak_memory import peak_memory
from MRIDenoiseLib.evaluation.speed.row import Measured, Row, Times
from MRIDenoiseLib.evaluation.speed.volumes import NOISE, phantom

PEERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "BM4D": lambda image: block_matching(image, NOISE),
    "ANTs DenoiseImage": lambda image: denoise_image(image, model="Rician"),
}


def measure_peer(row: Row) -> Measured:
    """A whole volume, once: their times hardly differ from run to run, and none prepares anything.

    BM4D runs on one thread, where its result is the same every time; ANTs takes as many as the process may.

    Raises:
        SettingsError: the package is not installed.
    """
    assert row.peer is not None
    image = phantom(row.size, row.slices, seed=0).voxels
    began = time.perf_counter()
    PEERS[row.peer](image)
    seconds = time.perf_counter() - began
    each = Times((seconds / row.slices,))
    return Measured(slice=each, with_transfer=each, volume=Times((seconds,)), memory=peak_memory())
