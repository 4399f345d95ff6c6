"""Bundles: what is written comes back, with its texts, its card and its hash."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_cases import CACHED, CARD, MEASURED, UNCACHED, accept, refusal, rewrite_json
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from MRIDenoiseLib.errors import BundleError, OutputError
from MRIDenoiseLib.models.bundle import components as bundle_components
from MRIDenoiseLib.models.bundle import text as bundle_text
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.files import read_json, sha256, write_canonical_json
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import Networks, build_networks, tiny
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser
from MRIDenoiseLib.models.text_encoder import add_lora


def without(networks: Networks, *lost: str) -> dict[str, Any]:
    """What a bundle is written of, but for some networks."""
    return vars(networks) | {"networks": {name: network for name, network in networks.items() if name not in lost}}


def test_what_was_written_comes_back_to_half_precision(networks: Networks, written: Path) -> None:
    bundle = Bundle.load(written)
    given = Conditioning(*bundle.encode([UNCACHED]), torch.tensor([2.0]), torch.tensor([0.1]), torch.tensor([4.0]))
    state, measured, step = torch.randn(1, 1, 24, 20), torch.randn(1, 3, 24, 20), torch.tensor([500])
    with torch.no_grad():
        pairs = [
            (bundle.network("denoiser")(state, measured, step, given), networks["denoiser"].eval()(state, measured, step, given)),
            (bundle.network("degradation")(state, given), networks["degradation"](state, given)),
            (bundle.network("restoration")(measured, given), networks["restoration"](measured, given)),
            (bundle.network("flow")(*[state] * 3, torch.tensor([0.5]), given), networks["flow"](*[state] * 3, torch.tensor([0.5]), given)),
        ]
    for loaded, original in pairs:
        assert loaded.dtype == torch.float32
        assert (loaded - original).abs().max() < 5e-3 * original.abs().max()
    assert not torch.equal(pairs[1][1], state), "the degradation network under test must do something"
    assert not any(p.requires_grad for name in networks for p in bundle.network(name).parameters())
    assert torch.equal(bundle.scheduler.alphas_cumprod, networks.scheduler.alphas_cumprod)
    assert bundle.scheduler.config.prediction_type == "sample"
    assert (bundle.default_method, bundle.default_settings) == ("regression", {"steps": 4})


def test_weights_are_stored_in_half_precision_and_the_networks_given_stay_as_they_are(networks: Networks, written: Path) -> None:
    for file in written.glob("*/*.safetensors"):
        assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}, file
    assert {p.dtype for p in networks["denoiser"].parameters()} == {torch.float32}


def test_the_hash_is_the_cards_and_the_same_networks_always_make_the_same_bundle(networks: Networks, written: Path, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "again", **vars(networks), prompt_embeddings=[CACHED], card=CARD, measured=MEASURED)
    assert again.hash == sha256(written / "card.json") == Bundle.verify(written)


def test_the_card_lists_every_file_and_nothing_tells_where_it_was_made(copied: Path, tmp_path: Path) -> None:
    loaded = Bundle.load(copied)
    second = tmp_path / "second"
    write_bundle(
        second,
        networks={
            "denoiser": DiffusionDenoiser.from_pretrained(copied / "denoiser"),
            "degradation": loaded.network("degradation"),
        },
        text_encoder=loaded.text_encoder,
        tokenizer=loaded.tokenizer,
        scheduler=type(loaded.scheduler).from_pretrained(copied / "scheduler"),
        card={"default_method": "posterior-mean"},
    )
    files = {path.relative_to(second).as_posix() for path in second.rglob("*") if path.is_file()}
    assert set(read_json(second, "card.json")["files"]) == files - {"card.json"}
    for path in second.rglob("*.json"):
        assert str(tmp_path) not in path.read_text() and '"_name_or_path"' not in path.read_text(), path
    assert all(Bundle.load(second).network(name) is None for name in ("restoration", "flow"))


@pytest.mark.parametrize(("method", "lost"), [("regression", "restoration"), ("sharpened", "restoration"), ("sharpened", "flow")])
def test_a_default_method_without_its_network_is_refused(networks: Networks, tmp_path: Path, method: str, lost: str) -> None:
    with pytest.raises(BundleError, match=f"default_method '{method}', but there is no {lost} network"):
        write_bundle(tmp_path / "model", **without(networks, lost), card={"default_method": method})


def test_nothing_connects_to_a_network(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    bundle = Bundle.load(copied)
    assert bundle.encode([UNCACHED])[0].shape == (1, 16, 16)
    assert bundle.network("denoiser") and bundle.network("degradation") and bundle.network("restoration")


def test_a_cached_prompt_is_what_the_encoder_gives_and_needs_no_encoder(copied: Path, tmp_path: Path) -> None:
    cached = Bundle.load(copied)
    embedding, mask = cached.encode([CACHED])
    assert "text_encoder" not in vars(cached)
    (copied / "prompt_embeddings.safetensors").unlink()
    card = read_json(copied, "card.json")
    del card["files"]["prompt_embeddings.safetensors"]
    write_canonical_json(copied / "card.json", card)
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


def test_weights_that_went_astray_are_not_written(networks: Networks, tmp_path: Path) -> None:
    lost = build_networks(tiny())
    torch.nn.init.constant_(lost["degradation"].head.bias, 1e6)
    with pytest.raises(ValueError, match="float16"):
        write_bundle(tmp_path / "model", **vars(networks) | {"networks": {**networks, "degradation": lost["degradation"]}}, card=CARD)
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
    assert card["measured"]["lesions"]["says"] == "Two of three are kept."
    assert list(card)[-2:] == ["measured", "files"], "first what a person looks for"
    assert card["parameters"]["denoiser"] == sum(p.numel() for p in Bundle.load(written).network("denoiser").parameters())


def test_a_bundle_knows_which_organs_and_contrasts_it_was_trained_on(written):
    assert Bundle.load(written).trained_on == {"organ": {"knee", "head"}, "contrast": {"PDw"}}


def test_a_card_that_says_nothing_of_its_training_is_trained_on_nothing_known(copied):
    card = read_json(copied, "card.json")
    del card["training"], card["trained_on"]
    write_canonical_json(copied / "card.json", card)
    assert Bundle.load(copied).trained_on == {"organ": frozenset(), "contrast": frozenset()}


def test_a_model_that_was_written_before_a_key_existed_reads_as_it_always_did(copied: Path, written: Path) -> None:
    for name in ("denoiser", "degradation", "restoration"):
        rewrite_json(copied, f"{name}/config.json", lambda config: [config.pop(key, None) for key in bundle_components.LATER])
    older, now = Bundle.load(copied), Bundle.load(written)
    assert older.network("denoiser").config.informed is False and older.notes == ()
    given = Conditioning(*now.encode([CACHED]), torch.tensor([2.0]), torch.tensor([0.1]), torch.tensor([4.0]))
    shown = torch.randn(1, 1, 16, 16), torch.randn(1, 3, 16, 16), torch.tensor([500]), given
    with torch.no_grad():
        assert torch.equal(older.network("denoiser")(*shown), now.network("denoiser")(*shown))


def test_a_key_of_a_newer_program_is_done_without_and_one_sentence_says_so(copied: Path) -> None:
    rewrite_json(copied, "denoiser/config.json", lambda config: config.update(colour=[1, 2]))
    newer = Bundle.load(copied)
    [note] = newer.notes
    assert "denoiser/config.json" in note and "'colour'" in note and note.count(".") == 2 and str(copied) not in note
    assert "colour" not in newer.network("denoiser").config
    assert Bundle.verify(copied) == newer.hash


def test_an_informed_denoiser_is_nothing_without_the_network_that_informs_it(networks: Networks, tmp_path: Path) -> None:
    informed = DiffusionDenoiser(**tiny().arguments("denoiser"), informed=True)
    parts = vars(networks) | {"networks": {**networks, "denoiser": informed}}
    assert write_bundle(tmp_path / "whole", **parts, card=CARD).network("denoiser").config.informed
    with pytest.raises(BundleError, match="informed by the restoration network, but there is none"):
        write_bundle(tmp_path / "half", **without(Networks(**parts), "restoration", "flow"), card={"default_method": "posterior-mean"})


def test_the_tokenizers_that_an_index_may_name_are_those_that_can_be_loaded():
    assert set(bundle_components.TOKENIZERS) == set(bundle_text.TOKENIZERS)
