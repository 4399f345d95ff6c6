"""New weights become the bundled model by one command, with a card and tables in README and docs that hold what was measured on them."""

import json
import shutil
from importlib import import_module
from itertools import zip_longest
from pathlib import Path

import adopt_weights
import card_tables
import pytest
from typer.testing import CliRunner

from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.cli.exit_status import command_line
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import evidence_of
from MRIDenoiseLib.models.bundle.files import files_of_parts

LESIONS = {
    "command": "mridenoise measure lesions --data DIR",
    "what": "lesions",
    "summary": {
        name: {"all": {"number": 4, "median": 0.99, "fifth_percentile": 0.95, "missing": 1, "lost": 0}}
        for name in ("noisy", "denoised", "equal blur")
    },
    "lesions": [{"many": 1}],
}


@pytest.fixture
def bundled(tiny_bundle, tmp_path, monkeypatch) -> Path:
    """An older model where the bundled one lies, a README, and a page of docs."""
    old = tmp_path / "bundled"
    shutil.copytree(tiny_bundle, old)
    root = tmp_path / "checkout"
    (root / "docs").mkdir(parents=True)
    (root / "README.md").write_text(
        "Before.\n<!-- card: lesions -->\nold\n<!-- end of card -->\n<!-- card: posterior -->\nold\n<!-- end of card -->\nAfter.\n"
    )
    (root / "docs" / "results.md").write_text("<!-- card: lesions -->\nold\n<!-- end of card -->\n")
    (root / "docs" / "plain.md").write_text("No table.\n")
    monkeypatch.setattr(adopt_weights, "bundled_model", lambda: old)
    monkeypatch.setattr(card_tables, "bundled_model", lambda: old)
    monkeypatch.setattr(card_tables, "ROOT", root)
    return old


