"""Bundles: what is written comes back, and whatever was changed, added, removed or does not fit is refused in one sentence."""

import json
import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from MRIDenoiseLib.errors import BundleError, OutputError
from MRIDenoiseLib.models import bundle_components, bundle_text
from MRIDenoiseLib.models.bundle import Bundle
from MRIDenoiseLib.models.bundle_files import read_json, sha256, write_json
from MRIDenoiseLib.models.bundle_writing import write_bundle
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import Networks, build_networks, tiny
from MRIDenoiseLib.models.prompt_embeddings import PromptEmbeddings
from MRIDenoiseLib.models.text_encoder import add_lora

CACHED, UNCACHED = "siemens knee t2w", "ge head t1w 2x"
CARD = {
    "default_method": "regression",
    "default_settings": {"steps": 4},
    "training": {"steps": 0, "data": [{"organ": "knee", "contrast": "PDw"}, {"organ": "head", "contrast": ""}]},
}


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    built = build_networks(tiny())
    for part in (built.denoiser, built.degradation, built.restoration, built.noise_estimator, built.flow):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return built


@pytest.fixture(scope="module")
def written(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "model"
    write_bundle(path, **vars(networks), prompt_embeddings=[CACHED], card=CARD)
    return path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


def rewrite_json(folder: Path, name: str, change: Callable[[dict], object]) -> None:
    """Change a JSON file and let the card agree, as a careless or hostile author would."""
    content = read_json(folder, name)
    change(content)
    write_json(folder / name, content)
    accept(folder, name)


def accept(folder: Path, name: str) -> None:
    card = read_json(folder, "card.json")
    card["files"][name] = sha256(folder / name)
    write_json(folder / "card.json", card)


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and len(re.findall(r"\.\s", message)) == 0, message
    with pytest.raises(BundleError):
        Bundle.verify(folder)
    return message


def test_what_was_written_comes_back_to_half_precision(networks: Networks, written: Path) -> None:
    bundle = Bundle.load(written)
    given = Conditioning(*bundle.encode([UNCACHED]), torch.tensor([2.0]), torch.tensor([0.1]), torch.tensor([4.0]))
    state, measured, step = torch.randn(1, 1, 24, 20), torch.randn(1, 3, 24, 20), torch.tensor([500])
    with torch.no_grad():
        pairs = [
            (bundle.denoiser(state, measured, step, given), networks.denoiser.eval()(state, measured, step, given)),
            (bundle.degradation(state, given), networks.degradation(state, given)),
            (bundle.restoration(measured, given), networks.restoration(measured, given)),
            (bundle.flow(*[state] * 3, torch.tensor([0.5]), given), networks.flow(*[state] * 3, torch.tensor([0.5]), given)),
        ]
    for loaded, original in pairs:
        assert loaded.dtype == torch.float32
        assert (loaded - original).abs().max() < 5e-3 * original.abs().max()
    assert not torch.equal(pairs[1][1], state), "the degradation network under test must do something"
    assert not any(p.requires_grad for net in (bundle.denoiser, bundle.degradation, bundle.restoration) for p in net.parameters())
    assert torch.equal(bundle.scheduler.alphas_cumprod, networks.scheduler.alphas_cumprod)
    assert bundle.scheduler.config.prediction_type == "sample"
    assert (bundle.default_method, bundle.default_settings) == ("regression", {"steps": 4})


def test_weights_are_stored_in_half_precision_and_the_networks_given_stay_as_they_are(networks: Networks, written: Path) -> None:
    for file in written.glob("*/*.safetensors"):
        assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}, file
    assert {p.dtype for p in networks.denoiser.parameters()} == {torch.float32}


def test_the_hash_is_the_cards_and_the_same_networks_always_make_the_same_bundle(networks: Networks, written: Path, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "again", **vars(networks), prompt_embeddings=[CACHED], card=CARD)
    assert again.hash == sha256(written / "card.json") == Bundle.verify(written)


def test_the_card_lists_every_file_and_nothing_tells_where_it_was_made(copied: Path, tmp_path: Path) -> None:
    loaded = Bundle.load(copied)
    second = tmp_path / "second"
    write_bundle(
        second,
        denoiser=type(loaded.denoiser).from_pretrained(copied / "denoiser"),
        degradation=loaded.degradation,
        text_encoder=loaded.text_encoder,
        tokenizer=loaded.tokenizer,
        scheduler=type(loaded.scheduler).from_pretrained(copied / "scheduler"),
        card={"default_method": "posterior-mean"},
    )
    files = {path.relative_to(second).as_posix() for path in second.rglob("*") if path.is_file()}
    assert set(read_json(second, "card.json")["files"]) == files - {"card.json"}
    for path in second.rglob("*.json"):
        assert str(tmp_path) not in path.read_text() and '"_name_or_path"' not in path.read_text(), path
    assert Bundle.load(second).restoration is None and Bundle.load(second).flow is None


