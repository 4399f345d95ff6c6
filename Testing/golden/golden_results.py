"""What the program comes to on fixed inputs: results that a change of its form must leave as they are, bit for bit.

    python Testing/golden/golden_results.py FILE [--data DIR]

Nearly all of it goes through the command line and the files that it writes, and the inputs are made here, so that files may move and
functions may be renamed without a change of this folder. What is taken from the library all the same is imported below: here, and
nowhere else in it. :func:`results` runs this file in a process of its own: one thread, no GPU, and nothing left over from other tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import SimpleITK as sitk
import yaml

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.evaluation.comparison.cells import run_cell
from MRIDenoiseLib.evaluation.comparison.config import read_config
from MRIDenoiseLib.evaluation.comparison.plan import Plan
from MRIDenoiseLib.inference import METHODS
from MRIDenoiseLib.models.configs import CONFIGS, ModelConfig, tiny

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "Resources" / "SampleData" / "head_T1w_noisy.nii.gz"
QUICK = ROOT / "scripts" / "benchmarks" / "quick.yaml"
ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
SAME_INSTRUCTIONS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Wider ones, where a processor has them, would add up in another order. Whoever sets these variables otherwise is heeded."""

Result = np.ndarray | str | dict[str, float]
"""Voxels or weights, a text, or figures by name."""
Results = Mapping[str, Result]


@dataclass(frozen=True)
class Section:
    """Results that are made together.

    Args:
        make: gives name and result, in an empty folder and, where ``on_data``, from the data folder.
        tolerance: how far a voxel may be from its committed value on another processor, a part of the largest one.
        of_figures: the same for a figure, a part of itself.
        strays: so many of the committed voxels may be further off.
        of_the_model: whether the results are those of the bundled model's weights.
        on_data: whether real data are needed.
    """

    make: Callable[[Path, Path], Iterator[tuple[str, Result]]]
    tolerance: float = 1e-5
    of_figures: float = 1e-5
    strays: int = 0
    of_the_model: bool = False
    on_data: bool = False


def results(data: Path | None = None) -> dict[str, Result]:
    """Name -> result, of every section that can be made.

    Args:
        data: folder of real MR data; without it the comparison's cells are left out.

    Raises:
        RuntimeError: a part of it failed; what the program said is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results"
        words = [sys.executable, __file__, str(file), *(["--data", str(data)] if data else [])]
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        variables = SAME_INSTRUCTIONS | os.environ | ALONE | {"PYTHONPATH": paths}
        ended = subprocess.run(words, env=variables, cwd=folder, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"the golden results could not be made:\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}")
        with np.load(file, allow_pickle=False) as kept:
            return {name: json.loads(str(kept[name])) if kept[name].dtype.kind == "U" else kept[name] for name in kept.files}


def section_of(name: str) -> Section:
    """The section of a result."""
    return SECTIONS[name.split("/")[0]]


def weights() -> dict[str, str]:
    """File -> sha256 of the bundled model's weights, as its card lists them."""
    files = json.loads((bundled_model() / "card.json").read_text(encoding="utf-8"))["files"]
    return {name: digest for name, digest in sorted(files.items()) if name.endswith(".safetensors")}


def _run(*words: object) -> None:
    """Give the command line a command."""
    given = [str(word) for word in words]
    status = main(given)
    if status:
        raise RuntimeError(f"mridenoise {' '.join(given)} ended with {status}")


