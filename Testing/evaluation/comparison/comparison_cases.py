"""Small comparisons: a data folder of phantoms with repeats, and configurations for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import yaml
from scipy import ndimage

from MRIDenoiseLib.evaluation.comparison.cells import Outcome
from MRIDenoiseLib.evaluation.comparison.plan import Plan
from MRIDenoiseLib.evaluation.comparison.run import Findings

MANIFEST = "file,source,licence,organ,contrast,vendor,subject,split,own_noise\n"


def write_data(folder: Path) -> Path:
    """Three subjects with a volume of 14 thick slices each, and the repeats called EPI, whose first is not in any mean yet."""
    (folder / "volumes").mkdir(parents=True)
    (folder / "repeats").mkdir()
    lines = [MANIFEST]
    for number, subject in enumerate(("s1", "s2", "t1")):
        contrast = "T2w" if subject == "s2" else "T1w"
        split = "train" if subject == "t1" else "test"
        name = f"volumes/{'knee' if subject == 's2' else 'head'}_{contrast}_{subject}.nii.gz"
        _write(folder / name, phantom(number))
        lines.append(f"{name},made here,none,{'knee' if subject == 's2' else 'head'},{contrast},Siemens,{subject},{split},0.005\n")
    # Not packed: every repeat is read by itself.
    file = "repeats/head_EPI_philips.nii"
    (folder / "repeats.csv").write_text(f"name,file,group,volumes\nEPI,{file},0,{' '.join(map(str, range(20)))}\n", encoding="utf-8")
    noise = np.random.default_rng(1)
    volumes = [_image(np.abs(smooth() + noise.normal(0, 25, (14, 72, 76))).astype(np.float32)) for _ in range(20)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(folder / file))
    lines.append(f"{file},made here,none,head,EPI,Philips,r1,repeats,\n")
    (folder / "MANIFEST.csv").write_text("".join(lines), encoding="utf-8")
    return folder


def phantom(number: int) -> np.ndarray:
    """Float32 (14, 72, 76), a disc of three tissues with stripes; 0 to about 900."""
    y, x = np.mgrid[0:72, 0:76]
    radius = np.hypot(y - 36, x - 38)
    disc = np.select([radius < 8, radius < 18 + number, radius < 29 + number], [900, 350, 600], 0) * (1 + 0.05 * np.sin(x / 2))
    return np.stack([disc * (1 + 0.01 * k) for k in range(14)]).astype(np.float32)


def smooth() -> np.ndarray:
    """Float32 (14, 72, 76), a disc with no detail inside, so that its noise is easily told from it; 0 to about 650."""
    y, x = np.mgrid[0:72, 0:76]
    disc = np.where(np.hypot(y - 36, x - 38) < 32, 500 + 150 * np.tanh((x - 38) / 20), 0.0)
    return np.stack([ndimage.gaussian_filter(disc, 0.7)] * 14).astype(np.float32)


def write_config(path: Path, **values: Any) -> Path:
    """A configuration that scores the noisy image, a blur and a median of two subjects; ``values`` take the place of its own."""
    content: dict[str, Any] = {
        "slices": 3,
        "steps": 2,
        "methods": ["noisy", "blur", "median"],
        "volumes": [{"subjects": ["s1", "s2"], "noises": ["R"]}],
        "tuning": {"volumes": [{"subjects": ["t1"], "noises": ["R"]}], "slices": 1, "trials": 3},
    }
    content |= values
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def findings_of(plan: Plan, figures: Mapping[tuple[str, str], Mapping[str, float]]) -> Findings:
    """What a comparison would have found: (method, subject) -> figures; what is not there has failed."""
    settings = plan.choose({})
    cells = []
    for cell in plan.scored(settings):
        if cell.method != "limits":
            found = figures.get((cell.method, cell.case.subject))
            cells.append(
                (cell, Outcome(error="it did not work") if found is None else Outcome(found, seconds=3.0, processor=6.0, megabytes=5.0))
            )
    return Findings(plan=plan, settings=settings, trials={}, cells=cells, limits={}, noises={}, notes={})


def _write(path: Path, voxels: np.ndarray) -> None:
    sitk.WriteImage(_image(voxels), str(path))


def _image(voxels: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 4.0))
    return image
