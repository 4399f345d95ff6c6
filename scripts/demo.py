"""Denoises the sample volume with the bundled model, and draws what happened.

``python3 scripts/demo.py`` needs only Python 3.10 or newer: it makes ``.venv`` once and installs what it needs there.
The denoised volume, the residual, a report and a picture end up in ``demo_output``. Research use only.
"""

import argparse
import os
import sys
from pathlib import Path

import environment
from environment import ROOT, say

SAMPLES = ROOT / "Resources" / "SampleData"
NOISE = "two-fold acceleration, simulated"
"""Of every sample; see ATTRIBUTION.md beside them."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Denoise the sample volume with the bundled model.")
    parser.add_argument("--output", metavar="DIR", type=Path, default=ROOT / "demo_output", help="where the results go (demo_output)")
    return parser.parse_args()


def main(output: Path) -> int:
    """Denoise every sample; 0 when all went well."""
    # Without the real matplotlib window system: the picture goes to a file.
    os.environ.setdefault("MPLBACKEND", "Agg")
    samples = sorted(SAMPLES.glob("*_noisy.nii.gz"))
    if not samples:
        say(f"There is no *_noisy.nii.gz in {SAMPLES}; the checkout is not complete.")
        return 1
    output.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        status = _denoise(sample, output)
        if status != 0:
            return status
    return 0


def _denoise(sample: Path, output: Path) -> int:
    from MRIDenoiseLib import cli, io
    from MRIDenoiseLib.evaluation.pictures import before_after

    name = sample.name.removesuffix("_noisy.nii.gz")
    denoised, residual, picture, report = (
        output / f"{name}_{what}" for what in ("denoised.nii.gz", "residual.nii.gz", "before_after.png", "report.json")
    )
    say(f"\nDenoising {sample} ({NOISE}) with the bundled model ...")
    arguments = ["denoise", sample, denoised, "--residual", residual, "--report", report, "--overwrite"]
    status = cli.main([str(argument) for argument in arguments])
    if status != 0:
        return status
    say("Drawing noisy, denoised and residual side by side ...")
    clean = sample.with_name(f"{name}_clean.nii.gz")
    before_after(
        noisy=io.read(sample),
        denoised=io.read(denoised),
        residual=io.read(residual),
        clean=io.read(clean) if clean.is_file() else None,
        path=picture,
        noise=NOISE,
    )
    say("\nThe results are in")
    for path in (denoised, residual, report, picture):
        say(f"  {path}")
    return 0


if __name__ == "__main__":
    _given = _arguments()
    environment.enter(extras=("evaluate",))
    sys.exit(main(_given.output.resolve()))
