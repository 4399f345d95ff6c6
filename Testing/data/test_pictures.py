"""Pictures show what they say: hung as radiologists hang them, difference in grey, edges of the clean over the noisy."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pair_files import body, rician, volume

from MRIDenoiseLib.data.report import EDGE_COLOUR, PANEL, Picture, WorstPictures, alignment_png
from MRIDenoiseLib.volume import Volume

TRUTH = body(5, 60)


def panels(png: bytes, folder: Path) -> list[np.ndarray]:
    """The four images of a PNG, (rows, columns, 3) each."""
    (folder / "a.png").write_bytes(png)
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "a.png")))
    width = (image.shape[1] + 4) // 4 - 4
    return [image[:, k * (width + 4) : k * (width + 4) + width].astype(int) for k in range(4)]


def test_equal_images_have_a_grey_difference_and_edges_are_drawn_on_the_noisy_one_only(tmp_path: Path) -> None:
    noisy = volume(rician(TRUTH, 5, 1))
    one, other, difference, edges = panels(alignment_png(noisy, 3 * TRUTH, TRUTH > 100), tmp_path)
    assert one.shape[0] == PANEL and np.abs(one - other).mean() < 5
    assert np.abs(difference - 127.5).mean() < 8 and np.ptp(difference, axis=2).max() == 0
    drawn = (edges == EDGE_COLOUR).all(axis=2)
    assert 0.005 < drawn.mean() < 0.15 and np.array_equal(edges[~drawn], one[~drawn])


def test_the_slice_with_most_of_the_body_is_shown(tmp_path: Path) -> None:
    mask = TRUTH > 100
    mask[:3] = mask[4:] = False
    mask[0, 25:35, 25:35] = True
    shown = panels(alignment_png(volume(TRUTH), TRUTH, mask), tmp_path)[0][::5, ::5, 0]
    alike = [np.corrcoef(shown.ravel(), np.flip(part).ravel())[0, 1] for part in TRUTH]
    assert int(np.argmax(alike)) == 3


def test_a_shift_shows_as_black_and_white_in_the_difference(tmp_path: Path) -> None:
    noisy = volume(rician(TRUTH, 5, 1))
    still, moved = (panels(alignment_png(noisy, np.roll(TRUTH, by, axis=2), TRUTH > 100), tmp_path)[2] for by in (0, 3))
    assert moved.std() > 3 * still.std()


@pytest.mark.parametrize(("across", "up"), [(2, 1), (1, 2), (0, 2)], ids=["axial", "coronal", "sagittal"])
def test_anterior_and_superior_are_on_top_however_the_volume_is_stored(tmp_path: Path, across: int, up: int) -> None:
    """``across`` the slices and ``up`` on the screen: 0 is left to right, 1 back to front, 2 foot to head, as i, j, k are here."""
    voxels = np.full((40, 40, 40), 100.0, np.float32)
    np.moveaxis(voxels, 2 - up, 0)[20:] = 900
    spacing = [1.0, 1.0, 1.0]
    spacing[across] = 5.0
    stored = Volume(voxels, np.diag([*spacing, 1.0]))
    first = panels(alignment_png(stored, voxels, np.ones(voxels.shape, bool)), tmp_path)[0]
    half = first.shape[0] // 2
    assert first[: half - 4].mean() > 3 * first[half + 4 :].mean()


def test_the_worst_pictures_are_kept_and_no_others_are_drawn() -> None:
    drawn: list[float] = []

    def draw(flow: float) -> Picture:
        drawn.append(flow)
        return Picture(f"fast {flow}", flow, "", b"")

    kept = WorstPictures(2)
    for flow in (0.1, 0.5, 0.2, 0.05, 0.4):
        kept.offer(flow, lambda flow=flow: draw(flow))
    assert [picture.flow_p95 for picture in kept.pictures] == [0.5, 0.4] and drawn == [0.1, 0.5, 0.2, 0.4]
