"""Packs a training for a bare machine with a GPU: python scripts/pack_training.py --data DIR --out DIR [--wheels DIR] [--portion MIB]

The portions hold this program, a recipe, the volumes that training draws from, and, where they are given, a model to start from
and the wheels of what the machine lacks. On the machine, beside the portions: python begin_training.py RUN [--minutes M]
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from begin_training import LIST

from MRIDenoiseLib.cli.exit_status import run
from MRIDenoiseLib.data.packed import Packed, write_packed
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.training.data import open_data
from MRIDenoiseLib.training.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
BEGIN = ROOT / "scripts" / "begin_training.py"
PARTS = ("MRIDenoiseLib", "pyproject.toml")
"""Of this checkout: what training needs."""


def main(
    data: Annotated[list[Path], typer.Option(help="Folders of clean volumes; may be given several times.")],
    out: Annotated[Path, typer.Option(help="A new folder for the portions.")],
    recipe: Annotated[Path, typer.Option(help="What is trained.")] = ROOT / "scripts" / "recipes" / "compact-gpu.yaml",
    from_bundle: Annotated[Path | None, typer.Option(help="The model to start from.")] = None,
    wheels: Annotated[Path | None, typer.Option(help="A folder of wheels to be installed there.")] = None,
    portion: Annotated[int, typer.Option(help="Largest size of a portion, MiB.", min=1)] = 60,
) -> None:
    """Pack everything into portions of at most that size."""
    if out.exists():
        raise SettingsError(f"{out} is there already; name a new folder")
    Recipe.read(recipe)
    for folder in (from_bundle, wheels):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is no folder")
    with TemporaryDirectory() as temporary:
        staged = Path(temporary)
        opened = open_data(data)
        if not opened.volumes or opened.stores:
            raise InputError("only clean volumes can be packed, and there are none or others beside them")
        write_packed(Packed(opened.volumes, opened.kept_out, opened.left_out), staged / "data")
        _copy_code(staged / "code")
        shutil.copy(recipe, staged / "recipe.yaml")
        for folder, name in ((from_bundle, "model"), (wheels, "wheels")):
            if folder is not None:
                shutil.copytree(folder, staged / name)
        archive = staged / "training.tar"
        with tarfile.open(archive, "w") as tar:
            for part in sorted(staged.iterdir()):
                if part != archive:
                    tar.add(part, part.name, filter=_anonymous)
        out.mkdir(parents=True)
        count = _split(archive, out, portion << 20)
    shutil.copy(BEGIN, out)
    print(f"{len(opened.volumes)} volumes, {count} portions of at most {portion} MiB in {out}")
    print(f"Bring the folder to the machine; there: python {BEGIN.name} RUN --minutes M")


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose file it is here is nobody's business there."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _copy_code(folder: Path) -> None:
    """The files of this checkout that git knows, as they are now."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", *PARTS], capture_output=True, text=True)
    if listed.returncode != 0:
        raise SettingsError(f"{ROOT} is not a git checkout, and only that knows which files belong to the program")
    for name in listed.stdout.split("\0"):
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def _split(archive: Path, out: Path, size: int) -> int:
    """Write a file in portions, and their list with hashes; gives their number."""
    portions: list[dict[str, str]] = []
    with archive.open("rb") as file:
        while content := file.read(size):
            name = f"portion-{len(portions):03d}"
            (out / name).write_bytes(content)
            portions.append({"name": name, "sha256": hashlib.sha256(content).hexdigest()})
    (out / LIST).write_text(json.dumps(portions, indent=1) + "\n", encoding="utf-8")
    return len(portions)


if __name__ == "__main__":
    run(main)
