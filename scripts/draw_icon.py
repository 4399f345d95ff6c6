"""Draws the module's icon: python scripts/draw_icon.py

A slice of a head, noisy on the left and clean on the right, readable at the 24 pixels of a tool button. It is drawn rather than
painted so that anyone can change it, with numbers that come out the same on every computer: no function but the square root, and
random numbers whose sequence NumPy promises to keep.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

ICON = Path(__file__).resolve().parent.parent / "MRIDenoise" / "Resources" / "Icons" / "MRIDenoise.png"
SIDE = 128
FINER = 4  # samples a side in each pixel, averaged to smooth edges
TOOL_BUTTON = 24  # pixels a side: a grain of noise is as large as one of them, or it would vanish there

FILM = (18, 24, 38)
LINE = (255, 176, 32)
# Brightness of the tissues, from 0 to 1.
SCALP, SKULL, GREY, WHITE, FLUID = 0.95, 0.05, 0.45, 0.75, 0.10
NOISE = 0.60
# Half width and half height, in halves of the icon.
HEAD, BRAIN = (0.80, 0.92), (0.64, 0.76)


def _coordinates() -> tuple[np.ndarray, np.ndarray]:
    """Horizontal and vertical positions of all samples, from -1 to 1, and down."""
    centres = (np.arange(SIDE * FINER) + 0.5) / (SIDE * FINER) * 2 - 1
    return np.meshgrid(centres, centres)


def _ellipse(centre: tuple[float, float], half: tuple[float, float]) -> np.ndarray:
    x, y = _coordinates()
    return ((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 <= 1


def _rounded_square(half: float, radius: float) -> np.ndarray:
    x, y = _coordinates()
    beyond = [np.maximum(np.abs(axis) - (half - radius), 0) for axis in (x, y)]
    return np.sqrt(beyond[0] ** 2 + beyond[1] ** 2) <= radius


def _head() -> np.ndarray:
    """Brightness of a clean axial slice, and 0 outside the head."""
    brightness = np.zeros((SIDE * FINER, SIDE * FINER))
    brightness[_ellipse((0, 0), HEAD)] = SCALP
    brightness[_ellipse((0, 0), (HEAD[0] - 0.10, HEAD[1] - 0.10))] = SKULL
    brightness[_ellipse((0, 0), BRAIN)] = GREY
    for side in (-1, 1):
        brightness[_ellipse((side * 0.28, 0), (0.24, 0.52))] = WHITE
        brightness[_ellipse((side * 0.17, 0), (0.10, 0.30))] = FLUID
    return brightness


def _grains() -> np.ndarray:
    """Noise from -1 to 1, one value a pixel of a tool button."""
    values = np.random.RandomState(11).uniform(-1, 1, (TOOL_BUTTON, TOOL_BUTTON))
    cell = np.arange(SIDE * FINER) * TOOL_BUTTON // (SIDE * FINER)
    return values[np.ix_(cell, cell)]


def draw() -> np.ndarray:
    """The icon: (128, 128, 4) bytes of red, green, blue and opacity."""
    x, _ = _coordinates()
    head = _head()
    noisy = np.where(_ellipse((0, 0), BRAIN) & (x < 0), head + NOISE * _grains(), head)
    brightness = np.clip(noisy, 0, 1)[..., None]
    colour = np.array(FILM) * (1 - brightness) + 255.0 * brightness
    colour[np.abs(x) <= 0.04] = LINE
    film = _rounded_square(1.0, 0.28)[..., None]
    samples = np.concatenate([colour * film, 255.0 * film], axis=2)
    pixels = samples.reshape(SIDE, FINER, SIDE, FINER, 4).mean(axis=(1, 3))
    covered = pixels[..., 3:] / 255
    pixels[..., :3] = np.divide(pixels[..., :3], covered, out=np.zeros_like(pixels[..., :3]), where=covered > 0)
    return np.floor(pixels + 0.5).astype(np.uint8)


def as_png(pixels: np.ndarray) -> bytes:
    """The pixels as a PNG file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def main() -> None:
    """Write the icon where the module expects it."""
    ICON.parent.mkdir(parents=True, exist_ok=True)
    ICON.write_bytes(as_png(draw()))
    print(ICON)


if __name__ == "__main__":
    main()
