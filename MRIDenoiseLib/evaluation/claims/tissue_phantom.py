"""A head of three tissues whose labels are known, with a bias field and Rician noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SPACING = (3.0, 1.0, 1.0)


class Phantom(NamedTuple):
    """Arrays are (slices, rows, columns); labels 1 to 3 from dark to bright, 0 in air; spacing in mm."""

    image: np.ndarray
    labels: np.ndarray
    bias: np.ndarray
    spacing: tuple[float, float, float] = SPACING


def phantom(
    bias: float = 0.4,
    snr: float = 20,
    levels: tuple[float, ...] = (60, 85, 115),
    shape: tuple[int, int, int] = (12, 120, 128),
    seed: int = 0,
) -> Phantom:
    """Nested folded shells and two dark holes.

    Args:
        bias: its range: 0.4 means a field from 0.8 to 1.2.
        snr: mean level over the noise's standard deviation.
        levels: brightness of the three tissues.
        shape: (slices, rows, columns).
        seed: of the noise.
    """
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    labels = np.zeros(shape, int)
    labels[radius < 0.85] = 1
    labels[radius < 0.74 + 0.05 * np.sin(8 * angle)] = 2
    labels[radius < 0.5 + 0.08 * np.sin(6 * angle + 3 * z)] = 3
    labels[np.hypot(y, np.abs(x) - 0.15) < 0.1] = 1
    field = 1 + bias / 2 * np.sin(np.pi * x / 2) * np.cos(np.pi * y / 3)
    clean = np.append(0, levels)[labels] * field
    noise = np.random.default_rng(seed).normal(0, np.mean(levels) / snr, (2, *shape))
    return Phantom(np.hypot(clean + noise[0], noise[1]), labels, field)