def _written(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _denoised(folder: Path, data: Path) -> Iterator[tuple[str, Result]]:
    """Two slices of the sample's middle by every method, (slices, rows, columns), with the options that take the least time.

    The sample is stored as fractions first: whole numbers would hide small changes and make large ones of some.
    """
    sample, out = folder / "sample.nii", folder / "out.nii"
    image = sitk.ReadImage(str(SAMPLE))
    sitk.WriteImage(sitk.Cast(image[MIDDLE, MIDDLE, :], sitk.sitkFloat32), str(sample))
    runs: dict[str, tuple[str, ...]] = {name: ("--method", name, *FEW_STEPS.get(name, ())) for name in METHODS}
    runs |= {
        "regression, two views, less strength": ("--method", "regression", "--samples", "2", "--strength", "0.7"),
        "posterior-mean, two samples": ("--method", "posterior-mean", "--samples", "2", "--steps", "2"),
        "fidelity-guided as published": ("--method", "fidelity-guided", "--mode", "paper", "--steps", "2"),
        "as the card recommends, told another contrast": ("--contrast", "T2w", "--vendor", "GE", "--acceleration", "3"),
    }
    for name, options in runs.items():
        _run("denoise", sample, out, *options, "--slices", "7:9", "--seed", 3, *ON_THE_PROCESSOR, "--overwrite")
        yield name, _voxels(out)[7:9]


def _compared(folder: Path, data: Path) -> Iterator[tuple[str, Result]]:
    """The figures of twenty cells of the quick comparison: what needs little time, methods at their customary settings.

    In this process, and not by the command: that starts others and draws a report, which takes longer than the cells.
    """
    config = yaml.safe_load(QUICK.read_text(encoding="utf-8"))
    small = [one for one in config["volumes"] if one["subjects"] == ["pymskt"]]
    config |= {"volumes": small, "methods": list(COMPARED), "tuning": None}
    plan = Plan.of(read_config(_written(folder / "quick.yaml", config)), data)
    for cell in plan.scored(plan.choose({})):
        if cell.method in COMPARED:
            outcome = run_cell(cell)
            if outcome.error:
                raise RuntimeError(f"{cell.method} on {cell.case.name}: {outcome.error}")
            yield f"{cell.case.name}, {cell.method}", dict(outcome.figures)


def _trained(folder: Path, data: Path) -> Iterator[tuple[str, Result]]:
    """Losses and weights after a few steps of every objective, first from random weights, then in the other ways there are."""
    clean = _training_data(folder / "data")
    begin: tuple[object, ...] = ()
    for name, stages in RECIPES.items():
        recipe = _written(folder / f"{name}.yaml", {"config": "tiny", "settings": {"samples": 1}, "stages": stages})
        run, model = folder / f"{name} run", folder / f"{name} model"
        _run("train", recipe, run, "--data", clean, "--out", model, *begin)
        begin = "--from-bundle", model
        for stage in stages:
            network = stage["network"]
            entries = map(json.loads, (run / network / "log.jsonl").read_text(encoding="utf-8").splitlines())
            losses = {key: value for entry in entries for key, value in entry.items() if key.startswith(("loss/", "probe/"))}
            yield f"{name}, losses of {network}", losses
            yield f"{name}, weights of {network}", _weights_in(model / network)
        yield f"{name}, weights of the text encoder", _weights_in(model / "text_encoder")


def _weights_in(folder: Path) -> np.ndarray:
    """All weights of a network in one row, ordered by their names."""
    from safetensors.numpy import load_file

    (file,) = folder.glob("*.safetensors")
    return np.concatenate([values.ravel() for _, values in sorted(load_file(file).items())])


def _training_data(folder: Path) -> Path:
    """A folder of two clean volumes that may be trained on, with the list of what they are."""
    (folder / "volumes").mkdir(parents=True)
    lines = ["file,source,licence,organ,contrast,vendor,subject,split,own_noise"]
    for number, organ in enumerate(("head", "knee")):
        file = f"volumes/{organ}.nii.gz"
        _write_object(folder / file, number, 0.0, depth=3, size=192)
        lines.append(f"{file},made here,CC0,{organ},T1w,GE,s{number},train,0.0050")
    (folder / "MANIFEST.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _write_object(path: Path, number: int, noise: float, depth: int, size: int) -> None:
    """A round object with stripes, each number another one, and noise of this standard deviation, in whole numbers."""
    z, y, x = np.meshgrid(np.arange(depth), *[np.linspace(-1, 1, size)] * 2, indexing="ij")
    stripes = 600 + 300 * np.sin((7 + 2 * number) * x + 3 * y + 0.3 * z)
    clean = np.where(x**2 + (1 + 0.1 * number) * y**2 < 0.8, stripes, 0)
    noisy = np.abs(clean + noise * np.random.default_rng([number, round(noise)]).standard_normal(clean.shape))
    image = sitk.GetImageFromArray(np.rint(noisy).astype(np.int16))
    image.SetSpacing((1.0, 1.0, 4.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def _studied(folder: Path, data: Path) -> Iterator[tuple[str, Result]]:
    """What a fixed seed gives every reader to read, in which order, and how the images are blinded."""
    subjects = [f"S{number}" for number in range(6)]
    for number, subject in enumerate([*subjects, "P0"]):
        for arm, noise in ARMS.items():
            _write_object(folder / "images" / subject / f"{arm}.nii.gz", number, noise, depth=3, size=24)
    for name, presentation in STUDIES.items():
        config = {"name": "golden", "seed": 5, "readers": ["R1", "R2", "R3"], "washout_days": 14, "volumes": "images", "group": "head"}
        config |= {"arms": {arm: f"{{subject}}/{arm}.nii.gz" for arm in ARMS}, "cases": subjects, "practice": ["P0"], **presentation}
        study = folder / name
        _run("study", "create", "--config", _written(folder / f"{name}.yaml", config), "--out", study)
        plan = json.loads((study / "reading" / "plan.json").read_text(encoding="utf-8"))
        images = json.loads((study / "key" / "key.json").read_text(encoding="utf-8"))["volumes"]
        called = {volume: f"{image['subject']} {image['arm']}" for volume, image in images.items()}
        yield f"{name}, lists", _lists(plan["lists"], called)
        shown = sorted(called.items(), key=lambda one: one[1])
        yield (
            f"{name}, windows",
            {
                f"{what}, {key}": value
                for volume, what in shown
                for key, value in (plan["windows"][volume] | {"factor": images[volume]["factor"]}).items()
            },
        )
        yield f"{name}, images", np.stack([_voxels(study / "reading" / "volumes" / f"{volume}.nii") for volume, _ in shown])


def _lists(lists: Mapping[str, list[list[dict[str, Any]]]], called: Mapping[str, str]) -> str:
    """Reader, session and what is read in it, in order; images that are shown together are joined by a plus."""
    lines = []
    for reader, sessions in sorted(lists.items()):
        for number, session in enumerate(sessions, start=1):
            items = (" + ".join(called[volume] for volume in item["volumes"]) + " (practice)" * item["practice"] for item in session)
            lines.append(f"{reader} session {number}: {', '.join(items)}")
    return "\n".join(lines)


ON_THE_PROCESSOR = ("--device", "cpu", "--precision", "float32")
MIDDLE = slice(64, 192)
"""Columns and rows of the sample: the head without most of the air."""
FEW_STEPS = {"fidelity-guided": ("--steps", "2"), "ddim": ("--steps", "3")}
COMPARED = ("noisy", "blur", "median", "gradient", "ours")
ARMS = {"noisy": 30.0, "ours": 8.0, "reference": 4.0}
STUDIES: dict[str, dict[str, Any]] = {
    "one image at a time": {
        "sessions": 4,
        "repeats": 3,
        "reference": "reference",
        "forms": [{"kind": "likert", "field": "image_quality"}],
        "primary_outcome": "image_quality",
    },
    "side by side": {
        "sessions": 2,
        "presentation": "side-by-side",
        "forms": [{"kind": "preference"}],
        "primary_outcome": "preference",
    },
}
FIVE_LEVELS = ("degradation", "restoration")
_SMALL = {"steps": 2, "batch_size": 2, "crop": 64, "learning_rate": 1e-2, "epoch_steps": 2, "lora_rank": 2}
RECIPES: dict[str, list[dict[str, Any]]] = {
    "afresh": [
        _SMALL | {"network": "noise_estimator"},
        _SMALL | {"network": "restoration", "text": "whole"},
        _SMALL | {"network": "denoiser", "accumulate": 2},
        _SMALL | {"network": "degradation", "crop": 176, "batch_size": 1},
        _SMALL | {"network": "flow"},
    ],
    "gone on with": [
        _SMALL | {"network": "restoration", "text": "lora", "weighting": "plain", "schedule": "exponential"},
        _SMALL | {"network": "denoiser", "attention_lora": True, "weighting": "plain"},
        _SMALL | {"network": "degradation", "cycle": "paper", "adversarial": 0.0, "structural": 0.0},
        _SMALL | {"network": "flow"},
    ],
}
SECTIONS: dict[str, Section] = {
    # Samplers of a few steps hardly amplify: without AVX the voxels are less than 1e-6 apart.
    "denoised": Section(_denoised, of_the_model=True),
    # Tissue classes, thresholds and medians jump where a voxel crosses them: without AVX figures are up to 1e-4 apart.
    "compared": Section(_compared, of_figures=1e-3, of_the_model=True, on_data=True),
    # Adam's first steps are of one length whatever the gradient: where that is nearly zero, rounding decides which way a weight goes,
    # and what is trained after it learns from that. Two steps change a weight by up to 5e-2 of the largest.
    "trained": Section(_trained, tolerance=1e-3, of_figures=1e-2, strays=4),
    "study": Section(_studied),
}


def _deeper() -> ModelConfig:
    """The sizes that the committed values were trained with: five levels, as the networks of the paper have."""
    nbnet = {"channels": (4, 4, 4, 4, 4), "mid_channels": 4, "subspace_dim": 2, "film_width": 256}
    small = tiny()
    return replace(small, networks={**small.networks, **{name: {**small.networks[name], **nbnet} for name in FIVE_LEVELS}})


def _all(data: Path | None) -> Iterator[tuple[str, Result]]:
    for title, section in SECTIONS.items():
        if data is None and section.on_data:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for name, result in section.make(Path(folder), data or Path(folder)):
                yield f"{title}/{name}", result


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    # Training computes in bfloat16 on processors that have instructions for it: nothing is then alike on two of them.
    with mock.patch.object(torch.cpu, "get_capabilities", dict, create=True), mock.patch.dict(CONFIGS, tiny=_deeper):
        _found = dict(_all(Path(sys.argv[3]) if len(sys.argv) > 2 else None))
    with Path(sys.argv[1]).open("wb") as _file:
        # All but arrays goes as JSON, so that nothing has to be unpickled.
        np.savez(_file, **{name: one if isinstance(one, np.ndarray) else np.asarray(json.dumps(one)) for name, one in _found.items()})  # type: ignore[arg-type]
