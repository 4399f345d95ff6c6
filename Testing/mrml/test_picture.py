"""The comparison as it is seen: three views of a real volume, drawn without a window by Slicer's own means."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from desktop import Desktop
from offscreen import OffscreenView
from scipy.ndimage import gaussian_filter

from MRIDenoiseLib import mrml
from MRIDenoiseLib.mrml import DENOISED, NOISY, RESIDUAL, Layout

SAMPLE = Path(__file__).resolve().parents[2] / "Resources" / "SampleData" / "head_T1w_noisy.nii.gz"
SIZE = 400


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    made = Desktop(tmp_path / "cache", (SIZE, SIZE))
    yield made
    made.close()


class Scene:
    """The sample volume, blurred and what blurring took away, side by side."""

    def __init__(self, desktop: Desktop) -> None:
        self.noisy = desktop.modules["Volumes"].AddArchetypeVolume(str(SAMPLE), "head", 0)
        volume = mrml.to_volume(self.noisy)
        blurred = gaussian_filter(volume.voxels, 0.8)
        self.made = mrml.add_results(desktop.scene, self.noisy, volume.with_voxels(blurred), volume.with_voxels(volume.voxels - blurred))
        self.comparison = mrml.Comparison(desktop.scene, desktop.logic)
        self.comparison.enter(self.noisy, self.made.denoised, residual=self.made.residual)
        self.views = {view: OffscreenView(desktop, view.tag) for view in Layout.WITH_RESIDUAL.views}
        self.renderers = {view: offscreen.renderer for view, offscreen in self.views.items()}

    def pictures(self) -> dict:
        return {view: offscreen.picture() for view, offscreen in self.views.items()}

    def close(self) -> None:
        for offscreen in self.views.values():
            offscreen.close()


@pytest.fixture
def shown(desktop: Desktop) -> Iterator[Scene]:
    if not vtk.vtkRenderWindow().SupportsOpenGL():
        pytest.skip("nothing here can draw: install libosmesa6")
    made = Scene(desktop)
    yield made
    made.close()


def lettering(picture: np.ndarray) -> np.ndarray:
    """Where a picture's upper edge has the yellow of the labels; everything else there is grey."""
    band = picture[: SIZE // 12].astype(int)
    return (band[..., 0] > 150) & (band[..., 1] > 150) & (band[..., 0] - band[..., 2] > 40)


def test_three_views_show_three_images_with_their_names(shown: Scene, tmp_path: Path) -> None:
    bare = shown.pictures()
    shown.comparison.draw_labels(shown.renderers)
    pictures = shown.pictures()
    sitk.WriteImage(sitk.GetImageFromArray(np.hstack(list(pictures.values())), isVector=True), str(tmp_path / "comparison.png"))
    for view, picture in pictures.items():
        middle = picture[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4]
        assert picture.shape == (SIZE, SIZE, 3) and middle.std() > 10, f"{view.tag} is empty"
        assert not lettering(bare[view]).any() and lettering(picture).sum() > 60, f"{view.tag} has no label"
        columns = np.flatnonzero(lettering(picture).any(axis=0))
        assert columns.min() > 5 and columns.max() < SIZE - 5, f"the label of {view.tag} is cut"
        assert abs(columns.mean() - SIZE / 2) < SIZE / 10
    grey = {view: picture[SIZE // 8 :, ..., 1].astype(float) for view, picture in pictures.items()}
    # One plane and one window: the denoised view shows the noisy one's head, with less between neighbours.
    assert np.corrcoef(grey[NOISY].ravel(), grey[DENOISED].ravel())[0, 1] > 0.9
    assert np.abs(np.diff(grey[DENOISED])).mean() < 0.7 * np.abs(np.diff(grey[NOISY])).mean()
    assert abs(grey[DENOISED].mean() - grey[NOISY].mean()) < 5
    # Nothing taken away is mid-grey.
    assert abs(np.median(grey[RESIDUAL]) - 127) < 12


def test_the_label_follows_the_image_and_goes_with_the_comparison(shown: Scene) -> None:
    shown.comparison.draw_labels(shown.renderers)
    before = shown.pictures()
    shown.comparison.flicker()
    swapped = shown.pictures()
    assert np.array_equal(lettering(swapped[DENOISED]), lettering(before[NOISY]))
    assert np.abs(swapped[DENOISED].astype(int) - before[NOISY]).mean() < 1
    shown.comparison.flicker()
    assert np.array_equal(lettering(shown.pictures()[DENOISED]), lettering(before[DENOISED]))
    shown.comparison.leave()
    assert not any(lettering(picture).any() for picture in shown.pictures().values())


def test_a_long_label_fits_a_narrow_view(desktop: Desktop, shown: Scene) -> None:
    narrow = shown.views[DENOISED]
    narrow.window.SetSize(140, SIZE)
    desktop.slice_logic(DENOISED.tag).ResizeSliceNode(140, SIZE)
    shown.comparison.draw_labels(shown.renderers)
    shown.comparison.wipe(0.25)
    columns = np.flatnonzero(lettering(narrow.picture()).any(axis=0))
    assert columns.min() > 0 and columns.max() < 139


def test_the_patient_lies_as_the_markers_say(shown: Scene) -> None:
    """A bright spot on the patient's left, in front, is on the right of the picture, above its middle."""
    array = slicer.util.arrayFromVolume(shown.noisy)
    grid = mrml.to_volume(shown.noisy).ijk_to_ras
    k, j, i = np.indices(array.shape).reshape(3, -1)
    middle = (grid @ [*(np.array(array.shape[::-1]) - 1) / 2, 1])[:3]
    x, y = (grid @ np.stack([i, j, k, np.ones_like(i)]))[:2]
    spot = np.hypot(x - (middle[0] - 40), y - (middle[1] + 50)) < 8
    array[:] = 0
    array.reshape(-1)[spot] = 4000
    slicer.util.arrayFromVolumeModified(shown.noisy)
    shown.noisy.GetDisplayNode().SetWindowLevel(4000, 2000)
    rows, columns = np.nonzero(shown.pictures()[NOISY][: SIZE * 3 // 4, : SIZE * 3 // 4 + 20, 1] > 200)
    assert rows.mean() < SIZE / 2 - 40 and columns.mean() > SIZE / 2 + 30
