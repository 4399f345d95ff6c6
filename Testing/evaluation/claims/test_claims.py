"""The claims whose numbers go into a model's card, each by its command, on phantoms and with a model that learned nothing."""

import importlib
import inspect
import json
import math
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import dicom_factory
import numpy as np
import pytest
import SimpleITK as sitk
from rich.console import Console
from scipy import ndimage
from training_cases import record, record_folder

from MRIDenoiseLib.cli import main
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.data.records import RecordStore
from MRIDenoiseLib.errors import MRIDenoiseError
from MRIDenoiseLib.evaluation.claims import CLAIMS, native_noise, pairs, repeats, segmentation_time, segmenters, through_plane
from MRIDenoiseLib.evaluation.claims.claim import Claim, volumes_of
from MRIDenoiseLib.evaluation.claims.oddities import ODDITIES
from MRIDenoiseLib.evaluation.claims.pairs import score_pairs
from MRIDenoiseLib.models.bundle.files import files_of_parts, read_card


def claim(name: str) -> Claim:
    found: Claim = importlib.import_module(f"MRIDenoiseLib.evaluation.claims.{name.replace('-', '_')}").CLAIM
    return found


def check_headline(name: str, numbers: dict) -> None:
    """It is made of the numbers in the file alone, short, and has figures that are numbers."""
    headline = claim(name).headline(numbers)
    if "headline" in numbers:
        assert numbers["headline"] == json.loads(json.dumps(asdict(headline)))
    assert len(headline.says) <= 100 and headline.says.endswith(".") and "nan" not in headline.says
    assert 1 <= len(headline.figures) <= 6 and all(math.isfinite(value) for value in headline.figures.values())


