"""A run on disk: its recipe, what it started from and what it drew from, so that it can be resumed and accounted for.

Also the curves of a stage: a line of JSON every so often, and the same for TensorBoard.
"""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

import MRIDenoiseLib
from MRIDenoiseLib.errors import InputError, OutputError, SettingsError
from MRIDenoiseLib.io.atomic import replacing, write_json
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.training.checkpoint import make_folder
from MRIDenoiseLib.training.recipe import Recipe
from MRIDenoiseLib.training.start import Start, begin_as_kept

RECIPE = "recipe.yaml"
ACCOUNT = "run.json"
START = "start"

_LIBRARIES = ("torch", "accelerate", "diffusers", "transformers", "peft", "numpy")

LOG = "log.jsonl"
CURVES = "curves"


@dataclass(frozen=True)
class Account:
    """What a run is besides its recipe.

    Args:
        origin: see :class:`.start.Start`.
        data: see :meth:`.data.TrainingData.account`.
        programs: commit and versions it was trained with, one entry for each that started or resumed it.
    """

    origin: dict[str, str]
    data: dict[str, Any]
    programs: list[dict[str, str]]


def begin(run: Path, recipe: Recipe, start: Start, data: dict[str, Any], *, write: bool) -> None:
    """Start a run in a new folder, or check that the one there is this same run.

    Args:
        run: the folder.
        recipe: the plan; an earlier one there may differ in the number of steps alone.
        start: what the networks start from.
        data: the account of the training data.
        write: False in all but one of several processes.

    Raises:
        SettingsError: the folder holds a run with another recipe, start or data.
        OutputError: it holds something else, or cannot be written to.
        InputError: its account is damaged.
    """
    program = _program()
    account = Account(start.origin, data, [program])
    before = read_account(run)
    if before is None:
        _refuse_other_files(run)
    else:
        if read_recipe(run).with_steps(1) != recipe.with_steps(1):
            raise SettingsError(f"{run} was started with another recipe; use an empty folder")
        if before.origin.get("hash") != start.origin.get("hash"):
            raise SettingsError(f"{run} was started from other networks; use an empty folder")
        if before.data != account.data:
            raise SettingsError(f"{run} was started on other data; give the same folders with --data, or use an empty folder for the run")
        account = replace(before, programs=[*before.programs, *([program] if program not in before.programs else [])])
    if write:
        make_folder(run)
        if before is None:
            start.keep(run / START)
        with replacing(run / RECIPE, overwrite=True) as temporary:
            temporary.write_text(recipe.as_yaml(), encoding="utf-8")
        # Last: only a folder that holds everything counts as a started run.
        write_json(run / ACCOUNT, asdict(account), overwrite=True)


def kept_start(run: Path, recipe: Recipe) -> Start:
    """What a run that exists already started from."""
    return begin_as_kept(recipe, run / START)


def read_recipe(run: Path) -> Recipe:
    """The recipe of a run.

    Raises:
        SettingsError: the folder holds none.
    """
    if not (run / RECIPE).is_file():
        raise SettingsError(f"{run} holds no run; start one with mridenoise train")
    return Recipe.read(run / RECIPE)


def read_account(run: Path) -> Account | None:
    """The account of a run, or None where none was started.

    Raises:
        InputError: it is damaged.
    """
    path = run / ACCOUNT
    if not path.is_file():
        return None
    try:
        return Account(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged; use an empty folder for the run") from error


def _refuse_other_files(run: Path) -> None:
    if not run.exists():
        return
    if not run.is_dir():
        raise OutputError(f"{run} is a file; name a folder for the run")
    known = {*NETWORKS, RECIPE, START}
    if other := sorted(path.name for path in run.iterdir() if path.name not in known and not path.name.startswith(".")):
        raise OutputError(f"{run} holds other files, such as {other[0]}; name an empty folder for the run")


def _program() -> dict[str, str]:
    found = {"commit": _commit(), "MRIDenoiseLib": MRIDenoiseLib.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _commit() -> str:
    """The commit of the checkout that runs; ``+`` behind it when files were changed since; ``unknown`` outside a checkout."""
    package = Path(MRIDenoiseLib.__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(package), *arguments], capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed package may be inside another project's checkout, whose commit says nothing about it.
    ours = git("ls-files", "--error-unmatch", "__init__.py")
    return (git("describe", "--always", "--dirty=+", "--abbrev=12") if ours else None) or "unknown"


class TrainingLog:
    """Writes ``log.jsonl`` and TensorBoard events (``curves/``) into a folder; a context manager.

    Args:
        folder: of the stage.
        first: steps already done; entries of later steps, left by a run that was killed, are dropped.
        silent: write nothing, as all processes but one do.

    Raises:
        OutputError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, first: int, *, silent: bool = False) -> None:
        self._path = folder / LOG
        self._curves: SummaryWriter | None = None
        if silent:
            return
        make_folder(folder)
        kept = [entry for entry in read_log(folder) if entry["step"] <= first]
        with replacing(self._path, overwrite=True) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        self._curves = SummaryWriter(str(folder / CURVES), purge_step=first + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """One entry; ``values`` by name. No values make no entry."""
        if self._curves is None or not values:
            return
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step} | {name: round(value, 6) for name, value in values.items()}) + "\n")
        for name, value in values.items():
            self._curves.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write the curves to disk, as the checkpoint is from which a killed run resumes."""
        if self._curves is not None:
            self._curves.flush()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._curves is not None:
            self._curves.close()


def read_log(folder: Path) -> list[dict[str, float]]:
    """The entries of a stage's log, in order; a last line that a kill cut short is left out."""
    path = folder / LOG
    entries: list[dict[str, float]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return entries
