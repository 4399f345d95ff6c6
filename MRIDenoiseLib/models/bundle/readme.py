"""The page of a model for people, ``README.md``, in the form that model hubs show; it is made from the card and the evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from MRIDenoiseLib.methods import METHODS
from MRIDenoiseLib.models.bundle.files import EVIDENCE

Content = Mapping[str, Any]

TAGS = ("mri", "medical-imaging", "image-denoising", "research-use-only")
PAPER = (
    'Shao, Huang, Zhang et al., "Real-world unified denoising for multi-organ fast MRI: a large-scale prospective validation", '
    "*npj Digital Medicine* 9, 366 (2026), [doi 10.1038/s41746-026-02548-y](https://doi.org/10.1038/s41746-026-02548-y)"
)
REPOSITORY = "https://github.com/mri-denoise/SlicerMRIDenoise"


def readme(card: Content, evidence: Mapping[str, Content]) -> str:
    """The page.

    Args:
        card: the content of ``card.json``. Its ``files`` are not used, because the page is among them.
        evidence: name -> a whole measurement; ``training`` -> what the model learned from, and how.

    Returns:
        Markdown with a YAML head. The same card and evidence always give the same text.
    """
    parts = [*_head(card), *_what_it_is(card), *_trained(card, evidence.get("training", {})), *_measured(card, evidence), *_citation()]
    return "\n\n".join(parts) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, one line per row."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def words(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")


def _head(card: Content) -> Iterator[str]:
    licence = [f"license: {card['licence'].lower()}"] if card.get("licence") else []
    yield "\n".join(
        ["---", *licence, "library_name: mridenoise", "pipeline_tag: image-to-image", "tags:", *(f"- {tag}" for tag in TAGS), "---"]
    )
    yield f"# {card.get('name', 'A model without a name')}"
    yield f"> {card.get('use', 'Research use only. NOT FOR DIAGNOSTIC USE.')}"


def _what_it_is(card: Content) -> Iterator[str]:
    method = card["default_method"]
    does = f": {METHODS[method].sentence}" if method in METHODS else ""
    settings = ", ".join(f"{words(name)} {value}" for name, value in card.get("default_settings", {}).items())
    recommended = f"`{method}`{does}{f' ({settings})' if settings else ''}"
    yield f"A model of [MRI Denoise]({REPOSITORY}), which takes noise out of fast MR scans. It recommends the method {recommended}."
    yield "```sh\nmridenoise denoise noisy.nii.gz denoised.nii.gz --bundle FOLDER_OF_THIS_PAGE\n```"
    if card.get("parameters"):
        yield markdown_table(["network", "parameters"], [[words(name), f"{count:,}"] for name, count in card["parameters"].items()])
    yield f"## Intended use\n\n{card.get('intended_use') or 'Not said.'}"
    yield f"## Limits\n\n{_list(card.get('limits', ())) or 'None are said.'}"


def _trained(card: Content, training: Content) -> Iterator[str]:
    yield "## What it was trained on"
    short = card.get("training")
    if not short:
        yield "Not said."
        return
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: {"organ": set(), "contrast": set()})
    for entry in training.get("data", ()):
        for name, values in found[entry.get("source", ""), entry.get("licence", "")].items():
            values |= {entry[name]} if entry.get(name) else set()
    rows = []
    for source in short["sources"]:
        seen = found[source["source"], source["licence"]]
        cells = (", ".join(sorted(seen[name])) or "-" for name in ("organ", "contrast"))
        rows.append([source["source"] or "-", source["licence"] or "-", *cells, str(source["scans"])])
    yield markdown_table(["source", "licence", "organs", "contrasts", "scans"], rows)
    kept_out = training.get("kept_out", {}).get("subjects")
    if kept_out:
        yield f"Kept out of every training, to measure on: {', '.join(kept_out)}."
    yield "## How it was trained"
    yield _how(short)
    stages = [[words(name), f"{stage['steps']:,}", f"{stage['minutes']:g}"] for name, stage in training.get("stages", {}).items()]
    if stages:
        yield markdown_table(["network", "steps", "minutes"], stages)
    if training.get("notes"):
        yield _list(training["notes"])
    yield f"Every scan, what was left out and why, and the recipe: [{short[EVIDENCE]}]({short[EVIDENCE]})."


def _how(short: Content) -> str:
    start = _origin(short.get("started_from"))
    long = f"The last training took {short['steps']:,} steps" if "steps" in short else ""
    long += f" in {short['minutes']:g} minutes." if long and "minutes" in short else "." if long else ""
    noise = f"Noise: {short['noise']}." if short.get("noise") else ""
    return " ".join(part for part in (long, start, noise) if part)


def _origin(started: Any) -> str:
    """What a training started from: a model, a text encoder of somebody else's, or words that say it."""
    if not isinstance(started, Mapping):
        return f"It started from {started}." if started else ""
    of_hash = f" (hash {str(started['hash'])[:12]})" if started.get("hash") else ""
    if started.get("bundle"):
        return f"It started from the model {started['bundle']}{of_hash}."
    if started.get("text_encoder"):
        return f"It started from the text encoder of {started['text_encoder']}{of_hash}; the other networks, from random weights."
    return ""


def _measured(card: Content, evidence: Mapping[str, Content]) -> Iterator[str]:
    yield "## What was measured"
    if card.get("measured"):
        yield "`DIR` is a folder of data. The commands measure the bundled model; `--bundle FOLDER_OF_THIS_PAGE` names this one."
    else:
        yield "Nothing yet."
    for name, headline in card.get("measured", {}).items():
        yield f"### {words(name).capitalize()}"
        yield headline["says"]
        if headline["figures"]:
            yield markdown_table(["figure", "value"], [[figure, f"{value:g}"] for figure, value in headline["figures"].items()])
        if evidence[name].get("what", "") != headline["says"]:
            yield f"Measured: {evidence[name]['what']}."
        yield f"All numbers: [{headline[EVIDENCE]}]({headline[EVIDENCE]}). Measured again by:"
        yield f"```sh\n{headline['command']}\n```"


def _citation() -> Iterator[str]:
    yield "## How to cite"
    yield (
        f"The method is that of {PAPER}. This model is of an independent implementation, and its results are not the authors'. Cite the "
        f"paper, the software ([{REPOSITORY}]({REPOSITORY}), `CITATION.cff`), and the hash that `mridenoise bundle info` prints."
    )


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
