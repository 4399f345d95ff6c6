"""What MkDocs asks while it builds the site: pages link to files of the repository as they do on GitHub, and the site follows.

A link such as ``../examples/01_denoise.py`` becomes an address in the repository, and ``../Resources/Screenshots/panel.png`` a
picture of the site. A link to a file that is not there stops the build. ``mkdocs.yml`` names this file under ``hooks``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(\.\./([^)#\s]+)")
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):<code>~?\.?([^<]*)</code>")
"""A cross-reference of a docstring, as Markdown leaves it."""
PICTURES = "pictures"


def on_files(files: Any, config: Any) -> Any:
    """Take the screenshots, which lie outside the folder of the pages, into the site."""
    from mkdocs.structure.files import File

    for picture in sorted((ROOT / "Resources" / "Screenshots").glob("*.png")):
        files.append(File.generated(config, f"{PICTURES}/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Point links that leave the pages to where they lead on the site.

    Raises:
        FileNotFoundError: a link leads to a file that the repository does not hold.
    """

    def address(match: re.Match[str]) -> str:
        path = ROOT / match[1]
        if not path.exists():
            raise FileNotFoundError(f"{page.file.src_uri} links to ../{match[1]}, which is not there")
        if path.parent == ROOT / "Resources" / "Screenshots":
            return f"]({PICTURES}/{path.name}"
        return f"]({config['repo_url']}/{'tree' if path.is_dir() else 'blob'}/main/{match[1]}"

    return LINK.sub(address, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Show the cross-references of docstrings as the plain name they mean."""
    return ROLE.sub(lambda match: f"<code>{match[1].rpartition('.')[2]}</code>", html)
