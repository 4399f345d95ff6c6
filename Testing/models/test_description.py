"""What is said of a model: a short card, the whole evidence beside it, a page for people; and models from before there was evidence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_cases import CARD, MEASURED, refusal

from MRIDenoiseLib.card import card_of
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import describe
from MRIDenoiseLib.models.bundle.files import FIRST_FORMAT, FORMAT, read_json, write_canonical_json
from MRIDenoiseLib.models.bundle.readme import readme
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.configs import Networks

HEADLINE = {
    **MEASURED["lesions"]["headline"],
    "command": "mridenoise measure lesions --data DIR",
    "evidence": "evidence/lesions.json",
}


@pytest.fixture
def first(copied: Path) -> Path:
    """The same model as the first format has it: all in the card, neither evidence nor page."""
    card = read_json(copied, "card.json")
    shutil.rmtree(copied / "evidence")
    (copied / "README.md").unlink()
    files = {name: digest for name, digest in card["files"].items() if (copied / name).exists()}
    told = {name: CARD[name] for name in ("default_method", "default_settings", "training")}
    numbers = {name: {key: value for key, value in content.items() if key != "headline"} for name, content in MEASURED.items()}
    whole = {**told, "format": FIRST_FORMAT, "files": files, "parameters": card["parameters"], "measured": numbers}
    (copied / "card.json").write_text(json.dumps(whole))
    return copied


def test_the_card_has_the_headline_and_the_evidence_the_whole(written: Path) -> None:
    bundle = Bundle.load(written)
    assert bundle.card["format"] == FORMAT and bundle.card["measured"] == {"lesions": HEADLINE}
    assert bundle.evidence == {"lesions": MEASURED["lesions"], "training": CARD["training"]}
    sources = [{"source": "", "licence": "", "scans": 2}]
    assert bundle.card["training"] == {"steps": 0, "sources": sources, "evidence": "evidence/training.json"}
    assert list(json.loads((written / "evidence/lesions.json").read_text())) == list(MEASURED["lesions"]), "tables follow the order"


def test_records_of_prepared_pairs_are_counted_by_source(networks: Networks, tmp_path: Path) -> None:
    data = [
        {"source": "A", "licence": "CC0", "records": 30},
        {"source": "A", "licence": "CC0", "records": 5},
        {"source": "B", "licence": ""},
    ]
    training = {"data": data, "started_from": {"bundle": "older", "hash": "0" * 64, "limits": ["long"] * 100}}
    made = write_bundle(tmp_path / "model", **vars(networks), card=CARD | {"training": training})
    short = made.card["training"]
    assert [(source["source"], source["scans"]) for source in short["sources"]] == [("A", 35), ("B", 1)]
    assert short["started_from"] == {"bundle": "older", "hash": "0" * 64} and made.evidence["training"] == training


def test_a_model_of_which_nothing_is_said_has_a_page_and_no_evidence(networks: Networks, tmp_path: Path) -> None:
    made = write_bundle(tmp_path / "model", **vars(networks), card={"default_method": "posterior-mean"})
    assert made.evidence == {} and "training" not in made.card and not (made.path / "evidence").exists()
    page = (made.path / "README.md").read_text()
    assert page == readme(made.card, {}) and "Nothing yet." in page and "license:" not in page


def test_what_was_said_before_does_not_stay(copied: Path) -> None:
    describe(copied, read_json(copied, "card.json") | {"training": None}, {"repeats": {"command": "c", "what": "decibels"}})
    after = Bundle.load(copied)
    assert list(after.evidence) == ["repeats"] and "training" not in after.card
    assert after.card["measured"] == {"repeats": {"says": "decibels", "figures": {}, "command": "c", "evidence": "evidence/repeats.json"}}
    with pytest.raises(ValueError, match="cannot be called training"):
        describe(copied, after.card, {"training": {}})


def test_describing_a_changed_part_does_not_make_it_a_good_one(copied: Path) -> None:
    (copied / "denoiser/config.json").write_text("{}")
    describe(copied, read_json(copied, "card.json"), {})
    assert "denoiser/config.json was changed" in refusal(copied)


def test_a_model_of_the_first_format_is_read_as_ever(first: Path, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = Bundle.load(first), Bundle.load(written)
    assert Bundle.verify(first) == old.hash
    assert old.trained_on == new.trained_on == card_of(first).trained_on == card_of(written).trained_on
    assert (old.default_method, old.default_settings) == (new.default_method, new.default_settings)
    assert old.evidence["training"] == CARD["training"] and old.evidence["lesions"]["rows"] == [0.5, 0.25]
    assert old.card["measured"]["lesions"]["says"] == "contrast kept" and old.card["training"] == new.card["training"]
    for command in (["info"], ["info", "--all"], ["card"], ["card", "--markdown"]):
        assert main(["bundle", *command, str(first)]) == 0
        assert "contrast kept" in capsys.readouterr().out, command


def test_a_model_of_the_first_format_becomes_one_of_todays(first: Path, written: Path) -> None:
    old = Bundle.load(first)
    describe(first, read_json(first, "card.json"), MEASURED)
    assert Bundle.load(first).evidence == Bundle.load(written).evidence
    assert (first / "card.json").read_bytes() == (written / "card.json").read_bytes()
    assert Bundle.load(first).hash != old.hash


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(measured=[1]),
        lambda card: card["measured"].update(more=3),
        lambda card: card["measured"]["lesions"].pop("says"),
        lambda card: card["measured"]["lesions"].update(figures={"lost": "many"}),
        lambda card: card.update(training="by hand"),
        lambda card: card["training"].update(sources=[{"source": "s"}]),
    ],
)
def test_a_card_that_tells_in_another_form_is_refused(copied: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = read_json(copied, "card.json")
    change(card)
    write_canonical_json(copied / "card.json", card)
    assert "in a form that this program does not know" in refusal(copied)


@pytest.mark.parametrize("name", ["evidence/other.json", "../outside.json"])
def test_evidence_that_no_hash_stands_for_is_refused(copied: Path, name: str) -> None:
    card = read_json(copied, "card.json")
    card["measured"]["lesions"]["evidence"] = name
    write_canonical_json(copied / "card.json", card)
    assert name in refusal(copied) and "not among its files" in refusal(copied)


def test_a_card_is_printed_as_json_and_as_the_page_of_its_folder(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "card", str(written)]) == 0
    assert json.loads(capsys.readouterr().out) == read_json(written, "card.json")
    assert main(["bundle", "card", "--markdown", str(written)]) == 0
    page = capsys.readouterr().out
    assert page == (written / "README.md").read_text()
    assert "| lesions | 3 |" in page and "Two of three are kept." in page and "mridenoise measure lesions --data DIR" in page
    assert page.startswith("---\nlibrary_name: mridenoise\n") and "head" in page and "knee" in page
