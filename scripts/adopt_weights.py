"""New weights become the bundled model, and all that rests on them is done again:

    python scripts/adopt_weights.py NEW_MODEL --data DIR --work DIR [--only methods,lesions] [--so-far]

Every measurement of the card is run on the new model and kept in ``--work``, so that the command may be stopped and resumes where
it was; what was measured on these very weights is not measured again. Then the model takes the place of the bundled one, with these
measurements whole as its evidence and their headlines in its card; README's tables and those of docs are filled in from the evidence,
README's pictures are drawn again, and so are the values that the tests hold the program's results to (``golden.py``). The whole takes
hours on two cores.
With ``--only`` other measurements are left out rather than kept from older weights; with ``--keep`` those of the bundled model are kept
whose weights are the same in the new one. What the scales of its uncertainty network stand for is found by the measurement ``uncertainty``
and written into the card with it. ``--so-far`` takes of the comparison the images
that are finished. Afterwards: ``python scripts/test.py --data DIR``, and look at the pictures.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from card_tables import fill_pages
from rich.console import Console

from MRIDenoiseLib.card import UNCERTAINTY, bundled_model
from MRIDenoiseLib.cli.exit_status import run
from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.evaluation.claims import claim_module
from MRIDenoiseLib.evaluation.claims.claim import Claim, chosen
from MRIDenoiseLib.io.atomic import replacing
from MRIDenoiseLib.methods import METHODS
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import TRAINING, describe, evidence_of
from MRIDenoiseLib.models.bundle.files import files_of_parts, read_card
from MRIDenoiseLib.models.bundle.writing import is_bundle
from MRIDenoiseLib.models.networks import needed

ROOT = Path(__file__).resolve().parent.parent
LICENCE = "Apache-2.0"
"""Of the repository, and so of the model in it."""
LESIONS = ("--rows", "R,M0.10,L2-2", "--count", "96")
MEASUREMENTS: dict[str, Sequence[str]] = {
    "native_noise": ("native-noise", "--limit", "2", "--bm4d"),
    "noise_level": ("noise-level",),
    "lesions": ("lesions", *LESIONS),
    "lesions_sharpened": ("lesions", "--method", "sharpened", "--sharpness", "1.0", *LESIONS),
    "through_plane": ("through-plane", "--rows", "L2-2", "--limit", "2", "--slab", "12", "--bm4d"),
    "uncertainty": ("uncertainty",),
    "oddities": ("oddities",),
    "posterior": ("posterior", "--rows", "M0.10,L2-2", "--slices", "1"),
    "repeats": ("repeats", "--limit", "4"),
    "tissues": ("tissues",),
    "quantities": ("quantities",),
    "guarantee": ("guarantee",),
    "planted": ("planted",),
    "change": ("change", "--rows", "R,M0.10,L2-2", "--count", "96"),
    "sharpening_grain": ("grain",),
    "text": ("text",),
    "sheets": ("sheets",),
    "methods": ("methods",),
}
"""Name of the evidence -> claim and options, which differ from the claim's own where those take too long for every new model."""
OF_ITS_OWN_CLAIM = (UNCERTAINTY,)
"""Networks that no result rests on; only the measurement of that name does."""
OF_EVERY_METHOD = ("noise_estimator", "scheduler", "text_encoder", "tokenizer")
"""Parts of a model beside the networks of a method."""
PICTURES = ("Testing/panel/draw_screenshots.py",)