@pytest.fixture
def measure(data_folder, tiny_bundle, tmp_path, capsys):
    """Run a claim's command; give what it wrote to its JSON file, and what it printed, in one line."""

    def run(name: str, *options: str, **places: Path) -> tuple[dict, str]:
        target = tmp_path / "measured.json"
        common = ["--data", str(data_folder), "--bundle", str(tiny_bundle), "--json", str(target)]
        common += [word for place, folder in places.items() for word in (f"--{place}", str(folder))]
        assert main(["measure", name, *common, *options]) == 0, capsys.readouterr().err
        content = json.loads(target.read_text())
        assert content["files"] == files_of_parts(read_card(tiny_bundle)["files"]) and content["what"]
        assert content["command"] == " ".join([f"mridenoise measure {name} --data DIR", *options]), "what gives them again"
        output = capsys.readouterr().out
        again = Console(width=claim(name).width)
        for part in claim(name).show(content):
            again.print(part)
        assert capsys.readouterr().out == output, "the file holds all that the tables show"
        check_headline(name, content)
        return content, " ".join(output.split())

    return run


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_its_module_and_tells_its_options(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    found = claim(name)
    assert found.name == name and found.sentence == CLAIMS[name]
    assert main(["measure", name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"--{option.replace('_', '-')}" in shown for option in found.options) and "--json" in shown
    assert "`" not in shown and ":mod:" not in shown, "markup is for the reference"


def test_no_claim_is_forgotten_in_the_list(capsys):
    folder = Path(inspect.getfile(Claim)).parent
    holding = {path.stem.replace("_", "-") for path in folder.glob("*.py") if "\nCLAIM = Claim(" in path.read_text(encoding="utf-8")}
    assert holding == set(CLAIMS)
    assert main(["measure", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in CLAIMS)


def test_lesions(measure):
    content, output = measure("lesions", "--rows", "R", "--subjects", "s1,s2", "--count", "2")
    assert content["summary"]["denoised"]["all"]["number"] == len(content["lesions"]) == 2
    assert content["summary"].keys() == {"noisy", "best blur", "equal blur", "denoised", "wrong metadata"}
    assert "5th percentile" in output and "equal blur" in output and "lost" in output


def test_change(measure):
    content, output = measure("change", "--rows", "R", "--subjects", "s1,s2", "--count", "2")
    assert [pair["noise"] for pair in content["pairs"]] == ["R", "R"]
    for pair in content["pairs"]:
        assert pair["nothing"]["noisy"] in (None, 1) and all(len(kept) == 1 for kept in pair["kept"].values())
        # Nothing is taken from the noisy scans, so the lesion is there but for their noise.
        assert pair["kept"]["noisy"][0] == pytest.approx(1, abs=0.6)
    assert "same settings" in output


def test_lesions_of_a_sharpened_image(measure):
    content, _ = measure("lesions", "--method", "sharpened", "--sharpness", "1.0", "--rows", "R", "--subjects", "s1", "--count", "1")
    assert content["method"] == "sharpened" and content["summary"]["denoised"]["all"]["number"] == 1


def test_oddities(measure):
    """On phantoms of few pixels nothing but the count is known: every volume under every oddity, and beside it under every noise."""
    content, output = measure("oddities", "--noises", "R")
    volumes = {one["volume"] for one in content["looks"] if one["split"] == "test"}
    assert volumes and {one["planted"] for one in content["looks"]} == {"", *ODDITIES}
    assert all(row["volumes"] == len(volumes) and row["named"] <= row["noticed"] for row in content["planted"])
    assert content["alarms"][0]["images"] == len(volumes) and "False alarms" in output and "by the histogram alone" in output
    assert all(bool(one["found"]) or one["refused"] for one in content["looks"] if one["planted"] == "few grey levels")


def test_grain(measure):
    content, output = measure("grain", "--seeds", "2", "--rows", "R", "--subjects", "s2")
    [row] = content["rows"]
    assert 0 < row["share"] <= 1 and 0 < row["deviation"] <= row["changed"], "the noise field that the flow starts from is the seed's"
    assert content["means"]["share"] == row["share"] and "following the seed" in output


def test_native_noise(measure, data_folder, request, monkeypatch, tmp_path):
    """Grain of anatomy or not, what the model does is shown beside what a filter told the grain does, in numbers and pictures."""
    manifest = data_folder / "MANIFEST.csv"
    known = manifest.read_text()
    request.addfinalizer(lambda: manifest.write_text(known))
    manifest.write_text(known.replace("s1,test,0.005", "s1,as-scanned,0.03"))
    monkeypatch.setattr(native_noise, "block_matching", lambda noisy, level: ndimage.gaussian_filter(noisy, (0, 1, 1)))
    content, output = measure("native-noise", "--limit", "2", "--bm4d", pictures=tmp_path)
    [scan], [clean] = content["scans"], content["clean"]
    assert (scan["scan"], clean["scan"]) == ("head_T1w_s1", "head_T1w_s2")
    assert scan["removed"].keys() == {"denoised", "BM4D", "equal blur"} and scan["removed"]["BM4D"]["fine"] > 0.1
    assert (tmp_path / "head_T1w_s1.png").stat().st_size > 5000
    assert "edge ratio" in output and "BM4D given the grain removes. It " in output and "Clean scans" in output


def test_grainy_and_clean_scans_are_told_by_the_manifest_not_by_their_names():
    def row(name: str, split: str, own_noise: float | None) -> ManifestRow:
        return ManifestRow(f"volumes/{name}.nii.gz", "made here", "none", "head", "T1w", "Siemens", "s1", split, own_noise)

    rows = [row("kept", "as-scanned", None), row("learned", "train", 0.03), row("grainy", "test", 0.021), row("between", "test", 0.015)]
    rows += [row("clean", "test", 0.009), row("unknown", "test", None), row("clean and learned", "train", 0.001)]
    grainy, clean = native_noise._chosen(rows, None)
    assert ([row.name for row in grainy], [row.name for row in clean]) == (["kept", "grainy"], ["clean"])
    grainy, clean = native_noise._chosen(rows, "clean")
    assert (grainy, [row.name for row in clean]) == ([], ["clean"])
    with pytest.raises(MRIDenoiseError, match="no scan 'between'"):
        native_noise._chosen(rows, "clean,between")
    with pytest.raises(MRIDenoiseError, match="no scan of the split as-scanned, and no grainy or clean one"):
        native_noise._chosen(rows[1:2], None)


def test_in_this_projects_data_they_are_the_scans_of_the_results_page(data_dir):
    grainy, clean = native_noise._chosen(read_manifest(data_dir), None)
    assert len(grainy) == 6 and {"head_T2-FLAIR_ms12_study1", "prostate_T2w_ProstateX-0000_5_t2tsec"} <= {row.name for row in grainy}
    assert {"head_T1w_ms12_study1", "head_T2w_ms12_study1", "cspine_PDw_sct03"} <= {row.name for row in clean}


def test_noise_level(measure):
    content, output = measure("noise-level", "--subjects", "s1", "--kinds", "white", "--limit", "2")
    assert [row["kind"] for row in content["rows"]] == ["white"] * 6
    assert all(row["ratio"] == pytest.approx(row["estimated"] / row["true"], abs=1e-3) for row in content["rows"])
    assert f"{content['rows'][-1]['ratio']:.2f}" in output and "rows that count" in output


def test_what_the_readers_note_of_a_scan_is_said(data_folder, tiny_bundle, tmp_path, capsys):
    data = shutil.copytree(data_folder, tmp_path / "data")
    name = Path(read_manifest(data, split="test")[0].file).name
    (data / "volumes" / name.replace(".nii.gz", ".json")).write_text("{ not JSON", encoding="utf-8")
    options = ["--data", str(data), "--bundle", str(tiny_bundle), "--kinds", "white", "--limit", "2"]
    assert main(["measure", "noise-level", *options]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count(f"Note: {name}: A JSON file beside the image cannot be read and was left out.") == 1


def test_through_plane(measure, data_folder, request, monkeypatch, tmp_path):
    """On a volume whose slices differ; in those of the other tests they are all alike."""
    manifest, volume = data_folder / "MANIFEST.csv", data_folder / "volumes/head_T1w_s3.nii.gz"
    known = manifest.read_text()
    request.addfinalizer(lambda: manifest.write_text(known))
    request.addfinalizer(volume.unlink)
    z, y, x = np.mgrid[0:14, 0:48, 0:52]
    image = sitk.GetImageFromArray(np.where(np.hypot(y - 24, x - 26) < 18, 500 + 90 * np.sin(x / 2 + z), 0).astype(np.float32))
    image.SetSpacing((1.0, 1.0, 4.0))
    sitk.WriteImage(image, str(volume))
    manifest.write_text(known + known.splitlines()[1].replace("s1", "s3") + "\n")
    monkeypatch.setattr(through_plane, "block_matching", lambda noisy, level: ndimage.gaussian_filter(noisy, (1, 1, 1)))
    options = ["--rows", "R", "--subjects", "s3", "--limit", "4", "--scans", "head_T1w_s2", "--slab", "6", "--bm4d"]
    content, output = measure("through-plane", *options, pictures=tmp_path)
    [row], [scan] = content["flicker"], content["vessels"]
    assert row["flicker"].keys() == {"noisy", "denoised", "BM4D", "equal blur"} and row["flicker"]["BM4D"] < row["flicker"]["noisy"]
    assert scan["kept"].keys() == {"denoised", "BM4D", "equal blur"} and scan["slices"] == [4, 10]
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"head_T1w_s2_{what}.png" for what in ("reformat1", "reformat2", "projection")
    }
    assert "It holds" in output or "It does not hold" in output


def test_posterior(measure):
    content, output = measure("posterior", "--rows", "R", "--subjects", "s2", "--slices", "1", "--seeds", "2")
    ours, nothing = content["means"]["this model"], content["means"]["untrained"]
    assert ours["regression"] == nothing["regression"] and ours["posterior mean"] != nothing["posterior mean"]
    [image] = content["images"]
    drawn = [image[name]["one sample"]["calibration"] for name in ("this model", "untrained")]
    assert drawn[0] > drawn[1] == 0, "an untrained one knows one answer only"
    assert ours["default"]["edges"] in (0, 1) and content["verdict"] in output and "one sample, untrained" in output


def test_text(measure):
    content, output = measure("text", "--subjects", "s1,s2", "--per-volume", "2", "--size", "64")
    assert content["crops"] == 4 and {effect["method"] for effect in content["effects"]} == {"regression", "posterior-mean"}
    assert all(effect["verdict"] in output for effect in content["effects"])


def test_tissues(measure):
    content, output = measure("tissues", "--rows", "R", "--subjects", "s2")
    [row] = content["rows"]
    assert row["noise"] == "R" and len(row["classes"]) == len(row["denoised"]) == 3
    assert np.nanmean(row["best blur"]) > np.nanmean(row["noisy"]) and f"{np.nanmean(row['noisy']):.3f}" in output
    assert row["counts"] and row["tissues"] and row["subject"] == "s2" and sum(row["millilitres"]) > 1
    farthest = max(row["bias"]["noisy"], key=abs)
    assert row["bias"].keys() == {"noisy", "best blur", "denoised"} and abs(farthest) > 1 and f"{farthest:+.1f}" in output
    assert "1 patient" in output and content["headline"]["figures"]["largest bias of a tissue's volume, noisy, %"] == round(farthest, 2)


def test_a_head_that_is_noisy_itself_says_nothing_on_volumes(measure, data_folder, request):
    manifest = data_folder / "MANIFEST.csv"
    known = manifest.read_text()
    request.addfinalizer(lambda: manifest.write_text(known))
    manifest.write_text(known.replace("s2,test,0.005", "s2,test,0.04"))
    content, output = measure("tissues", "--rows", "R", "--subjects", "s2")
    assert not content["rows"][0]["counts"] and "so nothing is said about volumes of tissues" in output
    assert "volume" not in content["headline"]["says"]


def test_guarantee(measure):
    content, output = measure("guarantee", "--rows", "R", "--limit", "1", "--count", "4")
    assert len(content["discs"]) >= 4 and {cost["volume"] for cost in content["costs"]} == {"head_T1w_s1", "head_T1w_s2"}
    assert all(one["change"] <= 1.001 for one in content["discs"]) and "of the time" in output
    assert f"0 of {len(content['discs'])} discs" in output


def test_planted(measure):
    content, output = measure("planted", "--parts", "fakes,noise,bars", "--noise", "R", "--size", "64", "--slices", "2")
    assert [row["volume"] for row in content["fakes"]] == ["head_T1w_s1", "head_T1w_s2"] and content["discs"] == []
    left = [one["left"] for row in content["fakes"] for name, one in row["fakes"].items() if "20 sigma" in name]
    assert left and max(left) < 0.5 and "another patient's slice" in output
    assert [row["image"] for row in content["noise"]] == ["grey", "air"] and len(content["bars"]["kept"]["noisy"]) == 15
    assert "mridenoise measure lesions" in output


@pytest.mark.slow
def test_planted_discs(measure):
    content, output = measure("planted", "--parts", "discs", "--sheets", "16")
    assert [trial["background"] for trial in content["discs"]] == ["even", "lumpy"] and "observer" in content["headline"]["says"]
    change, low, high = content["discs"][1]["mean"]["denoised"]
    assert low <= change <= high and f"{change:+.3f} ({low:+.3f} to {high:+.3f})" in output


def test_quantities(measure, data_folder, request):
    """A series of echoes of a test patient, and a diffusion series that was measured several times."""
    manifest = data_folder / "MANIFEST.csv"
    known = manifest.read_text()
    request.addfinalizer(lambda: manifest.write_text(known))
    request.addfinalizer((data_folder / "repeats.csv").unlink)
    for folder in ("dicom", "repeats"):
        request.addfinalizer(lambda folder=folder: shutil.rmtree(data_folder / folder))
    manifest.write_text(known + "dicom/echoes/,made here,none,knee,PDw,GE,s3,test,0.005\n")
    y, x = np.mgrid[0:64, 0:64]
    body = np.hypot(y - 32, x - 32) < 26
    for time in (10, 25, 40, 55):
        for place in range(3):
            pixels = np.where(body, 900 * np.exp(-time / (45 + 15 * np.sin(x / 8))), 0).astype(np.uint16)
            header = dicom_factory.put_pixels(dicom_factory.slice_header(place, EchoTime=time), pixels)
            dicom_factory.save(header, data_folder / "dicom" / "echoes" / f"{time}-{place}.dcm")
    generator = np.random.default_rng(0)
    (data_folder / "repeats").mkdir()
    (data_folder / "repeats.csv").write_text("name,file,group,volumes\nDWI b0,repeats/dwi.nii.gz,0,0 7 8\n")
    volumes = []
    for k in range(9):
        signal = np.stack([np.where(body, 600 * (1 if k in (0, 7, 8) else np.exp(-0.8)), 0)] * 3)
        volumes.append(sitk.GetImageFromArray(np.hypot(signal + generator.normal(0, 15, signal.shape), 15).astype(np.float32)))
    sitk.WriteImage(sitk.JoinSeries(volumes), str(data_folder / "repeats" / "dwi.nii.gz"))
    content, output = measure("quantities", "--rows", "M0.05", "--limit", "1")
    [t2], [adc] = content["t2"], content["adc"]
    assert t2["times"] == [10, 25, 40, 55] and 40 < t2["median"] < 55 and (adc["trials"], adc["directions"]) == (3, 2)
    for found in (t2, adc):
        assert list(found["maps"]) == ["noisy", "noisy, floor taken out", "best blur", "denoised"]
        assert found["maps"]["best blur"]["spread"] < found["maps"]["noisy"]["spread"]
    assert "Each direction was measured once" in output and f"{t2['maps']['denoised']['bias']:+.2f}" in output


def test_sheets(measure, tmp_path):
    content, output = measure("sheets", "--noise", "R", "--subjects", "s2", out=tmp_path / "sheets")
    assert list(content["sheets"]) == ["head_T1w_s2_R.png"] and (tmp_path / "sheets" / "head_T1w_s2_R.png").stat().st_size > 5000
    told = content["sheets"]["head_T1w_s2_R.png"]
    assert f"{told['edges']:+.3f}" in output and f"{told['blur_detail']:.1%}" in output


def test_segmenters_take_no_model(data_folder, monkeypatch, tmp_path, capsys):
    ours = segmenters.segmenters()["ours"]
    wrong = segmenters.Segmenter(lambda image, mask, spacing, classes: np.roll(ours.run(image, mask, spacing, classes), 5, 2), True)
    monkeypatch.setattr(segmenters, "segmenters", lambda: {"ours": ours, "twin": ours, "moved": wrong})
    target = tmp_path / "segmenters.json"
    words = ["--data", str(data_folder), "--files", "s2", "--out", str(tmp_path), "--json", str(target)]
    assert main(["measure", "segmenters", *words]) == 0, capsys.readouterr().err
    content = json.loads(target.read_text())
    assert content["command"] == "mridenoise measure segmenters --data DIR --files s2" and content["files"] == {}
    check_headline("segmenters", content)
    [row] = content["volumes"]
    assert row["dice"]["ours / twin"] == [1, 1, 1] and max(row["dice"]["ours / moved"]) < 1
    assert set(row["seconds"]) == {"N4", "ours", "twin", "moved"} and (tmp_path / "head_T1w_s2.png").stat().st_size > 5000
    assert "1.000 1.000 1.000; 1.000" in capsys.readouterr().out
    assert main(["measure", "segmenters", "--bundle", "somewhere"]) == 2


def test_segmentation_time(monkeypatch, tmp_path, capsys):
    """Each in a process of its own; one that is not there says so and stops nothing."""
    monkeypatch.setattr(segmentation_time, "SHAPE", (4, 48, 52))
    monkeypatch.setattr(segmentation_time, "segmenters", lambda: {"absent": None, "ours": None})
    assert main(["measure", "segmentation-time", "--json", str(tmp_path / "times.json")]) == 0
    numbers = json.loads((tmp_path / "times.json").read_text())
    check_headline("segmentation-time", numbers)
    absent, ours = numbers["rows"]
    assert "absent" in absent["failed"] and ours["seconds"] > 0 and ours["memory"] > 10 and ours["dice"] > 0.8
    output = " ".join(capsys.readouterr().out.split())
    assert "three classes in (4, 48, 52)" in output and "1.00" in output


def test_repeats(measure, data_folder, request, monkeypatch):
    truth = np.zeros((4, 40, 36), np.float32)
    truth[:, 8:32, 6:30] = 700
    rng = np.random.default_rng(0)
    (data_folder / "repeats").mkdir()
    request.addfinalizer(lambda: shutil.rmtree(data_folder / "repeats"))
    groups = {"pCASL": [range(0, 24, 4), range(1, 24, 4)], "EPI": [range(20)], "DWI b0": [range(5)]}
    lines = [
        f"{name},repeats/{name}.nii.gz,{k},{' '.join(map(str, group))}\n" for name, of_it in groups.items() for k, group in enumerate(of_it)
    ]
    request.addfinalizer((data_folder / "repeats.csv").unlink)
    (data_folder / "repeats.csv").write_text("name,file,group,volumes\n" + "".join(lines))
    for name, of_it in groups.items():
        number = 1 + max(max(group) for group in of_it)
        volumes = [sitk.GetImageFromArray(np.abs(truth + rng.normal(0, 40, truth.shape)).astype(np.float32)) for _ in range(number)]
        sitk.WriteImage(sitk.JoinSeries(volumes), str(data_folder / "repeats" / f"{name}.nii.gz"))
    monkeypatch.setattr(repeats, "block_matching", lambda noisy, level: ndimage.gaussian_filter(noisy, 5 * level))
    content, output = measure("repeats", "--limit", "1", "--bm4d")
    assert list(content["sets"]) == ["pCASL", "EPI", "EPI, noise alone", "DWI b0"]
    assert all(numbers["best_blur"]["psnr"] > numbers["noisy"]["psnr"] for numbers in content["sets"].values())
    assert all(numbers["others"]["BM4D"]["setting"].endswith("spread of the repeats") for numbers in content["sets"].values())
    assert "best blur" in output and content["note"] in output


def test_pairs(tiny_bundle, tmp_path, monkeypatch, capsys):
    folder = record_folder(tmp_path / "pairs", record("train"), record("test"), record("test", subject="other", contrast="T2w"))

    def smooth(volume):
        return volume.with_voxels(ndimage.uniform_filter(volume.voxels, 3))

    monkeypatch.setattr(pairs, "_denoise", lambda model: smooth)
    options = ["--data", str(folder), "--bundle", str(tiny_bundle), "--json", str(tmp_path / "pairs.json")]
    assert main(["measure", "pairs", *options]) == 0
    content = json.loads((tmp_path / "pairs.json").read_text())
    check_headline("pairs", content)
    assert [pair["name"] for pair in content["pairs"]] == ["1 knee PDw", "2 knee T2w"], "no pair of the training"
    gain = content["gains"]["noisy"]
    assert (gain["rows"], gain["won"]) == (2, 2) and gain["mean"] > 2 and content["gains"]["bundled model"]["mean"] == 0
    assert "resampling 2 patients" in " ".join(capsys.readouterr().out.split())


def test_a_pair_is_denoised_as_its_patients_file_would_be(tmp_path):
    """Physical intensities, thick slices on axis 0, and what its headers told."""
    made = record("test", slice_spacing=4.0)
    store = RecordStore(record_folder(tmp_path / "pairs", made))
    seen = []

    def same(volume):
        seen.append(volume)
        return volume

    [score] = score_pairs(store, "test", {"same": same}, lambda *told: None)
    assert np.array_equal(seen[0].voxels, made.noisy) and seen[0].spacing == (4.0, 0.5, 0.5) and seen[0].slice_axis == 0
    assert seen[0].acquisition.organ.value == "knee"
    limit = np.percentile(made.clean[made.mask], 99.5)
    expected = 20 * np.log10(limit / np.sqrt(np.square(made.noisy - made.clean)[made.mask].mean()))
    assert score.psnr == {"noisy": pytest.approx(expected, abs=1e-3), "same": pytest.approx(expected, abs=1e-3)}


def test_where_no_patients_are_named_the_manifest_says_whose_volumes_are_measured_on(data_folder, tmp_path):
    assert [row.subject for row in volumes_of(data_folder, "")] == ["s1", "s2"]
    text = (data_folder / "MANIFEST.csv").read_text().replace("s1,test", "s1,train")
    (tmp_path / "MANIFEST.csv").write_text(text)
    assert [row.subject for row in volumes_of(tmp_path, "")] == ["s2"]
    (tmp_path / "MANIFEST.csv").write_text(text.replace(",test,", ",train,"))
    with pytest.raises(MRIDenoiseError, match="keeps no volume for tests"):
        volumes_of(tmp_path, "")
    assert [row.subject for row in volumes_of(tmp_path, "s1")] == ["s1"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("repeats", [], r"holds no repeats\.csv"),
        ("lesions", ["--subjects", "s1", "--rows", "M0.5"], "no noise 'M0.5'"),
        ("native-noise", ["--scans", "head_T1w_s9"], "no scan 'head_T1w_s9'"),
        ("noise-level", ["--subjects", "s1", "--kinds", "pink"], "no kind of noise 'pink'"),
        ("through-plane", ["--subjects", "s1", "--scans", "s7"], "no scan 's7'"),
        ("lesions", ["--subjects", "s1,s9"], "no volume of 's9'"),
        ("text", ["--subjects", "s1,s9"], "no volume of 's9'"),
        ("tissues", ["--subjects", "s1", "--rows", "M9"], "no noise 'M9'"),
        ("guarantee", ["--subjects", "s1", "--rows", "M9"], "no noise 'M9'"),
        ("planted", ["--parts", "fakes,tricks"], "no trial 'tricks'"),
        ("planted", ["--parts", "fakes", "--subjects", "s1"], "another patient's"),
        ("quantities", ["--rows", "U"], "no noise 'U'"),
        ("quantities", [], "no series of echoes"),
        ("sheets", ["--subjects", "s1", "--noise", "X"], "no noise 'X'"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(name, options, said, data_folder, tiny_bundle, capfd):
    assert main(["measure", name, "--data", str(data_folder), "--bundle", str(tiny_bundle), *options]) == 2
    complaint = capfd.readouterr().err
    assert re.search(said, complaint) and complaint.count("\n") == 1


def test_uncertainty(measure):
    content, output = measure("uncertainty", "--rows", "R,M0.10", "--subjects", "s1,s2", "--slices", "1", "--views", "2")
    assert content["patients"].keys() == {"s1", "s2"} and content["noises"].keys() == {"R", "M0.10"}
    assert all(0 <= value <= 1 for cells in content["patients"].values() for value in cells.values())
    assert content["calibration"]["patients"] == 2 and all(factor > 0 for factor in content["calibration"]["factors"])
    assert content["noises"]["R"]["sources"].keys() == {"map", "constant", "views"} and "Factors: " in output
    assert "one constant width" in output and "Wanted: " in output
