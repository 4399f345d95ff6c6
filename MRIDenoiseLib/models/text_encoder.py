"""The text encoders: a word-level tokenizer over the controlled vocabulary and a small CLIP text model for ``compact``,
and the Stable Diffusion 2.1 text encoder with LoRA for ``paper``."""

from __future__ import annotations

import re
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.prompt import vocabulary

COMPACT_LENGTH = 16
"""Tokens of a compact prompt, begin and end marks included (the paper's L)."""


def build_tokenizer(max_length: int = COMPACT_LENGTH) -> PreTrainedTokenizerFast:
    """A tokenizer that knows exactly the words a compact prompt can hold; any other word becomes ``unknown``."""
    words = ["<pad>", "<begin>", "<end>", *vocabulary.WORDS]
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
    """The text encoder of Stable Diffusion 2.1: 23 layers, 1024 wide, 340.4 million parameters."""
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


def load_text_tower(
    path_or_id: str, revision: str | None = None, length: int = COMPACT_LENGTH
) -> tuple[PreTrainedTokenizerBase, CLIPTextModel]:
    """The tokenizer and text model of a Stable Diffusion checkpoint.

    Args:
        path_or_id: a local folder, or a hub id; a whole pipeline, with ``tokenizer/`` and ``text_encoder/`` inside.
        revision: for a hub id, the commit: a name such as ``main`` can mean other weights tomorrow.
        length: tokens that prompts are padded to, begin and end marks included. The tokenizer's own 77 would be mostly padding.

    Returns:
        The tokenizer, with ``length`` as its ``model_max_length``, and the text model in float32.

    Raises:
        SettingsError: they cannot be read or are incomplete, the revision is not pinned, or a prompt does not fit ``length``.
    """
    folder = Path(path_or_id)
    if folder.is_dir():
        if not ((folder / "tokenizer").is_dir() and (folder / "text_encoder").is_dir()):
            raise SettingsError(f"{folder} must hold the folders tokenizer and text_encoder, as a Stable Diffusion checkpoint does")
    elif not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
        raise SettingsError(
            f"'{path_or_id}' is not a folder here; to take one from the hub, pin its commit (40 hexadecimal digits) as the revision"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(path_or_id, subfolder="tokenizer", revision=revision)
        config = _known_part(CLIPTextConfig.from_pretrained(path_or_id, subfolder="text_encoder", revision=revision))
        encoder, found = CLIPTextModel.from_pretrained(
            path_or_id, subfolder="text_encoder", revision=revision, config=config, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SettingsError(f"no tokenizer and text encoder can be read from '{path_or_id}': {reason}") from error
    if found["missing_keys"]:
        raise SettingsError(f"the text encoder in '{path_or_id}' lacks the weight '{min(found['missing_keys'])}'")
    if tokenizer.pad_token_id is None:
        raise SettingsError(f"the tokenizer in '{path_or_id}' names no padding token")
    tokenizer.model_max_length = length
    if (longest := longest_prompt(tokenizer)) > length:
        raise SettingsError(f"prompts can be {longest} tokens long, but the tokenizer in '{path_or_id}' is to pad them to {length}")
    return tokenizer, encoder.float()


def longest_prompt(tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the longest compact prompt that the vocabulary can make, begin and end marks included.

    Tokenizers of both kinds split at spaces first, so a prompt has the tokens of its words.
    """

    def tokens(words: str) -> int:
        return len(tokenizer(words)["input_ids"]) - marks

    marks = len(tokenizer("")["input_ids"])
    tables = (vocabulary.VENDORS, vocabulary.ORGANS, vocabulary.CONTRASTS, vocabulary.FAT_SUPPRESSION, vocabulary.PLANES)
    fields = [[term.words for term in table.values()] for table in tables] + [[word for _, word in vocabulary.ACCELERATION_GROUPS]]
    return marks + sum(max(map(tokens, [vocabulary.UNKNOWN, *words])) for words in fields)


def _known_part(config: CLIPTextConfig) -> CLIPTextConfig:
    """Without keys that older programs wrote and no text model reads (Stable Diffusion's configuration has a ``dropout``)."""
    known = CLIPTextConfig().to_dict().keys() - {"model_type", "transformers_version"}
    return CLIPTextConfig(**{key: value for key, value in config.to_dict().items() if key in known})
