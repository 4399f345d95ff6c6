"""Train the networks of a recipe on the clean volumes of a data folder: python scripts/train.py RECIPE RUN --data DIR

On a CPU with N cores: OMP_NUM_THREADS=1 torchrun --nproc_per_node N scripts/train.py …
Interrupted at any moment, the same command goes on from its last checkpoint.
"""

from pathlib import Path
from typing import Annotated

import typer

from MRIDenoiseLib.training.loop import Recipe, train
from MRIDenoiseLib.training.volumes import load_clean_volumes, training_rows


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file of scripts/recipes")],
    run: Annotated[Path, typer.Argument(help="folder for checkpoints and the log")],
    data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv and volumes/")],
) -> None:
    """Train until the recipe's minutes are spent."""
    rows = training_rows(data)
    typer.echo(f"training on {len(rows)} volumes of {len({row.subject for row in rows})} subjects")
    train(Recipe.read(recipe), list(load_clean_volumes(data, rows)), run)


if __name__ == "__main__":
    typer.run(main)
