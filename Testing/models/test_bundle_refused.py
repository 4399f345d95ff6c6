"""Bundles that were changed, were damaged or do not fit are refused in one sentence that says what is wrong."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from bundle_cases import CACHED, CARD, accept, refusal, rewrite_json

from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.files import read_json, write_canonical_json
from MRIDenoiseLib.models.bundle.prompts import PromptEmbeddings
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.configs import Networks


@pytest.mark.parametrize(
    "name",
    [
        "denoiser/config.json",
        "degradation/diffusion_pytorch_model.safetensors",
        "tokenizer/tokenizer.json",
        "prompt_embeddings.safetensors",
        "evidence/lesions.json",
        "README.md",
    ],
)
def test_one_flipped_bit_in_any_file_is_refused_naming_the_file(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert name in refusal(copied)


@pytest.mark.parametrize("name", ["card.json", "model_index.json", "denoiser/config.json", "evidence/training.json", "README.md"])
def test_a_missing_file_is_refused_naming_it(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert name in refusal(copied)


@pytest.mark.parametrize("name", ["notes.txt", "denoiser/model.bin", "weights.pkl", "text_encoder/pytorch_model.pt", "run.py", "film.mp4"])
def test_a_file_that_the_card_does_not_list_or_that_can_carry_code_is_refused(copied: Path, name: str) -> None:
    (copied / name).write_bytes(b"\x80\x04.")
    assert name in refusal(copied)


def test_a_pickle_is_refused_even_when_the_card_lists_it(copied: Path) -> None:
    (copied / "denoiser/extra.pkl").write_bytes(b"\x80\x04.")
    accept(copied, "denoiser/extra.pkl")
    assert "denoiser/extra.pkl" in refusal(copied)


def test_a_pickle_under_the_name_of_the_weights_is_refused(copied: Path) -> None:
    torch.save({"a": torch.zeros(1)}, copied / "denoiser/diffusion_pytorch_model.safetensors")
    accept(copied, "denoiser/diffusion_pytorch_model.safetensors")
    assert "not a readable safetensors file" in refusal(copied)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_symbolic_link_is_refused_wherever_it_leads(copied: Path, tmp_path: Path, kind: str) -> None:
    part = copied / ("denoiser/config.json" if kind == "file" else "denoiser")
    shutil.move(part, tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refusal(copied)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_without_waiting_for_it(copied: Path) -> None:
    os.mkfifo(copied / "notes.txt")
    assert "not a plain file" in refusal(copied)


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/passwd", "denoiser/../../x.json", "C:\\x.json", "a//b.json", "./a.json", "", "card.json"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(copied: Path, name: str) -> None:
    card = read_json(copied, "card.json")
    card["files"][name] = "0" * 64
    write_canonical_json(copied / "card.json", card)
    assert "card.json names" in refusal(copied)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "other"}', '{"format": "mridenoise-bundle/1"}', '{"format": 1, "files": 3}', "[" * 100_000]
)
def test_a_card_that_is_no_card_is_refused(copied: Path, text: str) -> None:
    (copied / "card.json").write_text(text)
    assert "card.json" in refusal(copied)


def test_no_folder_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "There is no model folder" in refusal(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "card.json is missing" in refusal(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("denoiser/config.json", lambda c: c.pop("residual"), "lacks the key 'residual'"),
        ("denoiser/config.json", lambda c: c.update(residual=1), "'residual'"),
        ("denoiser/config.json", lambda c: c.update(informed="yes"), "'informed'"),
        ("denoiser/config.json", lambda c: c.update(informed=True), "of shape"),
        ("denoiser/config.json", lambda c: c.update(informed=True, residual=False), "cannot be built"),
        ("denoiser/config.json", lambda c: c.update(widths=[8, -16]), "'widths'"),
        ("denoiser/config.json", lambda c: c.update(norm_groups=3), "cannot be built"),
        ("denoiser/config.json", lambda c: c.update(norm_groups=0), "cannot be built"),
        ("denoiser/config.json", lambda c: c.update(widths=[8, 24]), "diffusion_pytorch_model.safetensors"),
        ("denoiser/config.json", lambda c: c.update(_class_name="NBNet"), "not the configuration of a DiffusionDenoiser"),
        ("degradation/config.json", lambda c: c.update(channels=[4, 4]), "does not have"),
        ("degradation/config.json", lambda c: c.update(conditioning="words"), "conditioning"),
        ("restoration/config.json", lambda c: c.update(in_channels=1), "of shape"),
        ("scheduler/scheduler_config.json", lambda c: c.update(prediction_type="epsilon"), "prediction_type 'epsilon'"),
        ("scheduler/scheduler_config.json", lambda c: c.update(beta_schedule="sudden"), "noise schedule"),
        ("scheduler/scheduler_config.json", lambda c: c.update(rescale_betas_zero_snr=False), "pure noise"),
        ("scheduler/scheduler_config.json", lambda c: c.update(num_train_timesteps=100), "1000 steps"),
        ("text_encoder/config.json", lambda c: c.update(hidden_size="wide"), "'hidden_size'"),
        ("text_encoder/config.json", lambda c: c.update(hidden_size=32), "text_encoder/model.safetensors"),
        ("text_encoder/config.json", lambda c: c.update(auto_map={"AutoModel": "code.Model"}), "code of its own"),
        ("text_encoder/config.json", lambda c: c.update(model_type="bert"), "CLIP text model"),
        ("tokenizer/tokenizer_config.json", lambda c: c.update(model_max_length=77), "has room for"),
        ("tokenizer/tokenizer.json", lambda c: c.pop("model"), "vocabulary"),
        ("model_index.json", lambda c: c.update(denoiser=["os", "system"]), "'system'"),
        ("model_index.json", lambda c: c.update(safety_checker=["x", "y"]), "'safety_checker'"),
        ("model_index.json", lambda c: c.pop("degradation"), "degradation"),
        ("card.json", lambda c: c.pop("default_method"), "default_method"),
        ("card.json", lambda c: c.update(default_settings=[1]), "default_settings"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_even_when_the_hashes_agree(copied: Path, name: str, change, says: str) -> None:
    if name == "card.json":
        card = read_json(copied, name)
        change(card)
        write_canonical_json(copied / name, card)
    else:
        rewrite_json(copied, name, change)
    assert says in refusal(copied)


def test_a_text_encoder_of_another_width_than_the_denoisers_is_refused(networks: Networks, tmp_path: Path) -> None:
    from MRIDenoiseLib.models.text_encoder import build_compact_text_encoder

    parts = vars(networks) | {"text_encoder": build_compact_text_encoder(networks.tokenizer, width=32, layers=1)}
    with pytest.raises(BundleError, match="expects texts 16 wide.*32 wide"):
        write_bundle(tmp_path / "model", **parts, card=CARD)
    assert not any(tmp_path.iterdir()), "a bundle that does not fit leaves nothing behind"


def test_cached_prompts_of_another_shape_are_refused(copied: Path) -> None:
    PromptEmbeddings({CACHED: (torch.zeros(16, 8), torch.ones(16, dtype=torch.bool))}).save(
        copied / "prompt_embeddings.safetensors", "0" * 64
    )
    accept(copied, "prompt_embeddings.safetensors")
    assert "prompt_embeddings.safetensors" in refusal(copied)
