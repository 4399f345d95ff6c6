"""The whole comparison as its user runs it: report, resuming, failures, warnings."""

import csv
import json
import re
import shutil
from base64 import b64decode
from html import unescape

import numpy as np
import pytest
import SimpleITK as sitk
from card_tables import methods as methods_table
from comparison_cases import write_config
from pair_files import body, coils, complex_noise, hdf5, ismrmrd, kspace_of

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.evaluation.claims import methods as methods_claim
from MRIDenoiseLib.evaluation.comparison import config as configuration
from MRIDenoiseLib.evaluation.comparison import run
from MRIDenoiseLib.evaluation.comparison.cases import load, volume_specs
from MRIDenoiseLib.evaluation.comparison.cells import ADDED, OWN, TRIAL, Outcome, run_cell
from MRIDenoiseLib.evaluation.comparison.report import Report
from MRIDenoiseLib.evaluation.comparison.store import CellStore

PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def here(cells, **_):
    """What workers do, in this process."""
    for cell in cells:
        yield cell, run_cell(cell)


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(run, "run_cells", here)


@pytest.mark.slow
def test_one_command_gives_a_page_with_everything_in_it(phantoms, tiny_bundle, tmp_path, capsys):
    config = write_config(
        tmp_path / "small.yaml",
        methods=["noisy", "blur", "ours", "nbnet"],
        models={"tiny": str(tiny_bundle)},
        repeats=["EPI"],
    )
    out = tmp_path / "out"
    assert main(["compare", "--config", str(config), "--data", str(phantoms), "--out", str(out), "--jobs", "1"]) == 0
    shown = capsys.readouterr()
    assert "3 images, 4 methods: about" in shown.err and "report.html" in shown.out.replace("\n", "")
    page = (out / "report.html").read_text()
    pictures = [b64decode(found) for found in PNG.findall(page)]
    assert len(pictures) >= 3 + 4 and all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert "http" not in page.replace("http://www.w3.org", ""), "nothing is fetched from anywhere"
    assert str(phantoms) not in page and str(tmp_path) not in page, "no path of this machine"
    content = json.loads((out / "comparison.json").read_text())
    assert {method["entrant"]["method"] for method in content["methods"]} == {"noisy", "blur", "ours", "nbnet"}
    assert str(phantoms) not in json.dumps(content)
    with (out / "cells.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 3 * 4 and all(float(row["psnr_foreground"]) > 5 for row in rows)
    noisy = {row["image"]: float(row["psnr_foreground"]) for row in rows if row["method"] == "noisy"}
    blurred = {row["image"]: float(row["psnr_foreground"]) for row in rows if row["method"] == "blur"}
    assert blurred["knee_T2w_s2_R"] > noisy["knee_T2w_s2_R"]
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert main(["compare", "--config", str(config), "--data", str(phantoms), "--out", str(out), "--jobs", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == before, "nothing is done twice"
    assert "3 images, 4 methods: about 1 s on" in capsys.readouterr().err, "and nothing is left to do"


def test_a_killed_run_goes_on_with_what_is_missing_and_a_damaged_cell_is_done_again(plan_of, tmp_path, in_this_process, monkeypatch):
    plan = plan_of()
    done = []

    def counted(cells, **_):
        for cell in cells:
            if len(done) == 7:
                raise KeyboardInterrupt
            done.append(cell.name)
            yield cell, run_cell(cell)

    monkeypatch.setattr(run, "run_cells", counted)
    with pytest.raises(KeyboardInterrupt):
        run.compare(plan, tmp_path / "out", jobs=1)
    first, done[:] = set(done), []
    stored = sorted((tmp_path / "out" / "cells").glob("*.json"))
    stored[0].write_text(stored[0].read_text()[:20])
    monkeypatch.setattr(run, "run_cells", lambda cells, **_: ((done.append(cell.name), (cell, run_cell(cell)))[1] for cell in cells))
    findings = run.compare(plan, tmp_path / "out", jobs=1)
    assert first & set(done) == {stored[0].stem}
    assert len(findings.cells) == 2 * 3 and not [outcome.error for _, outcome in findings.cells if outcome.error]


def test_the_images_that_are_finished_can_be_told_of_before_the_rest(
    plan_of, tiny_bundle, phantoms, tmp_path, in_this_process, monkeypatch, capsys
):
    values = {"methods": ["noisy", "blur", "nbnet", "ours"], "choose": "on-each-image", "tuning": None}
    plan = plan_of(**values)
    out = tmp_path / "cells"
    with pytest.raises(SettingsError, match="no image on which every method has run"):
        run.kept(plan, out)
    run.compare(plan, out, jobs=1)
    whole = run.kept(plan, out)
    assert [outcome.figures for _, outcome in whole.cells] == [outcome.figures for _, outcome in run.compare(plan, out, jobs=1).cells]
    next((out / "cells").glob("knee*nbnet*.json")).unlink()
    assert list(run.kept(plan, out).plan.cases) == ["head_T1w_s1_R"]

    monkeypatch.setattr(methods_claim, "CONFIG", write_config(tmp_path / "honest.yaml", **values))
    target = tmp_path / "methods.json"
    words = ["--data", str(phantoms), "--out", str(out), "--bundle", str(tiny_bundle), "--so-far", "--json", str(target)]
    assert main(["measure", "methods", *words]) == 0
    shown = capsys.readouterr().out
    assert "Gaussian blur" in shown and "1 more are not finished" in shown
    told = json.loads(target.read_text())
    assert (told["images"], told["not_finished"]) == (1, 1)
    assert told["command"] == "mridenoise measure methods --data DIR --out DIR", "what gives the whole"
    assert set(told["psnr_foreground"]["R"]) == {"noisy", "blur", "nbnet", "ours"}
    scores = told["psnr_foreground"]["R"]
    lost = {name for name, value in scores.items() if value > scores["ours"]}
    assert set(told["lost"]) == lost
    ahead = next(one["mean"] for one in told["ahead"] if one["of"] == "noisy" and one["figure"] == "psnr_foreground")
    assert ahead == pytest.approx(scores["ours"] - scores["noisy"], abs=1e-6)
    assert "**default**" in methods_table(told)
    assert told["headline"]["says"].endswith(" dB (1 of 2 images).") and set(told["headline"]["figures"]) == {
        *("images", "images not finished", "ahead of the best blur, dB")
    }
    failed = told | {"ahead": [one | {"mean": None} for one in told["ahead"]]}
    assert methods_claim.headline(failed).says == "Compared on 1 of 2 images."
    for cell, _ in whole.cells:
        if cell.method == "blur":
            CellStore(out).put(cell, Outcome(error="it did not work"))
    assert main(["measure", "methods", *words]) == 0
    assert "- to -" in capsys.readouterr().out, "a method that failed everywhere has no numbers"


def test_what_is_told_of_an_unfinished_comparison_is_what_the_finished_one_will_tell(plan_of, tmp_path):
    """Also where a method failed, and of one whose cells depend on which other images there are."""
    plan = plan_of(methods=["noisy", "blur", "shuffled-text"])
    store, figures = CellStore(tmp_path / "out"), {OWN: 0.01, ADDED: 0.1, TRIAL: 30.0}
    trials = plan.trials()
    for cell in trials:
        store.put(cell, Outcome(figures) if cell.setting != trials[0].setting else Outcome(error="it did not work"))
    settings = plan.choose({cell.name: outcome for cell in trials if (outcome := store.get(cell, failed=True))})
    cells = [cell for cell in plan.scored(settings) if cell.case.subject == "s1"]
    for cell in cells:
        outcome = Outcome(error="it did not work") if cell.method == "blur" else Outcome(figures, image=np.zeros((1, 2, 2), np.float16))
        store.put(cell, outcome)
    found = run.kept(plan, tmp_path / "out")
    assert list(found.plan.cases) == ["head_T1w_s1_R"]
    assert {cell.method: outcome.error for cell, outcome in found.cells} == {"noisy": "", "blur": "it did not work", "shuffled-text": ""}


def test_one_methods_failure_does_not_stop_the_rest_and_is_tried_again_next_time(plan_of, tmp_path, in_this_process, monkeypatch):
    from MRIDenoiseLib.evaluation.denoisers import CONTENDERS

    broken = CONTENDERS["median"]

    def fails(task, setting):
        raise RuntimeError("the filter broke")

    monkeypatch.setitem(CONTENDERS, "median", type(broken)(**{**vars(broken), "run": fails}))
    failures = []
    plan = plan_of()
    findings = run.compare(plan, tmp_path / "out", jobs=1, failed=lambda cell, outcome: failures.append(outcome.error))
    assert set(failures) == {"RuntimeError: the filter broke"}
    page = Report(findings, tmp_path / "out", "command").write().read_text()
    assert "What failed" in page and "the filter broke" in page and "Gaussian blur" in page
    monkeypatch.setitem(CONTENDERS, "median", broken)
    again = run.compare(plan, tmp_path / "out", jobs=1)
    assert not [outcome.error for _, outcome in again.cells if outcome.error]


def test_an_inclusive_reference_given_on_purpose_is_found_and_warned_of(tmp_path, tiny_bundle, in_this_process, monkeypatch, phantoms):
    from MRIDenoiseLib.evaluation.comparison import cases
    from MRIDenoiseLib.evaluation.comparison.plan import Plan

    monkeypatch.setattr(configuration, "bundled_model", lambda: tiny_bundle)
    one = [{"subjects": ["s1"], "noises": ["R"]}]
    config = write_config(tmp_path / "c.yaml", methods=["noisy", "blur"], volumes=one, repeats=["EPI"], tuning=None)
    honest = _report(config, phantoms, tmp_path / "honest")
    assert honest.inclusions["EPI_measured"].inclusive is False and "Warning" not in honest.write().read_text()
    monkeypatch.setattr(cases, "leave_one_out", lambda voxels: np.repeat(voxels[:4].mean(axis=0, keepdims=True), len(voxels), axis=0))
    purpose = _report(config, phantoms, tmp_path / "purpose")
    found = purpose.inclusions["EPI_measured"]
    assert found.inclusive and found.share == pytest.approx(1 / 4, abs=0.06)
    page = unescape(purpose.write().read_text())
    assert "Warning: the reference of EPI_measured contains the noisy image's own noise" in page
    assert json.loads((tmp_path / "purpose" / "comparison.json").read_text())["inclusive"] == ["EPI_measured"]
    assert set(Plan.of(configuration.read_config(config), phantoms).cases) == {"EPI_measured", "head_T1w_s1_R"}


def _report(config, data, folder):
    from MRIDenoiseLib.evaluation.comparison import cells
    from MRIDenoiseLib.evaluation.comparison.plan import Plan

    for cache in (cells.loaded, cells._yardstick, cells._target):
        cache.cache_clear()
    findings = run.compare(Plan.of(configuration.read_config(config), data), folder, jobs=1)
    return Report(findings, folder, "command")


def m4raw_files(folder):
    """Two repetitions of one scan, in the data set's layout."""
    header = ismrmrd((64, 64), (64, 64), (240, 240), (240, 240))
    for number in (1, 2):
        images = body(6, 64)[:, None] * coils(4, 64)
        kspace = kspace_of(images + complex_noise(images.shape, 25, number))
        hdf5(folder / f"7_T10{number}.h5", {"acquisition": "AXT1"}, kspace=kspace, ismrmrd_header=header)


def fastmri_files(folder):
    """One knee, in the data set's layout."""
    told = {"acquisition": "CORPD_FBK", "patient_id": "abc"}
    header = ismrmrd((128, 64), (64, 64), (140, 140), (280, 140))
    kspace = np.zeros((6, 1, 4, 4), np.complex64)
    hdf5(folder / "a.h5", told, kspace=kspace, ismrmrd_header=header, reconstruction_rss=body(6, 64))


@pytest.mark.parametrize(("name", "write", "noises"), [("m4raw", m4raw_files, {"measured"}), ("fastmri", fastmri_files, {"R", "U"})])
def test_public_benchmarks_run_from_files_of_the_downloaded_layout(
    name, write, noises, tmp_path, tiny_bundle, in_this_process, monkeypatch, request
):
    """By the commands that the configuration names, with fewer methods; zero-shot and few-shot are two rows of the table."""
    write(tmp_path / "in")
    folder = tmp_path / "pairs"
    assert main(["prepare", name, str(tmp_path / "in"), str(folder), "--external"]) == 0
    monkeypatch.setenv(f"{name.upper()}_PAIRS", str(folder))
    monkeypatch.setenv(f"{name.upper()}_MODEL", str(tiny_bundle))
    monkeypatch.setattr(configuration, "bundled_model", lambda: tiny_bundle)
    text = (request.config.rootpath / "scripts" / "benchmarks" / f"{name}.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("[all]", "[noisy, blur, nbnet]"))
    page = _report(tmp_path / "config.yaml", None, tmp_path / "out").write().read_text()
    assert "NBNet (regression) (zero-shot)" in page and "NBNet (regression) (few-shot)" in page
    assert {image["noise"] for image in json.loads((tmp_path / "out" / "comparison.json").read_text())["images"].values()} == noises


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "nowhere"], "holds no MANIFEST.csv"),
        ([], "needs the data folder"),
        (["--data", "DATA", "--out", "DATA"], "holds something that is not a comparison"),
    ],
)
def test_bad_input_gets_one_sentence(options, said, phantoms, tiny_bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MRIDENOISE_DATA", raising=False)
    config = write_config(tmp_path / "c.yaml", models={"tiny": str(tiny_bundle)})
    given = [str(phantoms) if option == "DATA" else option for option in options]
    assert main(["compare", "--config", str(config), "--out", str(tmp_path / "out"), *given]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_the_readers_note_of_an_image_is_said_and_stands_on_the_page(phantoms, tiny_bundle, tmp_path, capsys, in_this_process):
    data = shutil.copytree(phantoms, tmp_path / "data")
    (data / "volumes" / "head_T1w_s1.json").write_text("{ not JSON", encoding="utf-8")
    images = [{"subjects": ["s1"], "noises": ["R"]}]
    config = write_config(tmp_path / "c.yaml", methods=["noisy"], volumes=images, tuning=None, models={"tiny": str(tiny_bundle)})
    assert main(["compare", "--config", str(config), "--data", str(data), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("Note: head_T1w_s1_R: A JSON file beside the image cannot be read and was left out.") == 1
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("cannot be read and was left out") == 1


def test_what_cannot_come_out_right_is_not_compared(phantoms, tmp_path):
    data = shutil.copytree(phantoms, tmp_path / "data")
    path = str(data / "volumes" / "head_T1w_s1.nii.gz")
    sitk.WriteImage(sitk.Cast(sitk.ReadImage(path) > 500, sitk.sitkUInt8), path)
    [spec] = volume_specs(data, ["s1"], ["R"], 2)
    with pytest.raises(InputError, match="label"):
        load(spec)


def test_only_an_estimate_compares_nothing(phantoms, tiny_bundle, tmp_path, capsys):
    config = write_config(tmp_path / "c.yaml", models={"tiny": str(tiny_bundle)})
    out = tmp_path / "out"
    assert main(["compare", "--config", str(config), "--data", str(phantoms), "--out", str(out), "--estimate"]) == 0
    assert "2 images, 3 methods: about" in capsys.readouterr().err and not out.exists()


def test_images_survive_the_store(plan_of, tmp_path):
    [cell] = [cell for cell in plan_of(methods=["blur"]).scored({**plan_of(methods=["blur"]).choose({})}) if cell.method == "blur"][:1]
    outcome = run_cell(cell)
    store = CellStore(tmp_path / "out")
    assert store.get(cell) is None
    store.put(cell, outcome)
    again = store.get(cell)
    assert again.figures == pytest.approx(dict(outcome.figures), nan_ok=True) and np.array_equal(again.image, outcome.image)
    assert again.tissues == outcome.tissues and again.evolution == outcome.evolution
    shutil.rmtree(tmp_path / "out")
    assert store.get(cell) is None
