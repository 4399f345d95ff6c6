"""The text side: a word-level tokenizer over the controlled vocabulary and a small CLIP text model for ``compact``,
and the Stable Diffusion 2.1 tower with LoRA for ``paper``."""

from __future__ import annotations

from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from MRIDenoiseLib.prompt.vocabulary import WORDS

COMPACT_LENGTH = 16
"""Tokens of a compact prompt, begin and end marks included (the paper's L)."""


def build_tokenizer(max_length: int = COMPACT_LENGTH) -> PreTrainedTokenizerFast:
    """A tokenizer that knows exactly the words a compact prompt can hold; any other word becomes ``unknown``."""
    words = ["<pad>", "<begin>", "<end>", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="unknown"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<begin> $A <end>", special_tokens=[("<begin>", 1), ("<end>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<begin>",
        eos_token="<end>",
        unk_token="unknown",
        model_max_length=max_length,
    )


def build_compact_text_encoder(tokenizer: PreTrainedTokenizerFast, width: int = 64, layers: int = 2) -> CLIPTextModel:
    """A CLIP text model small enough to be trained whole, with one embedding row for each word of the tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 16),
        max_position_embeddings=tokenizer.model_max_length,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModel(config)


def stable_diffusion_text_config() -> CLIPTextConfig:
    """The text tower of Stable Diffusion 2.1: 23 layers, 1024 wide, 340.4 million parameters."""
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=1024,
        intermediate_size=4096,
        projection_dim=512,
        num_hidden_layers=23,
        num_attention_heads=16,
        max_position_embeddings=77,
        hidden_act="gelu",
    )


def add_lora(text_encoder: CLIPTextModel, rank: int = 8) -> PeftModel:
    """Low-rank adapters on the query, key, value and output projections; everything else is frozen."""
    targets = ["q_proj", "k_proj", "v_proj", "out_proj"]
    return get_peft_model(text_encoder, LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=targets))


def load_text_tower(path_or_id: str, revision: str | None = None) -> tuple[PreTrainedTokenizerBase, CLIPTextModel]:
    """The tokenizer and text model of a Stable Diffusion checkpoint: a local folder, or a hub id with a pinned revision.

    The folder may be a whole pipeline (``tokenizer/`` and ``text_encoder/`` inside).
    """
    tokenizer = AutoTokenizer.from_pretrained(path_or_id, subfolder="tokenizer", revision=revision)
    encoder = CLIPTextModel.from_pretrained(path_or_id, subfolder="text_encoder", revision=revision, use_safetensors=True)
    return tokenizer, encoder
