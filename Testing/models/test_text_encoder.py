"""The word-level tokenizer, the small text model and the large one's size."""

import torch

from MRIDenoiseLib.models.operations import parameter_count
from MRIDenoiseLib.models.text_encoder import (
    add_lora,
    build_compact_text_encoder,
    build_tokenizer,
    load_text_tower,
    stable_diffusion_text_config,
)
from MRIDenoiseLib.prompt.vocabulary import WORDS


def test_every_word_of_the_vocabulary_has_a_token_of_its_own():
    tokenizer = build_tokenizer()
    rows = [tokenizer(word)["input_ids"] for word in WORDS]
    assert all(len(row) == 3 for row in rows), "begin, word, end"
    assert len({row[1] for row in rows}) == len(WORDS)


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