def test_what_was_measured_goes_into_evidence_card_and_readme_and_what_was_not_goes_out(bundled, tiny_bundle, tmp_path, monkeypatch):
    asked, adopted = [], []

    def measure(script: str, *words: str) -> None:
        asked.append(words[2] if words[1:2] == ("measure",) else Path(script).name)
        if script == "scripts/golden.py":
            assert words == ("--write", "--data", str(tmp_path)) and (adopt_weights.ROOT / script).is_file()
            adopted.append(list(Bundle.load(bundled).evidence))
        if "--json" in words:
            files = Bundle.load(tiny_bundle).card["files"]
            Path(words[words.index("--json") + 1]).write_text(json.dumps(LESIONS | {"files": files}))

    monkeypatch.setattr(adopt_weights, "_run", measure)
    monkeypatch.setitem(adopt_weights.MEASUREMENTS, "lesions", ("lesions",))
    words = [str(tiny_bundle), "--data", str(tmp_path), "--work", str(tmp_path / "work"), "--only", "lesions"]
    for _ in range(2):
        done = CliRunner().invoke(command_line(adopt_weights.adopt), words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    each_time = ["draw_screenshots.py", "golden.py"]
    assert asked == ["lesions", *each_time, *each_time], "nothing is measured twice"
    assert adopted == [["lesions"]] * 2, "the tests' values are those of the new model, which is in place by then"
    new, weights = Bundle.load(bundled), files_of_parts(Bundle.load(tiny_bundle).card["files"])
    [whole], [headline] = new.evidence.values(), new.card["measured"].values()
    assert whole == LESIONS | {"files": weights, "headline": {name: headline[name] for name in ("says", "figures")}}
    assert headline["figures"]["lesions"] == 4 and headline["command"] == LESIONS["command"]
    assert files_of_parts(new.card["files"]) == weights and new.card["licence"] == "Apache-2.0"
    assert headline["says"] in (bundled / "README.md").read_text()
    rows = [f"| {name} | 99 % | 95 % | 1 | 0 |" for name in LESIONS["summary"]]
    table = [
        "| image | half keep | nineteen of twenty keep | keep under 50 % | under 25 % (lost) |",
        f"|{' --- |' * 5}",
        *rows,
    ]
    assert (card_tables.ROOT / "docs" / "results.md").read_text().splitlines() == [
        *("<!-- card: lesions -->", *table, "<!-- end of card -->")
    ]
    assert (card_tables.ROOT / "README.md").read_text().splitlines() == [
        "Before.",
        *("<!-- card: lesions -->", *table, "<!-- end of card -->"),
        *("<!-- card: posterior -->", "*Not measured on this model.*", "<!-- end of card -->"),
        "After.",
    ]


def test_what_was_measured_on_other_weights_or_otherwise_is_measured_again(tiny_bundle, tmp_path):
    files = Bundle.load(tiny_bundle).card["files"]
    path, command = tmp_path / "lesions.json", LESIONS["command"]

    def is_done(changed: str = "", **told: object) -> bool:
        content = {"command": command, "method": "regression", "files": files | ({changed: "0" * 64} if changed else {})}
        path.write_text(json.dumps(content | told))
        return adopt_weights._is_done(path, command, files)

    assert not adopt_weights._is_done(path, command, files)
    assert is_done() and not is_done(command=f"{command} --count 2") and not is_done(not_finished=3)
    assert not is_done(command="mridenoise measure grain --data DIR")
    weights = "diffusion_pytorch_model.safetensors"
    assert not is_done(f"restoration/{weights}") and not is_done(f"noise_estimator/{weights}") and not is_done("text_encoder/config.json")
    assert is_done(f"flow/{weights}"), "regression does without"
    assert not is_done(f"flow/{weights}", method="sharpened") and not is_done(f"flow/{weights}", method=None)
    assert not is_done(f"denoiser/{weights}", method="posterior-mean")


def test_every_measurement_is_a_claim_whose_options_exist_and_whose_command_is_the_one_it_writes():
    """Else it would be measured anew each time."""
    for name, (claim_name, *words) in adopt_weights.MEASUREMENTS.items():
        claim = import_module(f"MRIDenoiseLib.evaluation.claims.{claim_name.replace('-', '_')}").CLAIM
        given = {}
        for option, value in zip_longest(words, words[1:], fillvalue="--"):
            if option.startswith("--"):
                given[option[2:].replace("-", "_")] = True if value.startswith("--") else value
        # The command writes options in the order in which the claim has them.
        assert claim.command(given) == adopt_weights.command_of(name), name
        assert adopt_weights.command_of(name).startswith(f"mridenoise measure {claim_name} --data DIR"), name


def test_evidence_has_the_headline_that_its_claim_gives_it_today(tmp_path):
    kept = LESIONS | {"files": {"a": "b"}, "headline": {"says": "As it was said once.", "figures": {}}}
    (tmp_path / "lesions.json").write_text(json.dumps(kept))
    found = adopt_weights.evidence_from("lesions", tmp_path / "lesions.json")
    assert found["lesions"] == LESIONS["lesions"] and found["summary"] == LESIONS["summary"] and found["files"] == {"a": "b"}
    assert found["command"] == adopt_weights.command_of("lesions") and found["headline"]["figures"]["lesions"] == 4


def test_what_is_said_of_a_model_does_not_make_its_measurements_old(bundled, tiny_bundle, tmp_path):
    """Adopting changes card, page and evidence; what was measured on the same weights stays measured."""
    files = Bundle.load(tiny_bundle).card["files"]
    path = tmp_path / "text.json"
    path.write_text(json.dumps({"command": "c", "files": files_of_parts(files)}))
    adopt_weights.place(tiny_bundle, {"lesions": LESIONS}, bundled)
    after = Bundle.load(bundled).card["files"]
    assert after != files and adopt_weights._is_done(path, "c", after)


def test_a_damaged_model_takes_no_place(bundled, tiny_bundle, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_bundle, damaged)
    (damaged / "denoiser" / "config.json").write_text("{}")
    before = Bundle.load(bundled).hash
    with pytest.raises(Exception, match="denoiser"):
        adopt_weights.place(damaged, {}, bundled)
    assert Bundle.load(bundled).hash == before


def test_readme_and_docs_show_what_the_bundled_models_evidence_holds():
    measured = evidence_of(bundled_model())
    texts = {page.name: page.read_text(encoding="utf-8") for page in card_tables.pages()}
    assert {"README.md", "results.md"} <= set(texts)
    assert {name for _, name, _ in card_tables.BLOCK.findall("".join(texts.values()))} == set(card_tables.TABLES), (
        "a table is shown nowhere"
    )
    for name, text in texts.items():
        assert card_tables.filled(text, measured) == text, f"{name}: python scripts/card_tables.py fills it in"


def test_tables_of_what_is_computed_from_images_say_what_was_measured():
    one = {"bias": 1.23, "spread": 20.4, "flat": 3.0, "thirds": [4.6, 1.0, -2.0]}
    found = {"series": "knee s1", "maps": {"noisy": one, "denoised": one | {"bias": -0.4}}}
    table = card_tables.quantities({"t2": [found | {"noise": "R"}], "adc": [found]})
    assert "| T2, knee s1 | R | denoised | -0.4 | +5, +1, -2 | 20 |" in table and "| ADC, knee s1 | its own | noisy | +1.2 |" in table
    row = {"volume": "head_T1w_s1", "counts": True, "tissues": True, "classes": ["fluid"], "millilitres": [300.2]}
    row |= {name: [0.8] for name in ("noisy", "best blur", "denoised")}
    row |= {"bias": {"noisy": [-9.0], "best blur": [1.0], "denoised": [2.06]}}
    assert "| head T1w s1 | fluid | 300 | -9.0 | +1.0 | +2.1 |" in card_tables.tissues({"rows": [row]})
    assert "fluid" not in card_tables.tissues({"rows": [row | {"counts": False}]})


def test_tables_of_planted_evidence_say_what_was_measured():
    disc = {"real": False, "radius": 2.0, "contrast": 2.5, "change": 0.4, "left": 0.03}
    costs = [
        {
            "volume": "head_T1w_s1",
            "noise": "R",
            "allowed": [0.2, 0.1, 0.05, 0.04, 0.03, None],
            "off": 30.0,
            "on": 29.99,
            "seconds": 10.0,
            "holding": 0.5,
        }
    ]
    table = card_tables.guarantee(
        {"discs": [disc, disc | {"change": 1.2}, disc | {"real": True, "contrast": 0.5, "left": 1}], "costs": costs}
    )
    assert "| planted | more | 2 | 1 | 3 % |" in table and "| removed | allowed | 1 | 0 | 100 % |" in table
    assert "| head T1w s1 | R | 20.0 | 10.0 | 5.0 | 4.0 | 3.0 | - |" in table
    assert "-0.010 to -0.010 dB; it takes 5.0 %" in table
    numbers = {
        "fakes": [{"fakes": {"another patient's slice": {"left": left}}} for left in (0.01, 0.05, 0.02)],
        "noise": [{"image": "grey", "found": {"noisy": {"std": 1.0, "discs": [1.4, 0.9]}}}, {"image": "air", "refused": "no"}],
        "bars": {"kept": {"noisy": {"2 px, 0.1": 0.99}, "denoised": {"2 px, 0.1": 0.5}}},
        "discs": [
            {
                "background": "even",
                "tasks": [{"areas": {"noisy": 0.8, "denoised": 0.75}}],
                "mean": {"noisy": [0, 0, 0], "denoised": [-0.05, -0.1, 0.01]},
            }
        ],
    }
    table = card_tables.planted(numbers)
    assert "| another patient's slice | 2 % | 5 % |" in table and "| grey | noisy | 1.00 | 1.40 |" in table and "air" not in table
    assert "| 2 px, 0.1 | 99 % | 50 % |" in table and "| even | 0.800 | 0.750 (-0.100 to +0.010) |" in table


def test_measurements_are_kept_where_the_weights_they_used_are_the_same(bundled, tiny_bundle):
    files = Bundle.load(tiny_bundle).card["files"]
    adopt_weights.place(tiny_bundle, {"lesions": LESIONS | {"files": files}, "repeats": {"what": "r", "files": files}}, bundled)
    weights = "diffusion_pytorch_model.safetensors"
    assert list(adopt_weights.kept_from(bundled, files, ["repeats"])) == ["lesions"]
    assert list(adopt_weights.kept_from(bundled, files | {f"uncertainty/{weights}": "0" * 64}, [])) == ["lesions", "repeats"]
    assert list(adopt_weights.kept_from(bundled, files | {"model_index.json": "0" * 64}, ["lesions"])) == ["repeats"]
    assert adopt_weights.kept_from(bundled, files | {f"restoration/{weights}": "0" * 64}, []) == {}


def test_what_the_map_of_uncertainty_stands_for_goes_into_the_card_with_its_measurement(bundled, tiny_bundle, tmp_path):
    files = Bundle.load(tiny_bundle).card["files"]
    numbers = {"command": "c", "what": "w", "files": files, "calibration": {"levels": [0.04], "factors": [1.9]}}
    adopt_weights.place(tiny_bundle, {"uncertainty": numbers}, bundled)
    calibration = Bundle.load(bundled).calibration
    assert calibration is not None and calibration.factors == (1.9,)
    path = tmp_path / "uncertainty.json"
    path.write_text(json.dumps(numbers))
    assert adopt_weights._is_done(path, "c", files)
    changed = files | {"uncertainty/diffusion_pytorch_model.safetensors": "0" * 64}
    assert not adopt_weights._is_done(path, "c", changed), "it rests on the network that it measures"
