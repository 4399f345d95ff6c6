"""The blocks of code in README and docs, and how a reader would run them: in order, from the repository's folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))
RUNNABLE = ("sh", "python")
_BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^>]*) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINKED = ("Resources/Models", "Resources/Screenshots", "MRIDenoiseLib", "docs", "examples", "scripts", "constraints.txt", "mkdocs.yml")


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Args:
        page: where it stands.
        language: ``sh``, ``python``, or that of something to look at.
        code: its lines.
        why_not: why the tests do not run it; empty where they do.
    """

    page: str
    language: str
    code: str
    why_not: str

    @property
    def runs(self) -> bool:
        """Whether it is run as printed."""
        return self.language in RUNNABLE and not self.why_not


def blocks_of(text: str, page: str = "") -> list[Block]:
    """The blocks of a page, in order. A comment ``<!-- not run: REASON -->`` on the line before keeps one from being run."""
    return [Block(page, match["language"], match["code"], match["why"] or "") for match in _BLOCK.finditer(text)]


def blocks(page: str) -> list[Block]:
    """The blocks of a page of the repository."""
    return blocks_of((ROOT / page).read_text(encoding="utf-8"), page)


def copy_of_the_checkout(folder: Path, sample: Path = ROOT / "Resources" / "SampleData") -> Path:
    """A folder that looks like the repository's to whoever follows a page; what is written there stays there.

    Args:
        folder: an empty one.
        sample: the folder that stands where the sample does.
    """
    shutil.copytree(sample, folder / "Resources" / "SampleData")
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(block: Block, folder: Path, python: Sequence[str] = (sys.executable,)) -> None:
    """Run a block as printed.

    Args:
        block: one of a page.
        folder: where.
        python: the words that start Python.

    Raises:
        AssertionError: it failed; the message holds what it printed.
    """
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    variables = os.environ | {"PATH": os.pathsep.join(places), "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    # As the installed command does, of this very checkout.
    command = f"mridenoise() {{ {shlex.join(python)} -c 'import sys; from MRIDenoiseLib.cli import main; sys.exit(main())' \"$@\"; }}\n"
    words = ["bash", "-euc", command + block.code] if block.language == "sh" else [*python, "-c", block.code]
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{block.page} prints a command that fails:\n{block.code}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
