"""Makes Resources/SampleData from a volume of the data folder: python scripts/make_sample_data.py --data DIR

Slices above the eyes of a head volume that no training sees, and the same slices as a scan in half the time would have shown
them: noise and blur of two-fold acceleration, simulated.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from MRIDenoiseLib import io
from MRIDenoiseLib.cli.exit_status import run
from MRIDenoiseLib.simulation.simulate import Simulation, simulate_volume

SOURCE = "volumes/head_T1w_ms12_study1.nii.gz"
ABOVE_THE_EYES = slice(27, 43)
"""The middle one, which is seen first, cuts through a bright lesion, a ring a few pixels wide: the noise must not hide it."""
ACCELERATION = 2.0
SEED = 1
FOLDER = Path(__file__).resolve().parent.parent / "Resources" / "SampleData"


def main(data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with volumes/")]) -> None:
    """Write the clean slices and their accelerated version."""
    whole = io.read(data / SOURCE)
    ijk_to_ras = whole.ijk_to_ras.copy()
    ijk_to_ras[:3, 3] += ijk_to_ras[:3, 2] * ABOVE_THE_EYES.start
    clean = replace(whole, voxels=np.ascontiguousarray(whole.voxels[ABOVE_THE_EYES]), ijk_to_ras=ijk_to_ras)
    simulation = Simulation(acceleration=ACCELERATION, seed=SEED)
    noisy = simulate_volume(clean, simulation)
    for name, volume, derivation in (("clean", clean, None), ("noisy", noisy, simulation.derivation())):
        io.write(volume, FOLDER / f"head_T1w_{name}.nii.gz", overwrite=True, derivation=derivation)
        typer.echo(f"wrote {FOLDER.name}/head_T1w_{name}.nii.gz")


if __name__ == "__main__":
    run(main)
