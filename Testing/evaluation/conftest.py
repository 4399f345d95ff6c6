"""A phantom of a head that is quick to denoise, clean and with noise."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MRIDenoiseLib.data.manifest import ManifestRow
from MRIDenoiseLib.evaluation.claims.claim import NoisyVolume
from MRIDenoiseLib.inference import Denoiser
from MRIDenoiseLib.volume import Volume


@pytest.fixture(scope="session")
def head() -> Volume:
    """22 sagittal slices of 80 x 72: a disc off the centre of the view, with stripes and two flat organs, in scanner units."""
    y, x = np.mgrid[0:80, 0:72]
    slices = []
    for k in range(22):
        image = np.where(np.hypot(y - 38, x - 40) < 24, 0.6 + 0.1 * np.sin(x / 2 + k / 4), 0.0)
        image[np.hypot(y - 32, x - 34) < 6] = 1.0
        image[np.hypot(y - 48, x - 44) < 5] = 0.3
        slices.append(image)
    voxels = np.moveaxis(np.stack(slices), 0, 2).astype(np.float32)
    return Volume(800 * np.ascontiguousarray(voxels), np.diag([4.0, 0.9, 1.1, 1.0]))


@pytest.fixture(scope="session")
def source() -> ManifestRow:
    return ManifestRow("volumes/head_T1w_s1.nii.gz", "made here", "none", "head", "T1w", "Siemens", "s1")


@pytest.fixture(scope="session")
def row(head, source) -> NoisyVolume:
    """The head with the Rician noise of the comparisons; tests read it, none changes it."""
    return NoisyVolume.of(head, source, "R")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory) -> Path:
    """Two subjects with a volume each, 14 thick slices."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "volumes").mkdir()
    lines = []
    for number, subject in enumerate(("s1", "s2")):
        y, x = np.mgrid[0:48, 0:52]
        disc = np.where(np.hypot(y - 24, x - 26) < 16 + 2 * number, 500 + 90 * np.sin(x / (2 + number)), 0).astype(np.float32)
        image = sitk.GetImageFromArray(np.stack([disc] * 14))
        image.SetSpacing((1.0, 1.0, 4.0))
        name = f"volumes/head_T1w_{subject}.nii.gz"
        sitk.WriteImage(image, str(folder / name))
        lines.append(f"{name},made here,none,head,T1w,Siemens,{subject},test,0.005\n")
    (folder / "MANIFEST.csv").write_text("file,source,licence,organ,contrast,vendor,subject,split,own_noise\n" + "".join(lines))
    return folder


@pytest.fixture(scope="session")
def small_denoiser(small_networks, loaded) -> Denoiser:
    models = loaded(small_networks)
    del models.networks["noise_estimator"]
    return Denoiser(models, "cpu")
