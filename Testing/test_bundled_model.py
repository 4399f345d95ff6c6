"""The model that ships: whole, small enough, honest about itself, and better than nothing on what ships beside it."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import adopt_weights
import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.cli import main
from MRIDenoiseLib.evaluation.claims import CLAIMS, claim_module
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, psnr
from MRIDenoiseLib.inference import METHODS, Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.files import files_of_parts
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.volume import Volume

SAMPLE = Path(__file__).resolve().parent.parent / "Resources" / "SampleData"
LARGEST = 24 * 2**20
LARGEST_CARD = 15 * 1024


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(bundled_model())


@pytest.fixture(scope="module")
def sample() -> tuple[Volume, Volume]:
    return io.read(SAMPLE / "head_T1w_noisy.nii.gz"), io.read(SAMPLE / "head_T1w_clean.nii.gz")


@pytest.fixture(scope="module")
def small(small_sample) -> tuple[Volume, Volume]:
    return io.read(small_sample / "head_T1w_noisy.nii.gz"), io.read(small_sample / "head_T1w_clean.nii.gz")


def test_the_bundle_fits_its_size(bundle):
    assert sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file()) <= LARGEST
    assert (bundle.path / "card.json").stat().st_size <= LARGEST_CARD


def test_the_card_names_every_source_with_its_licence_what_fell_out_and_no_kept_out_patient(bundle):
    training = bundle.evidence["training"]
    assert training["recipe"]["config"] == "compact"
    assert all(entry["licence"] and entry["source"] for entry in training["data"])
    assert not {"ms12", "sct03", "ProstateX-0000", "pymskt"} & {entry["subject"] for entry in training["data"]}
    assert training["left_out"] and training["notes"]
    told = {(source["source"], source["licence"]): source["scans"] for source in bundle.card["training"]["sources"]}
    assert told == Counter((entry["source"], entry["licence"]) for entry in training["data"])


def test_each_headline_of_the_card_is_what_its_claim_says_of_the_evidence_and_its_command_gives_that_again(bundle):
    measured = bundle.card["measured"]
    assert set(measured) >= {"methods", "native_noise", "noise_level", "lesions", "repeats"}
    assert set(measured) == set(bundle.evidence) - {"training"}
    for name, headline in measured.items():
        numbers = bundle.evidence[name]
        program, verb, claim, *_ = words = numbers["command"].split()
        assert (program, verb) == ("mridenoise", "measure") and claim in CLAIMS, name
        found = claim_module(claim).CLAIM
        assert headline == {
            **asdict(found.headline(numbers)),
            "command": numbers["command"],
            "evidence": f"evidence/{name}.json",
        }, name
        assert {word for word in words if word.startswith("--")} <= {f"--{option.replace('_', '-')}" for option in found.options}, name
        assert len(headline["says"]) <= 100 and len(headline["figures"]) <= 6, f"{name}: a headline is short"
        assert list(found.show(numbers)), f"{name}: the evidence holds all that the tables show"


def test_what_was_measured_was_measured_on_the_weights_that_lie_here(bundle):
    for name, numbers in bundle.evidence.items():
        if name != "training":
            assert adopt_weights.same_weights(name, numbers, bundle.card["files"]), name
            then, now = numbers["files"], files_of_parts(bundle.card["files"])
            added = {file.split("/")[0] for file in now.keys() - then.keys()}
            assert added <= {*adopt_weights.OF_ITS_OWN_CLAIM}, f"{name}: a network that results rest on is new"
            assert all(now[file] == digest for file, digest in then.items() if "/" in file), name


def test_the_page_of_the_model_is_made_of_its_card_and_evidence(bundle, capsys):
    assert main(["bundle", "card", "--markdown"]) == 0
    page = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == page
    head = yaml.safe_load(page.split("---")[1])
    assert head["license"] == "apache-2.0" and "mri" in head["tags"]
    training = bundle.evidence["training"]
    assert all(entry["source"] in page and entry["licence"] in page for entry in training["data"])
    assert all(line in page for line in (*bundle.card["limits"], *training["notes"]))
    for headline in bundle.card["measured"].values():
        assert headline["says"] in page and headline["command"] in page and f"({headline['evidence']})" in page
    assert "10.1038/s41746-026-02548-y" in page and "NOT FOR DIAGNOSTIC USE" in page


def test_its_card_fits_one_screen_and_the_rest_is_to_be_had(bundle, capsys):
    assert main(["bundle", "info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    shown = " ".join(" ".join(lines).split())
    assert bundle.hash in shown and all(headline["says"] in shown for headline in bundle.card["measured"].values())
    assert all(limit in shown for limit in bundle.card["limits"])
    assert main(["bundle", "info", "--all"]) == 0
    whole = "".join(capsys.readouterr().out.split())
    assert all(entry["file"] in whole for entry in bundle.evidence["training"]["data"]) and "restoration/config.json" in whole


def test_by_its_evidence_the_default_is_ahead_of_every_filter_level_with_bm4d_told_the_noise_and_says_where_it_lost(bundle):
    methods = bundle.evidence["methods"]
    assert methods["images"] >= 7 and {"ms12", "sct03"} <= set(methods["subjects"])
    ahead = {one["of"]: one for one in methods["ahead"] if one["figure"] == "psnr_foreground"}
    assert ahead["noisy"]["mean"] >= 2.5
    for name in ("blur", "median", "gradient", "curvature", "nlm", "ants"):
        assert ahead[name]["mean"] >= 0.5 and name not in methods["lost"], name
    assert abs(ahead["bm4d-told"]["mean"]) < 0.3
    assert all(name in methods["lost"] for name, one in ahead.items() if one["mean"] < 0)


def test_by_its_evidence_it_takes_grain_from_real_scans_and_leaves_clean_ones_alone(bundle):
    told = bundle.evidence["native_noise"]
    removed = [scan["removed"]["denoised"] for scan in told["scans"]]
    assert len(removed) == 6 and np.mean([one["fine"] for one in removed]) >= 1 / 3
    assert all(one["edge_ratio"] <= 2 for one in removed), "grain goes, edges stay"
    assert all(scan["removed"]["denoised"]["change"] < 0.010 for scan in told["clean"])


def test_by_its_evidence_small_lesions_keep_most_of_their_contrast(bundle):
    kept = bundle.evidence["lesions"]["summary"]
    assert kept["denoised"]["all"]["median"] >= 0.75 and kept["denoised"]["all"]["fifth_percentile"] >= 0.45
    assert kept["denoised"]["all"]["lost"] == 0
    assert {"noisy", "best blur", "equal blur"} <= set(kept), "with the controls beside it"


def test_by_its_evidence_real_repeats_come_closer_to_the_mean_of_the_others(bundle):
    sets = bundle.evidence["repeats"]["sets"]
    assert len(sets) >= 3 and "EPI" in sets
    for name, numbers in sets.items():
        assert -1 <= numbers["bias_percent"] <= numbers["floor_percent"] + 1, name
        if name == "EPI":
            # A BOLD signal is in every repeat, which a denoiser neither sees nor may take away.
            assert numbers["denoised"]["psnr"] > numbers["noisy"]["psnr"] - 0.15
        else:
            assert numbers["denoised"]["mse"] < numbers["noisy"]["mse"], name


def test_the_prompt_of_the_sample_lies_ready_in_the_bundle(bundle, sample):
    assert bundle.prompt_embeddings.get(describe(sample[0].acquisition)) is not None


@pytest.mark.parametrize("method", METHODS)
def test_every_method_brings_the_sample_closer_to_its_clean_partner(bundle, sample, small, method):
    """The usual one the sample as it ships, the others, which take up to fifty times as long, a part of it."""
    noisy, clean = sample if method == bundle.default_method else small
    scale = float(np.percentile(clean.voxels, 99.5))
    slices = (7, 9)
    steps = {"fidelity-guided": 4, "ddim": 4}.get(method)
    denoised = Denoiser(bundle, "cpu")(noisy, Settings(method=method, steps=steps, slices=slices)).volume
    mask = clean.voxels[slice(*slices)] > FOREGROUND_THRESHOLD * scale
    before, after = (
        psnr(image.voxels[slice(*slices)], clean.voxels[slice(*slices)], data_range=scale, mask=mask) for image in (noisy, denoised)
    )
    assert after > before + 2.5


def test_a_noise_free_phantom_comes_back_unchanged(bundle):
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    image = np.where(np.hypot(x, y) < 0.85, 0.5, 0.0)
    image[np.hypot(x - 0.3, y) < 0.3] = 1.0
    image[np.hypot(x + 0.35, y - 0.2) < 0.2] = 0.25
    phantom = np.repeat(ndimage.gaussian_filter(image, 0.6)[None], 5, axis=0).astype(np.float32)
    volume = Volume(1000 * phantom, np.diag([1.0, 1.0, 4.0, 1.0]))
    denoised = Denoiser(bundle, "cpu")(volume).volume
    assert psnr(denoised.voxels, volume.voxels, data_range=1000) > 45


def test_the_batch_does_not_change_the_result(bundle, small_sample):
    noisy = io.read(small_sample / "head_T1w_noisy.nii.gz")
    scale = float(np.percentile(noisy.voxels, 99.5))
    for method in ("regression", "fidelity-guided"):
        outputs = []
        for batch in (1, 3):
            torch.manual_seed(batch)
            settings = Settings(method=method, steps=2 if method == "fidelity-guided" else None, slices=(6, 9), batch_size=batch)
            outputs.append(Denoiser(bundle, "cpu")(noisy, settings).volume.voxels)
        # 12-bit integers are the units: the networks agree far below one of them.
        assert np.abs(outputs[0] - outputs[1]).max() < 1e-3 * scale


def test_brighter_units_give_the_same_picture(bundle, sample):
    noisy, _ = sample
    settings = Settings(slices=(7, 8))
    plain = Denoiser(bundle, "cpu")(noisy, settings).volume.voxels
    scaled = Denoiser(bundle, "cpu")(replace(noisy, voxels=noisy.voxels * np.float32(37)), settings).volume.voxels
    assert np.abs(scaled / 37 - plain).max() < 1e-4 * plain.max()


@pytest.mark.slow
@pytest.mark.parametrize("stripped", [False, True])
def test_wiped_out_air_and_a_stripped_skull_change_nothing_inside_the_head(bundle, sample, stripped):
    noisy, clean = sample
    middle = len(noisy.voxels) // 2
    head = ndimage.binary_fill_holes(ndimage.gaussian_filter(clean.voxels[middle], 2) > 0.06 * np.percentile(clean.voxels, 99))
    depth = ndimage.distance_transform_edt(head)
    kept = np.broadcast_to(depth > (28 if stripped else 0), noisy.voxels.shape)
    wiped = noisy.with_voxels(np.where(kept, noisy.voxels, 0))

    def error(volume: Volume) -> float:
        found = Denoiser(bundle)(volume, Settings(slices=(middle, middle + 1))).volume.voxels
        return float(np.sqrt(((found - clean.voxels)[middle][depth > 34] ** 2).mean()))

    # Networks that have never seen wiped air are off by half where it is shown to them as it is.
    assert error(wiped) == pytest.approx(error(noisy), rel=0.05)