@pytest.mark.parametrize(("method", "lost"), [("regression", "restoration"), ("sharpened", "restoration"), ("sharpened", "flow")])
def test_a_default_method_without_its_network_is_refused(networks: Networks, tmp_path: Path, method: str, lost: str) -> None:
    with pytest.raises(BundleError, match=f"default_method '{method}', but there is no {lost} network"):
        write_bundle(tmp_path / "model", **(vars(networks) | {lost: None}), card={"default_method": method})


def test_nothing_connects_to_a_network(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    bundle = Bundle.load(copied)
    assert bundle.encode([UNCACHED])[0].shape == (1, 16, 16)
    assert bundle.denoiser and bundle.degradation and bundle.restoration


def test_a_cached_prompt_is_what_the_encoder_gives_and_needs_no_encoder(copied: Path, tmp_path: Path) -> None:
    cached = Bundle.load(copied)
    embedding, mask = cached.encode([CACHED])
    assert "text_encoder" not in vars(cached)
    (copied / "prompt_embeddings.safetensors").unlink()
    card = read_json(copied, "card.json")
    del card["files"]["prompt_embeddings.safetensors"]
    write_json(copied / "card.json", card)
    online = Bundle.load(copied)
    expected, expected_mask = online.encode([CACHED])
    assert "text_encoder" in vars(online)
    assert (embedding - expected).abs().max() < 1e-3 and torch.equal(mask, expected_mask)
    assert mask.sum() == 5 and embedding.dtype == torch.float32


def test_an_embedding_of_another_encoder_is_not_used(copied: Path) -> None:
    weights = load_file(copied / "text_encoder/model.safetensors")
    save_file({name: weight * 2 for name, weight in weights.items()}, copied / "text_encoder/model.safetensors")
    accept(copied, "text_encoder/model.safetensors")
    bundle = Bundle.load(copied)
    bundle.encode([CACHED])
    assert "text_encoder" in vars(bundle)


def test_a_prompts_embedding_does_not_depend_on_the_others(written: Path) -> None:
    together, masks = Bundle.load(written).encode([CACHED, UNCACHED, CACHED])
    alone, mask = Bundle.load(written).encode([UNCACHED])
    assert torch.equal(together[1:2], alone) and torch.equal(masks[1:2], mask)
    assert torch.equal(together[0], together[2]) and not torch.equal(together[0], together[1])


def test_a_prompt_too_long_for_the_model_is_refused_not_cut(written: Path) -> None:
    with pytest.raises(BundleError, match="16 tokens"):
        Bundle.load(written).encode(["head " * 15])


def test_a_lora_adapter_is_kept_apart_and_changes_the_embedding_as_trained(networks: Networks, tmp_path: Path) -> None:
    plain = Bundle.load(write_bundle(tmp_path / "plain", **vars(networks), card=CARD).path).encode([CACHED])[0]
    parts = vars(build_networks(tiny()))
    parts["text_encoder"].load_state_dict(networks.text_encoder.state_dict())
    adapted = add_lora(parts["text_encoder"], rank=2)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    bundle = write_bundle(tmp_path / "lora", **(parts | {"text_encoder": adapted}), card=CARD)
    tokens = networks.tokenizer([CACHED], padding="max_length", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = adapted.eval()(input_ids=tokens).last_hidden_state
    found = bundle.encode([CACHED])[0]
    assert (found - expected).abs().max() < 2e-2 < (found - plain).abs().max()
    base = "text_encoder/model.safetensors"
    assert sha256(tmp_path / "lora" / base) == sha256(tmp_path / "plain" / base)
    rewrite_json(tmp_path / "lora", "text_encoder/lora/adapter_config.json", lambda config: config.update(r=4))
    assert "adapter_model.safetensors" in refusal(tmp_path / "lora")
    rewrite_json(tmp_path / "lora", "text_encoder/lora/adapter_config.json", lambda config: config.update(r=2, megatron_config={"a": 1}))
    assert "megatron_config" in refusal(tmp_path / "lora")


@pytest.mark.parametrize(
    "name",
    [
        "denoiser/config.json",
        "degradation/diffusion_pytorch_model.safetensors",
        "tokenizer/tokenizer.json",
        "prompt_embeddings.safetensors",
    ],
)
def test_one_flipped_bit_in_any_file_is_refused_naming_the_file(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert name in refusal(copied)


@pytest.mark.parametrize("name", ["card.json", "model_index.json", "denoiser/config.json", "scheduler/scheduler_config.json"])
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
    write_json(copied / "card.json", card)
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
        ("denoiser/config.json", lambda c: c.update(colour=1), "unknown key 'colour'"),
        ("denoiser/config.json", lambda c: c.pop("residual"), "lacks the key 'residual'"),
        ("denoiser/config.json", lambda c: c.update(residual=1), "'residual'"),
        ("denoiser/config.json", lambda c: c.update(widths=[8, -16]), "'widths'"),
        ("denoiser/config.json", lambda c: c.update(norm_groups=3), "cannot be built"),
        ("denoiser/config.json", lambda c: c.update(norm_groups=0), "cannot be built"),
        ("denoiser/config.json", lambda c: c.update(widths=[8, 24]), "diffusion_pytorch_model.safetensors"),
        ("denoiser/config.json", lambda c: c.update(_class_name="NBNet"), "not the configuration of a DiffusionDenoiser"),
        ("degradation/config.json", lambda c: c.update(channels=[4, 4, 4, 4]), "does not have"),
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
        write_json(copied / name, card)
    else:
        rewrite_json(copied, name, change)
    assert says in refusal(copied)


def test_a_text_encoder_of_another_width_than_the_denoisers_is_refused(networks: Networks, tmp_path: Path) -> None:
    from MRIDenoiseLib.models.text_encoder import build_compact_text_encoder

    parts = vars(networks) | {"text_encoder": build_compact_text_encoder(networks.tokenizer, width=32, layers=1)}
    with pytest.raises(BundleError, match="expects texts 16 wide.*32 wide"):
        write_bundle(tmp_path / "model", **parts, card=CARD)
    assert not any(tmp_path.iterdir()), "a bundle that does not fit leaves nothing behind"


def test_a_noise_schedule_written_before_a_library_gained_an_option_still_loads(copied: Path) -> None:
    rewrite_json(copied, "scheduler/scheduler_config.json", lambda config: config.pop("dynamic_thresholding_ratio"))
    assert Bundle.load(copied).scheduler.config.rescale_betas_zero_snr


def test_a_byte_pair_tokenizer_as_stable_diffusion_has_it_comes_back_the_same(networks: Networks, tmp_path: Path) -> None:
    vocabulary = ["!", "a", "b", "a</w>", "b</w>", "ab</w>", "<|startoftext|>", "<|endoftext|>"]
    words = {word: index for index, word in enumerate(vocabulary)}
    tokenizer = CLIPTokenizer(vocab=words, merges=[("a", "b</w>")], pad_token="!", model_max_length=16)
    bundle = write_bundle(tmp_path / "model", **(vars(networks) | {"tokenizer": tokenizer}), card=CARD)
    assert isinstance(bundle.tokenizer, CLIPTokenizer)
    assert bundle.tokenizer("ab a")["input_ids"] == [6, 5, 3, 7]
    embeddings, mask = bundle.encode(["ab a", "b"])
    assert mask.sum(dim=1).tolist() == [4, 3] and embeddings.shape == (2, 16, 16)


def test_cached_prompts_of_another_shape_are_refused(copied: Path) -> None:
    PromptEmbeddings({CACHED: (torch.zeros(16, 8), torch.ones(16, dtype=torch.bool))}).save(
        copied / "prompt_embeddings.safetensors", "0" * 64
    )
    accept(copied, "prompt_embeddings.safetensors")
    assert "prompt_embeddings.safetensors" in refusal(copied)


def test_weights_that_went_astray_are_not_written(networks: Networks, tmp_path: Path) -> None:
    lost = build_networks(tiny())
    torch.nn.init.constant_(lost.degradation.head.bias, 1e6)
    with pytest.raises(ValueError, match="float16"):
        write_bundle(tmp_path / "model", **(vars(networks) | {"degradation": lost.degradation}), card=CARD)
    assert not any(tmp_path.iterdir())


def test_a_bundle_is_replaced_only_when_asked_and_other_folders_never(networks: Networks, copied: Path, tmp_path: Path) -> None:
    before = Bundle.verify(copied)
    with pytest.raises(OutputError):
        write_bundle(copied, **vars(networks), card=CARD)
    assert Bundle.verify(copied) == before
    other = tmp_path / "photographs"
    other.mkdir()
    (other / "one.txt").write_text("kept")
    with pytest.raises(OutputError):
        write_bundle(other, **vars(networks), card=CARD, overwrite=True)
    assert (other / "one.txt").read_text() == "kept"
    assert write_bundle(copied, **vars(networks), card=CARD | {"note": "new"}, overwrite=True).hash != before


def test_a_card_may_not_bring_its_own_list_of_files(networks: Networks, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="files"):
        write_bundle(tmp_path / "model", **vars(networks), card=CARD | {"files": {}})


def test_the_card_is_readable_by_a_person(written: Path) -> None:
    card = json.loads((written / "card.json").read_text())
    assert card["training"] == CARD["training"]
    assert card["parameters"]["denoiser"] == sum(p.numel() for p in Bundle.load(written).denoiser.parameters())


def test_a_bundle_knows_which_organs_and_contrasts_it_was_trained_on(written):
    assert Bundle.load(written).trained_on == {"organ": {"knee", "head"}, "contrast": {"PDw"}}


def test_a_card_that_says_nothing_of_its_training_is_trained_on_nothing_known(copied):
    write_json(copied / "card.json", read_json(copied, "card.json") | {"training": "by hand"})
    assert Bundle.load(copied).trained_on == {"organ": frozenset(), "contrast": frozenset()}


def test_the_tokenizers_that_an_index_may_name_are_those_that_can_be_loaded():
    assert set(bundle_components.TOKENIZERS) == set(bundle_text.TOKENIZERS)
