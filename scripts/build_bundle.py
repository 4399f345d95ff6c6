"""Turn a training run into a bundle: python scripts/build_bundle.py RECIPE RUN OUT --data DIR [--measured FILE.json]

The card says what really happened: the run's own steps, minutes, processes and files, with each file's licence from the
manifest, and the numbers that scripts/compare_filters.py wrote for these very weights.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.bundle_writing import write_bundle
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.training.loop import Recipe, averaged_networks
from MRIDenoiseLib.training.volumes import KEPT_OUT_SUBJECTS, ManifestRow, read_manifest
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

COMMAND = "python scripts/compare_filters.py --data DIR"

LIMITS = [
    "Trained on heads and spines of few volunteers and patients; on any other organ it is extrapolating.",
    "The training noise was simulated, not scanned; real noise that looks different may be left in or taken for anatomy.",
    "The clean volumes it learned from hold a little noise of their own.",
    "Structures weaker than the noise and smaller than about three pixels can be lost.",
    "Not tested on children, implants, motion or folding artefacts.",
]


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file the run was trained with")],
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    out: Annotated[Path, typer.Argument(help="the bundle's folder")],
    data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv")],
    method: Annotated[str, typer.Option(help="default method: the one that wins on honest data")] = "regression",
    samples: Annotated[int, typer.Option(help="views or samples the default method averages")] = 4,
    measured: Annotated[Path | None, typer.Option(help="numbers written by scripts/compare_filters.py --json")] = None,
    note: Annotated[list[str] | None, typer.Option(help="what else the card should say about the training")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
) -> None:
    """Write the bundle."""
    plan = Recipe.read(recipe)
    trained = averaged_networks(plan, run)
    facts = dict(trained.facts)
    files = facts.pop("files")
    rows = [row for row in read_manifest(data) if row.file in files]
    card = {
        "name": plan.config,
        "use": RESEARCH_USE_ONLY,
        "intended_use": "Research on denoising accelerated magnitude MR volumes before a person reads them.",
        "limits": LIMITS,
        "default_method": method,
        "default_settings": {"samples": samples},
        "training": {
            "recipe": asdict(plan),
            "steps": trained.steps,
            "minutes": round(trained.minutes, 1),
            **facts,
            "notes": note,
            "built_at_commit": _commit(),
            "data": [{key: getattr(row, key) for key in ("file", "source", "licence", "organ", "contrast", "subject")} for row in rows],
            "kept_out_subjects": list(KEPT_OUT_SUBJECTS),
            "noise": "Rician; coil-combined, correlated and filtered noise of simulated accelerated acquisitions",
        },
        "measured": _measured(measured),
    }
    parts: dict[str, Any] = {**vars(trained.networks), "prompt_embeddings": _common_prompts(rows), "card": card}
    if measured is not None:
        with TemporaryDirectory() as scratch:
            weights = _weights(write_bundle(Path(scratch) / "bundle", **parts).card)
        if _weights(json.loads(measured.read_text(encoding="utf-8"))) != weights:
            raise SettingsError(f"{measured} was measured with other weights; run {COMMAND} again")
    bundle = write_bundle(out, **parts, overwrite=overwrite)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    typer.echo(f"wrote {out.name}: {size / 2**20:.2f} MiB, {trained.steps} steps, hash {bundle.hash}")


def _common_prompts(rows: list[ManifestRow]) -> list[str]:
    """What plain T1-weighted image files of the commonest organ lead to: axial, no more known than the defaults.

    Each prompt kept ready takes two kilobytes of a bundle that has to stay small; the text encoder makes the others.
    """
    organ = Counter(row.organ for row in rows).most_common(1)[0][0]
    fields: dict[str, str | float] = {"organ": organ, "contrast": "T1w", "plane": "axial", "acceleration": 2.0}
    return [describe(Acquisition(**{name: AcquisitionField(value) for name, value in fields.items()}))]


def _commit() -> str:
    """The commit this was built from; ``+`` behind it when files were changed since."""
    found = subprocess.run(["git", "describe", "--always", "--dirty=+", "--abbrev=12"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _measured(path: Path | None) -> dict[str, Any]:
    """Foreground PSNR of each row, of the bundle with these very weights."""
    if path is None:
        return {"command": COMMAND, "rows": "not measured yet"}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {
        "command": COMMAND,
        "what": "foreground PSNR in dB over 12 middle slices of subjects kept out of training, each filter at its best setting for the row",
        "rows": [
            {"volume": Path(row["file"]).name.removesuffix(".nii.gz"), "noise": row["noise"]}
            | {name: round(value, 2) for name, value in _decibels(row).items()}
            for row in rows
        ],
    }


def _weights(listing: dict[str, Any]) -> dict[str, str]:
    """The hashes of the networks' weights in a ``files`` listing."""
    return {name: digest for name, digest in listing["files"].items() if "/" in name and name.endswith(".safetensors")}


def _decibels(row: dict[str, Any]) -> dict[str, float]:
    """The PSNRs of one row: of the noisy image, each filter at its best setting, each method of the model."""
    return {"noisy": row["noisy"]} | {name: value for name, (value, _) in row["filters"].items()} | row["methods"]


if __name__ == "__main__":
    typer.run(main)
