"""A report as one HTML file with everything in it: it can be moved, mailed and archived, and loads nothing over the internet."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape

from MRIDenoiseLib import RESEARCH_USE_ONLY, __version__

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1400px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1em 0; } th, td { padding: .25em .9em; text-align: left; border-bottom: 1px solid #ddd; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.best { font-weight: bold; }
.note { color: #666; } .warning { font-weight: bold; }
caption { text-align: left; color: #444; } details { margin: 1em 0; } summary { cursor: pointer; }
.wide { overflow-x: auto; }
figure { margin: 1.5em 0; } figure img { max-width: 100%; background: black; } figcaption { color: #444; }
"""


def page(title: str, note: str, body: Iterable[str]) -> str:
    """The whole file as text.

    Args:
        title: over the page and in the browser's tab.
        note: a sentence under it, with the version and the limits of use.
        body: pieces of HTML.
    """
    head = f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style></head>"
    note_line = f"<p class='note'>MRIDenoiseLib {__version__}. {escape(RESEARCH_USE_ONLY)} {escape(note)}</p>"
    return f"{head}<body><h1>{escape(title)}</h1>{note_line}\n" + "\n".join(body) + "\n</body></html>\n"


def heading(text: str, level: int = 2) -> str:
    """Over a part of the page; a smaller one has a higher level."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain words; ``kind`` is ``note``, ``warning`` or nothing."""
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>"


def items(sentences: Iterable[str]) -> str:
    """One below the other."""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], bold: Iterable[tuple[int, int]] = (), caption: str = "") -> str:
    """A table; under a head, what looks like a number is aligned right.

    Args:
        head: of the columns; nothing for a table without.
        rows: the cells.
        bold: row and column of cells in bold, counted from 0.
        caption: words over it.
    """
    strong = set(bold)

    def cell(value: object, tag: str, place: tuple[int, int] | None = None) -> str:
        classes = ["number"] if head and re.fullmatch(r"[-+±−]?[\d.]+( ?%)?", str(value)) else []
        classes += ["best"] if place in strong else []
        return f"<{tag}{f' class={chr(39)}{chr(32).join(classes)}{chr(39)}' if classes else ''}>{escape(str(value))}</{tag}>"

    lines = ["".join(cell(name, "th") for name in head)] if head else []
    lines += ["".join(cell(value, "td", (i, j)) for j, value in enumerate(row)) for i, row in enumerate(rows)]
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<div class='wide'><table>{words}{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"


def figure(png: bytes, caption: str) -> str:
    """A picture inside the page, with words under it."""
    data = base64.b64encode(png).decode("ascii")
    return f"<figure><img src='data:image/png;base64,{data}' alt='{escape(caption)}'><figcaption>{escape(caption)}</figcaption></figure>"
