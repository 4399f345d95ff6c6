"""Phantoms of tissues as files, and the command line as its user runs it."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.evaluation.claims.segmentation_time import phantom

DIRECTION = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def save(voxels: np.ndarray, path: Path, spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)) -> Path:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin((-12.0, 7.0, 31.0))
    image.SetDirection(DIRECTION)
    sitk.WriteImage(image, str(path))
    return path


def files(folder: Path, snr: float = 20, seed: int = 0, name: str = "head_T1w") -> tuple[Path, Path, np.ndarray]:
    """A phantom's image, the mask of its body, and its labels."""
    made = phantom(shape=(6, 60, 64), snr=snr, seed=seed, bias=0.1)
    image = save((10 * made.image).astype(np.int16), folder / f"{name}.nii.gz")
    return image, save((made.labels > 0).astype(np.uint8), folder / "mask.nii.gz"), made.labels


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])
