"""Command lines of version 0.1, translated to today's: kept for one release, hidden from the help, and removed in version 0.3."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

KINDS = ("repeats", "m4raw", "fastmri")
"""Options of ``prepare`` that are commands now; without one it was ``pairs``."""
HELP = {"-h", "--help"}


def in_new_words(words: Sequence[str]) -> list[str]:
    """The same command line as it is written today; for an old one, a sentence on standard error shows the new form.

    Args:
        words: what follows the program's name.
    """
    end = words.index("--") if "--" in words else len(words)
    command, options = words[:1], list(words[1:end])
    change = _CHANGES.get(command[0]) if command else None
    new, form = change(options) if change is not None else ([], "")
    if form:
        print(f"mridenoise: this is now written mridenoise {form}; the old spelling ends with version 0.3.", file=sys.stderr)
    return [*new, *words[end:]] if new else list(words)


def _prepare(options: list[str]) -> tuple[list[str], str]:
    kind = next((kind for kind in KINDS if f"--{kind}" in options), None)
    if kind is not None and not _names(options, {*KINDS, "pairs"}):
        return ["prepare", kind, *(option for option in options if option != f"--{kind}")], f"prepare {kind} FOLDER OUT"
    # What names no folder is a command that somebody mistyped.
    begins_old = bool(options) and (options[0].startswith("-") or Path(options[0]).is_dir())
    if begins_old and HELP.isdisjoint(options) and not _names(options, {*KINDS, "pairs"}):
        return ["prepare", "pairs", *options], "prepare pairs FAST FULL OUT"
    return [], ""


def _benchmark(options: list[str]) -> tuple[list[str], str]:
    if _names(options, {"methods", "ladder", "latency", "networks"}):
        return [], ""
    if "--networks" in options:
        return ["benchmark", "networks", *(option for option in options if option != "--networks")], "benchmark networks"
    for number, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name == "--ladder":
            rest = options[:number] + options[number + (1 if equals else 2) :]
            return ["benchmark", "ladder", *([value] if equals else options[number + 1 : number + 2]), *rest], "benchmark ladder METHOD"
    if "--latency" in options:
        # At that time it was measured as well; a hidden option of the command for the table still does that.
        return ["benchmark", "methods", *options], "benchmark latency, a command of its own"
    return [], ""


def _segment(options: list[str]) -> tuple[list[str], str]:
    if "--compare" not in options:
        return [], ""
    renamed = {"--compare": "--tissues", "--report": "--json"}
    words = [option.partition("=") for option in options]
    new = [f"{renamed.get(name, name)}{equals}{value}" for name, equals, value in words]
    return ["evaluate", *new], "evaluate --tissues TEST... --reference REF (and --json for --report)"


def _names(options: list[str], commands: set[str]) -> bool:
    """Whether the first word is one of today's commands."""
    return bool(options) and options[0] in commands


_CHANGES = {"prepare": _prepare, "benchmark": _benchmark, "segment": _segment}
