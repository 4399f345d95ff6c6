"""Whether the program still comes to the results it came to before, from denoised voxels to the reading lists of a study:

    python scripts/golden.py --data DIR                        # against the committed values, to a part in 100,000, as the tests do
    python scripts/golden.py --data DIR --digests FILE         # on the commit before a change ...
    python scripts/golden.py --data DIR --compare FILE         # ... and after it, on the same machine: bit for bit
    python scripts/golden.py --data DIR --write                # where results were meant to change

``adopt_weights.py`` writes new values. Without ``--data`` the cells of the comparison are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from MRIDenoiseLib.cli.exit_status import run
from MRIDenoiseLib.errors import MRIDenoiseError, SettingsError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Testing" / "golden"))

from golden_results import Results, results, weights
from golden_values import VALUES, changed, differences, digests, read, write


def golden(
    data: Annotated[Path | None, typer.Option(envvar="MRIDENOISE_DATA", help="folder with MANIFEST.csv and volumes/")] = None,
    write_values: Annotated[bool, typer.Option("--write", help="commit the results: rewrite values.json")] = False,
    digests_file: Annotated[Path | None, typer.Option("--digests", help="write sha256 of every result here")] = None,
    compare: Annotated[Path | None, typer.Option(help="digests of another commit, made on this machine")] = None,
) -> None:
    """Make the results, and hold them against what was committed or against another commit's, or keep them."""
    if write_values and data is None:
        raise SettingsError("--write needs --data DIR: without it the values of the comparison would be lost")
    before = None if compare is None else _read_digests(compare)
    found = results(None if data is None else data.resolve())
    if data is None:
        print("The cells of the comparison are left out: neither --data DIR nor MRIDENOISE_DATA is given.", file=sys.stderr)
    if write_values:
        write(found, weights())
        print(f"{len(found)} results are written to {VALUES.name}")
    if digests_file is not None:
        digests_file.write_text(json.dumps(digests(found), indent=1) + "\n", encoding="utf-8")
        print(f"{len(found)} digests are written to {digests_file}")
    if before is not None:
        _end(found, [f"{name}: not the same bits" for name in changed(before, digests(found))], "bit for bit those of the file")
    elif not write_values and digests_file is None:
        _end(found, list(differences(found, weights(), read())), "as committed")


def _read_digests(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MRIDenoiseError(f"{path} holds no digests; make them with --digests") from error
    return found


def _end(found: Results, wrong: list[str], what: str) -> None:
    """Say what differs, and end with status 1 where something does."""
    if wrong:
        print("\n".join(wrong))
        raise typer.Exit(1)
    print(f"all {len(found)} results are {what}")


if __name__ == "__main__":
    run(golden)
