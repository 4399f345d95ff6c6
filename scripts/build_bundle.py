"""Turn a training run into a bundle: python scripts/build_bundle.py RECIPE RUN OUT --data DIR [--measured FILE.json]

The card says what really happened: the run's own steps and minutes, the volumes the recipe trains on with their
licences, the commit, and the numbers that scripts/compare_filters.py wrote.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.models.bundle_writing import write_bundle
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.training.loop import Recipe, averaged_networks
from MRIDenoiseLib.training.volumes import KEPT_OUT_SUBJECTS, manifest_acquisition, read_manifest
from MRIDenoiseLib.volume import Acquisition

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
    measured: Annotated[Path | None, typer.Option(help="numbers written by scripts/compare_filters.py --json")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
) -> None:
    """Write the bundle."""
    plan = Recipe.read(recipe)
    networks, steps, minutes = averaged_networks(plan, run)
    rows = [row for row in read_manifest(data) if row.subject not in KEPT_OUT_SUBJECTS]
    card = {
        "name": plan.config,
        "use": RESEARCH_USE_ONLY,
        "intended_use": "Research on denoising accelerated magnitude MR volumes before a person reads them.",
        "limits": LIMITS,
        "default_method": method,
        "default_settings": {},
        "training": {
            "recipe": asdict(plan),
            "steps": steps,
            "minutes": round(minutes, 1),
            "processes": os.environ.get("MRIDENOISE_PROCESSES", "2"),
            "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, no GPU",
            "commit": _commit(),
            "data": [{key: getattr(row, key) for key in ("file", "source", "licence", "organ", "contrast", "subject")} for row in rows],
            "kept_out_subjects": list(KEPT_OUT_SUBJECTS),
            "noise": "Rician; coil-combined, correlated and filtered noise of simulated accelerated acquisitions",
        },
        "measured": _measured(measured),
    }
    prompts = sorted({describe(manifest_acquisition(row, Acquisition())) for row in rows})
    bundle = write_bundle(out, **vars(networks), prompt_embeddings=prompts, card=card, overwrite=overwrite)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    typer.echo(f"wrote {out.name}: {size / 2**20:.2f} MiB, {steps} steps, hash {bundle.hash}")


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
            {"volume": row["file"], "noise": row["noise"], "noisy": row["noisy"]}
            | {name: value for name, (value, _) in row["filters"].items()}
            | row["methods"]
            for row in rows
        ],
    }


if __name__ == "__main__":
    typer.run(main)
