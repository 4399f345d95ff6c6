"""The word-level tokenizer, the small text model and the large one's size."""

import itertools
import random

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import text_tower
from transformers import CLIPTextConfig, CLIPTokenizer

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.configs import build_networks, paper, parameter_count, tiny
from MRIDenoiseLib.models.text_encoder import (
    COMPACT_LENGTH,
    add_lora,
    build_compact_text_encoder,
    build_tokenizer,
    load_text_tower,
    longest_prompt,
    stable_diffusion_text_config,
)
from MRIDenoiseLib.prompt import vocabulary


def test_every_word_of_the_vocabulary_has_a_token_of_its_own():
    tokenizer = build_tokenizer()
    rows = [tokenizer(word)["input_ids"] for word in vocabulary.WORDS]
    assert all(len(row) == 3 for row in rows), "begin, word, end"
    assert len({row[1] for row in rows}) == len(vocabulary.WORDS)


def test_a_word_outside_the_vocabulary_becomes_unknown():
    tokenizer = build_tokenizer()
    assert tokenizer("siemens zebra t2")["input_ids"] == tokenizer("siemens unknown t2")["input_ids"]


def test_padding_does_not_change_the_words_embedding():
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    encoder = build_compact_text_encoder(tokenizer).eval()
    short = tokenizer("ge knee pd", return_tensors="pt")
    padded = tokenizer("ge knee pd", padding="max_length", return_tensors="pt")
    with torch.no_grad():
        alone = encoder(**{k: short[k] for k in ("input_ids", "attention_mask")}).last_hidden_state
        among = encoder(**{k: padded[k] for k in ("input_ids", "attention_mask")}).last_hidden_state
    assert torch.allclose(alone, among[:, : alone.shape[1]], atol=1e-5)


def test_the_stable_diffusion_tower_has_the_size_the_specification_counts():
    from transformers import CLIPTextModel

    with torch.device("meta"):
        tower = CLIPTextModel(stable_diffusion_text_config())
    assert abs(parameter_count(tower) - 340.4e6) < 0.1e6


def test_lora_of_rank_8_adds_what_the_specification_counts_and_freezes_the_rest():
    from transformers import CLIPTextModel

    with torch.device("meta"):
        tower = add_lora(CLIPTextModel(stable_diffusion_text_config()), rank=8)
    assert sum(p.numel() for p in tower.parameters() if p.requires_grad) == 1_507_328


def test_a_text_tower_is_read_from_a_local_pipeline_folder_and_takes_lora(tmp_path):
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    encoder = build_compact_text_encoder(tokenizer, width=32, layers=1).eval()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    encoder.save_pretrained(tmp_path / "text_encoder")
    read_tokenizer, read_encoder = load_text_tower(str(tmp_path))
    tokens = read_tokenizer("ge knee pd", padding="max_length", return_tensors="pt")
    with torch.no_grad():
        expected = encoder(input_ids=tokens["input_ids"]).last_hidden_state
        adapted = add_lora(read_encoder.eval())(input_ids=tokens["input_ids"]).last_hidden_state
    assert torch.allclose(adapted, expected, atol=1e-6), "LoRA starts as a no-op"


def test_a_tower_as_stable_diffusion_stores_it_comes_with_short_prompts_and_all_its_weights(tmp_path):
    tokenizer, encoder = load_text_tower(str(text_tower(tmp_path / "tower")))
    assert isinstance(tokenizer, CLIPTokenizer) and tokenizer.model_max_length == COMPACT_LENGTH
    tokens = tokenizer("ge knee pd", padding="max_length", return_tensors="pt")
    assert tokens["input_ids"].shape == (1, COMPACT_LENGTH) and tokens["attention_mask"].sum() == 5
    assert tokens["input_ids"][0, -1] == 0, "padded with its own padding token, which is not the end mark"
    stored = load_file(tmp_path / "tower" / "text_encoder" / "model.safetensors")
    assert all(torch.equal(weight, stored[f"text_model.{name}"]) for name, weight in encoder.state_dict().items())
    assert not encoder.config.to_dict().keys() - CLIPTextConfig().to_dict().keys(), "nothing that a bundle would refuse"


def test_the_longest_prompt_is_as_long_as_the_longest_of_many_prompts_and_no_shorter_than_any(tmp_path):
    tokenizer, _ = load_text_tower(str(text_tower(tmp_path / "tower")))
    terms = [list(table.values()) for table in (vocabulary.VENDORS, vocabulary.ORGANS, vocabulary.CONTRASTS, vocabulary.FAT_SUPPRESSION)]
    words = [[term.words for term in table] + ["unknown"] for table in terms] + [["axial", "sag", "cor"], ["1.5x", "2x", "3x"]]
    drawn = random.Random(0).sample(list(itertools.product(*words)), 3000)
    lengths = {len(ids) for ids in tokenizer([" ".join(prompt) for prompt in drawn])["input_ids"]}
    assert longest_prompt(tokenizer) == max(lengths)
    assert longest_prompt(build_tokenizer()) <= COMPACT_LENGTH


def test_prompts_that_do_not_fit_are_refused_before_training_not_cut(tmp_path):
    with pytest.raises(SettingsError, match="14 tokens"):
        load_text_tower(str(text_tower(tmp_path / "tower")), length=13)


def test_a_tower_that_lacks_a_weight_is_refused_and_not_filled_with_chance(tmp_path):
    path = text_tower(tmp_path / "tower") / "text_encoder" / "model.safetensors"
    weights = load_file(path)
    del weights["text_model.final_layer_norm.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(SettingsError, match="lacks the weight 'final_layer_norm.weight'"):
        load_text_tower(str(tmp_path / "tower"))


@pytest.mark.parametrize(("name", "revision"), [("someone/something", None), ("someone/something", "main"), ("no_such_folder", "v2.1")])
def test_a_hub_id_without_a_pinned_commit_is_refused_without_asking_the_network(name, revision):
    with pytest.raises(SettingsError, match="pin its commit"):
        load_text_tower(name, revision)


def test_a_folder_that_is_no_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="must hold the folders tokenizer and text_encoder"):
        load_text_tower(str(tmp_path))
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "text_encoder").mkdir()
    with pytest.raises(SettingsError, match="no tokenizer and text encoder can be read") as refusal:
        load_text_tower(str(tmp_path))
    assert "\n" not in str(refusal.value)


def test_a_tower_must_be_as_wide_as_the_networks_take_it(tmp_path):
    tower = load_text_tower(str(text_tower(tmp_path / "tower", width=32)))
    with pytest.raises(SettingsError, match="32 wide, but the networks take them 16 wide"):
        build_networks(tiny(), tower)
    assert build_networks(tiny(), load_text_tower(str(text_tower(tmp_path / "fits")))).tokenizer.model_max_length == COMPACT_LENGTH


def test_the_papers_regression_twin_is_as_large_as_its_degradation_network():
    assert paper().arguments("restoration") == paper().arguments("degradation")
