"""The module's icon: as large as the catalogue asks, and drawn by the script that says so."""

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import draw_icon
import numpy as np


def _stored(png: bytes) -> np.ndarray:
    """The pixels of a PNG whose rows are stored without a filter, as the script writes them."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    parts: dict[bytes, bytes] = {}
    place = 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, content = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length) == (zlib.crc32(kind + content),)
        parts[kind] = parts.get(kind, b"") + content
        place += 12 + length
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, colour) == (8, 6)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, 1 + 4 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 4)


def test_the_icon_is_a_square_of_128_pixels(root: Path) -> None:
    assert _stored((root / "MRIDenoise/Resources/Icons/MRIDenoise.png").read_bytes()).shape == (128, 128, 4)


def test_the_script_draws_the_icon_that_is_there(root: Path) -> None:
    # Pixels, not bytes: builds of zlib compress differently.
    np.testing.assert_array_equal(_stored((root / "MRIDenoise/Resources/Icons/MRIDenoise.png").read_bytes()), draw_icon.draw())
    assert root / "MRIDenoise/Resources/Icons/MRIDenoise.png" == draw_icon.ICON


def test_a_tool_button_still_shows_a_noisy_left_and_a_clean_right() -> None:
    size = draw_icon.TOOL_BUTTON
    edges = np.arange(size + 1) * draw_icon.SIDE // size
    grey = draw_icon.draw()[..., :3].mean(axis=2)
    cells = list(pairwise(edges))
    small = np.array([[grey[a:b, c:d].mean() for c, d in cells] for a, b in cells])
    brain = small[size // 4 : -size // 4]
    left, right = brain[:, size // 4 : size // 2 - 1], brain[:, size // 2 + 1 : -size // 4]
    steps = [float(np.abs(np.diff(half, axis=0)).mean()) for half in (left, right)]
    assert steps[0] > 3 * steps[1], steps
