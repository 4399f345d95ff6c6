"""What README and docs print is true: their commands run, what they cannot run exists, their links and names lead somewhere."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
import typer
from page_blocks import PAGES, ROOT, Block, blocks, blocks_of, copy_of_the_checkout, run

from MRIDenoiseLib.cli.app import _application
from MRIDenoiseLib.inference import METHODS

RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the pages print commands for bash")
NAMES_MODULES = ("docs/method.md", "docs/python.md", "docs/reference.md")
TEXTS = [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"]


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_as_printed(page: str, small_sample: Path, tmp_path: Path, python: list[str]) -> None:
    """README's on the sample as it ships, those of the other pages on a part of it: as many slices, fewer pixels.

    README's commands are programs that start from nothing; the others are spared the imports.
    """
    if page == "README.md":
        folder, starts = copy_of_the_checkout(tmp_path), {"python": python}
    else:
        folder, starts = copy_of_the_checkout(tmp_path, small_sample), {"python": python, "sh": python}
    for block in blocks(page):
        if block.runs:
            run(block, folder, starts.get(block.language, [sys.executable]))


def test_get_started_and_readme_are_among_the_pages_that_run() -> None:
    assert {"README.md", "docs/install.md", "docs/command-line.md", "docs/python.md"} <= set(RUN)


@POSIX
def test_a_command_that_fails_is_noticed_and_one_that_is_marked_is_not_run(tmp_path: Path) -> None:
    good, marked, bad = blocks_of(
        "```sh\ntouch made\n```\n<!-- not run: it would fail -->\n```sh\nfalse\n```\n"
        "```sh\nmridenoise denoise missing.nii.gz out.nii.gz\ntouch after\n```\n"
    )
    assert [block.runs for block in (good, marked, bad)] == [True, False, True]
    run(good, tmp_path)
    with pytest.raises(AssertionError, match=r"missing\.nii\.gz does not exist"):
        run(bad, tmp_path)
    assert (tmp_path / "made").exists() and not (tmp_path / "after").exists()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is_and_one_that_is_not_run_says_why(page: str) -> None:
    for block in blocks(page):
        assert block.language in ("sh", "python", "text", "yaml"), block.code
        assert not block.why_not or len(block.why_not.split()) >= 5, block.code
    # Indented blocks would escape.
    assert "\n\n    mridenoise" not in (ROOT / page).read_text(encoding="utf-8")


def _lines(block: Block) -> list[list[str]]:
    return [words for line in block.code.splitlines() if (words := shlex.split(line, comments=True))]


def _printed(page: str) -> list[list[str]]:
    """The commands that a page prints, in blocks and in its sentences, as words."""
    text = (ROOT / page).read_text(encoding="utf-8")
    inline = re.findall(r"`((?:mridenoise|python3?) [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [words for block in blocks(page) if block.language == "sh" for words in _lines(block)] + [shlex.split(line) for line in inline]


def _unknown(words: list[str]) -> list[str]:
    """What a ``mridenoise`` command line names that does not exist: a command or an option."""
    command: click.Command = typer.main.get_command(_application(None))
    options = {option for parameter in command.params for option in parameter.opts} | {"--help", "--debug"}
    for word in words[1:]:
        if isinstance(command, click.Group) or hasattr(command, "commands"):
            found = command.commands.get(word)  # type: ignore[attr-defined]
            if found is not None:
                # A claim is loaded when its options are wanted.
                command = getattr(found, "whole", found)
                options |= {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
                continue
            if not word.startswith("-") and not word.isupper():
                return [word]
    return [word for word in (w.strip("[]").partition("=")[0] for w in words[1:]) if word.startswith("--") and word not in options]


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_and_option_that_is_named_exists(page: str) -> None:
    assert _printed(page) or "```sh" not in (ROOT / page).read_text(encoding="utf-8")
    for words in _printed(page):
        if words[0] == "mridenoise":
            assert _unknown(words) == [], " ".join(words)
        elif words[0].startswith("python") and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file() or words[1] == "begin_training.py", f"{page}: {words[1]}"


def test_a_command_or_option_that_does_not_exist_is_noticed() -> None:
    assert _unknown(shlex.split("mridenoise denoise IN OUT --strength 0.5")) == []
    assert _unknown(shlex.split("mridenoise denoise IN OUT --strenght 0.5")) == ["--strenght"]
    assert _unknown(["mridenoise", "study", "analyze"]) == ["analyze"]
    assert _unknown(shlex.split("mridenoise measure lesions --data DIR --count 2")) == []
    assert _unknown(shlex.split("mridenoise measure lesions --data DIR --seeds 2")) == ["--seeds"]


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_inside_the_repository_leads_to_a_file(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    assert targets or "](" not in text.replace("](#", "")
    for target in targets:
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", TEXTS)
def test_every_module_that_is_named_can_be_imported(page: str) -> None:
    names = set(re.findall(r"\bMRIDenoiseLib(?:\.\w+)+", (ROOT / page).read_text(encoding="utf-8")))
    assert names or page not in NAMES_MODULES
    for name in names:
        parts = name.split(".")
        for count in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:count]))
            except ModuleNotFoundError:
                continue
            for part in parts[count:]:
                assert hasattr(found, part), f"{page} names {name}"
                found = getattr(found, part)
            break


def test_the_glossary_has_one_row_a_word_and_knows_every_method() -> None:
    rows = [
        line.strip("| ").split(" | ") for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines() if "|" in line
    ]
    words = [row[0] for row in rows if row[0] not in ("word", "---|---|---|---")]
    assert len(words) >= 60 and len(words) == len(set(words))
    assert all(len(row) == 4 and all(row) for row in rows if row[0] in words)
    named = next(row[1] for row in rows if row[0] == "method")
    assert re.findall(r"`([\w-]+)`", named) and set(re.findall(r"`([\w-]+)`", named)) == set(METHODS)


def test_readme_is_short_enough_to_be_read_and_says_first_what_the_default_is() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= 9 * 1024
    first = text.split("\n\n")[1].partition(". ")[0]
    assert "regression network" in first and "diffusion" not in first
    assert "NOT FOR DIAGNOSTIC USE" in text and "10.1038/s41746-026-02548-y" in text