def adopt(
    model: Annotated[Path, typer.Argument(help="folder of the new model")],
    data: Annotated[Path, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv and volumes/")],
    work: Annotated[Path, typer.Option(help="folder where what was measured is kept")],
    only: Annotated[str, typer.Option(help="measurements, with commas between")] = ",".join(MEASUREMENTS),
    keep: Annotated[bool, typer.Option("--keep", help="keep the bundled model's other measurements, of weights that are the same")] = False,
    so_far: Annotated[bool, typer.Option("--so-far", help="of the comparison, take the images that are finished")] = False,
) -> None:
    """Measure, place the model with what was measured, and redo tables, pictures and the results that the tests hold the program to."""
    names = chosen(only, MEASUREMENTS, "measurement")
    model, data, work = model.resolve(), data.resolve(), work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    files = Bundle.load(model).card["files"]
    console = Console(stderr=True)
    measured = kept_from(bundled_model(), files, names) if keep else {}
    for name in names:
        path = work / f"{name}.json"
        if not _is_done(path, command_of(name), files):
            console.print(f"measuring {name}")
            claim, *options = MEASUREMENTS[name]
            options += ["--so-far"] if name == "methods" and so_far else []
            _run("-m", "MRIDenoiseLib.cli", "measure", claim, *options, *_places(name, model, data, work), "--json", str(path))
        measured[name] = evidence_from(name, path)
    place(model, {name: measured[name] for name in (*MEASUREMENTS, *measured) if name in measured}, bundled_model())
    fill_pages()
    for script in PICTURES:
        _run(script)
    _run("scripts/golden.py", "--write", "--data", str(data))


def place(model: Path, measured: dict[str, Any], target: Path) -> None:
    """Put a model, with these numbers as its evidence and their headlines in its card, in the place of another.

    Args:
        model: folder of the new one.
        measured: name -> numbers.
        target: folder that it takes.

    Raises:
        BundleError: the new model is damaged.
        OutputError: it cannot be written.
    """
    Bundle.verify(model)
    with replacing(target, True, is_ours=is_bundle) as folder:
        shutil.copytree(model, folder)
        card = read_card(folder)
        describe(folder, card | {"licence": LICENCE, TRAINING: evidence_of(folder).get(TRAINING)}, measured)
        Bundle.verify(folder)


def kept_from(folder: Path, files: dict[str, str], but: Sequence[str]) -> dict[str, Any]:
    """Name -> numbers of a model's measurements that hold for another one, too: all weights that they used are the same.

    Args:
        folder: of the model that was measured.
        files: of the card of the other one.
        but: names that are left out.
    """
    found = {name: numbers for name, numbers in evidence_of(folder).items() if name not in (TRAINING, *but)}
    return {name: numbers for name, numbers in found.items() if same_weights(name, numbers, files)}


def evidence_from(name: str, path: Path) -> dict[str, Any]:
    """What a file of numbers holds, with the headline that its claim gives it today."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    numbers = {key: value for key, value in kept.items() if key not in ("command", "files", "headline")}
    return _claim(name).account(numbers, command_of(name), kept["files"])


def command_of(name: str) -> str:
    """The command of a measurement, without the folders of this machine."""
    claim, (_, *options) = _claim(name), MEASUREMENTS[name]
    return shlex.join([*shlex.split(claim.command({})), *options])


def _claim(name: str) -> Claim:
    found: Claim = claim_module(MEASUREMENTS[name][0]).CLAIM
    return found


def _is_done(path: Path, command: str, files: dict[str, str]) -> bool:
    """Whether a file of numbers is there that this very command gave, on all weights that it used.

    A comparison of which images are missing is resumed.
    """
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        return bool(same_weights(path.stem, numbers, files) and numbers["command"] == command and not numbers.get("not_finished"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def same_weights(name: str, numbers: dict[str, Any], files: dict[str, str]) -> bool:
    """Whether what a measurement has used of a model is the same in another one, by the files of its card."""
    used = _used(name, numbers.get("method"))
    then, now = ({one: digest for one, digest in files_of_parts(each).items() if used(one)} for each in (numbers["files"], files))
    return then == now


def _used(measurement: str, method: str | None) -> Callable[[str], bool]:
    """Which of a model's files a measurement of one method has used; all networks, where it does not say which method.

    What lies beside the folders is a list of them and embeddings that are kept ready: neither decides a result.
    """
    others = {*OF_ITS_OWN_CLAIM} - {measurement}
    if method not in METHODS or METHODS[method].uses_diffusion:
        return lambda name: "/" in name and name.split("/")[0] not in others
    return lambda name: name.split("/")[0] in {*needed(method, informed=True), *OF_EVERY_METHOD}


def _places(name: str, model: Path, data: Path, work: Path) -> list[str]:
    """Where a claim finds the model and the data, and where it may write."""
    places = ["--data", str(data), "--bundle", str(model)]
    where = {"methods": work / "comparison", "sheets": work / "sheets"}
    return [*places, "--out", str(where[name])] if name in where else places


def _run(*words: str) -> None:
    """Run a script or a module of this repository.

    Raises:
        MRIDenoiseError: it failed; it has said why.
    """
    if subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode:
        raise MRIDenoiseError(f"{shlex.join(words)} failed; what was measured before is kept, and the same command resumes it")


if __name__ == "__main__":
    run(adopt)
