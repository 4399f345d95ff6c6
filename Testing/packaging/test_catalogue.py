"""What Slicer's extension catalogue reads: its entry and the head of CMakeLists.txt, held together and to its rules."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

SCHEMA = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
# The keys of that schema and their types; it allows no others.
TYPES = {
    "$schema": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "category": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "scm_revision": str,
    "scm_type": str,
    "scm_url": str,
    "tier": int,
}


@pytest.fixture(scope="module")
def entry(root: Path) -> dict[str, Any]:
    """The catalogue's entry."""
    return json.loads((root / "MRIDenoise.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def told(root: Path) -> dict[str, str]:
    """EXTENSION_… -> its text in CMakeLists.txt, found as the catalogue's checker finds it: one literal in quotation marks."""
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    return dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"]+)"\)$', text, re.MULTILINE))


def test_the_entry_fits_the_schema(entry: dict[str, Any]) -> None:
    assert entry["$schema"] == SCHEMA
    assert {"category", "scm_url"} <= set(entry) <= set(TYPES)
    assert [name for name, value in entry.items() if type(value) is not TYPES[name]] == []
    assert all(isinstance(name, str) for name in entry["build_dependencies"])
    assert entry["scm_type"] in ("git", "local")
    assert 1 <= entry["tier"] <= 5


def test_the_entry_s_file_is_called_as_the_project_and_ends_its_lines_as_asked(root: Path) -> None:
    assert re.findall(r"^project\((.*)\)$", (root / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE) == ["MRIDenoise"]
    assert b"\r" not in (root / "MRIDenoise.json").read_bytes()


def test_the_entry_says_what_it_is_for(entry: dict[str, Any]) -> None:
    assert entry["category"] == "Filtering"
    assert entry["dicom_support_rule"] == "Modality == 'MR'"
    assert entry["scm_revision"] == "main"
    assert entry["tier"] == 1, "above 1 somebody answers for building on every platform"


def test_both_name_the_same_dependencies(entry: dict[str, Any], told: dict[str, str]) -> None:
    assert told["DEPENDS"].split() == entry["build_dependencies"] == ["PyTorch"]


def test_all_addresses_are_in_one_repository_whose_name_the_catalogue_accepts(entry: dict[str, Any], told: dict[str, str]) -> None:
    home = re.fullmatch(r"https://github\.com/([\w-]+/Slicer\w+)", told["HOMEPAGE"])
    assert home, "a repository's name has to begin with Slicer"
    assert entry["scm_url"] == f"https://github.com/{home[1]}.git"
    for name in ("ICONURL", "SCREENSHOTURLS"):
        for address in told[name].split():
            assert address.startswith(f"https://raw.githubusercontent.com/{home[1]}/{entry['scm_revision']}/"), address


def test_the_icon_s_address_leads_to_the_icon(root: Path, told: dict[str, str]) -> None:
    assert (root / told["ICONURL"].partition("/main/")[2]).is_file()


def test_the_screenshots_addresses_lead_to_pictures(root: Path, told: dict[str, str]) -> None:
    pictures = [root / address.partition("/main/")[2] for address in told["SCREENSHOTURLS"].split()]
    assert pictures and all(path.is_file() for path in pictures)


def test_the_description_is_one_or_two_sentences_and_says_research_use(told: dict[str, str]) -> None:
    assert 1 <= len(re.findall(r"[.!?](?: |$)", told["DESCRIPTION"])) <= 2
    assert "research use only" in told["DESCRIPTION"].lower()
    assert not [name for name, text in told.items() if ";" in text], "CMake would cut it in two"
