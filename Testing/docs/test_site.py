"""docs/ builds as a site, with every link checked and the reference taken from the docstrings."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from page_blocks import ROOT

pytest.importorskip("mkdocs", reason="the extra docs is not installed")
pytest.importorskip("material", reason="the extra docs is not installed")
pytest.importorskip("mkdocstrings_handlers.python", reason="the extra docs is not installed")


def build(configuration: Path, site: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(configuration), "--site-dir", str(site)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built so that a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_site_and_its_pictures_are_too(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / ("" if page.stem == "index" else page.stem) / "index.html").is_file(), page.name
    assert 'src="pictures/MRIDenoise.png"' in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "pictures" / "MRIDenoise.png").read_bytes() == (ROOT / "Resources" / "Screenshots" / "MRIDenoise.png").read_bytes()


def test_the_reference_holds_signatures_arguments_and_errors_and_no_markup_of_another_kind(site: Path) -> None:
    text = (site / "reference" / "index.html").read_text(encoding="utf-8")
    for word in ("MRIDenoiseLib.open_denoiser", "fidelity_guided", "AmbiguousInputError", "Examples"):
        assert word in text
    assert not [role for role in (":func:", ":class:", ":mod:", ":meth:") if role in text]


def test_no_page_asks_another_server_for_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "fonts.googleapis" not in text and 'src="http' not in text, page.name


@pytest.mark.parametrize(
    ("link", "complaint"),
    [("install.md", ""), ("nowhere.md", "nowhere.md"), ("../examples/99_gone.py", "99_gone.py"), ("install.md#gone", "gone")],
)
def test_a_link_that_leads_nowhere_stops_the_build(link: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n[a link]({link})\n")
    (tmp_path / "docs" / "install.md").write_text("# Install\n")
    own = {"INHERIT": str(ROOT / "mkdocs.yml"), "nav": ["index.md", "install.md"], "plugins": [], "docs_dir": str(tmp_path / "docs")}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(own | {"hooks": [str(ROOT / "scripts" / "site_links.py")]}))
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert (done.returncode == 0) == (not complaint), done.stderr
    assert complaint in done.stderr
