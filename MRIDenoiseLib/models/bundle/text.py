"""The text encoder, adapter and tokenizer of a bundle: checks that they fit each other, and how each is built."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.components import UNBUILDABLE, check_weights, first_line, on_meta, read_index, read_weights
from MRIDenoiseLib.models.bundle.files import read_json

TOKENIZERS: dict[str, type[PreTrainedTokenizerBase]] = {"PreTrainedTokenizerFast": PreTrainedTokenizerFast, "CLIPTokenizer": CLIPTokenizer}

TEXT_WEIGHTS = "model.safetensors"
LORA = "text_encoder/lora"
LORA_CONFIG = f"{LORA}/adapter_config.json"
LORA_WEIGHTS = f"{LORA}/adapter_model.safetensors"

_LORA_KEYS = frozenset({"r", "lora_alpha", "lora_dropout", "target_modules", "bias", "use_rslora", "peft_type"})
_LORA_FREE = frozenset({"auto_mapping", "inference_mode", "peft_version", "base_model_name_or_path"})
_TEXT_FREE = frozenset({"architectures", "dtype", "torch_dtype", "transformers_version", "model_type"})
_TEXT_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")


def check_text(folder: Path) -> None:
    """Check text encoder and tokenizer of a bundle whose files have been compared with its card.

    Raises:
        BundleError: the first configuration or weight that does not fit, with its file.
    """
    text = _text_config(folder)
    encoder = on_meta(folder, "text_encoder/config.json", partial(CLIPTextModel, text))
    check_weights(folder, f"text_encoder/{TEXT_WEIGHTS}", encoder.state_dict())
    if (folder / LORA).exists():
        adapter = _lora_config(folder)
        adapted = on_meta(folder, LORA_CONFIG, partial(get_peft_model, encoder, adapter))
        check_weights(folder, LORA_WEIGHTS, get_peft_model_state_dict(adapted))
    tokenizer = load_tokenizer(folder)
    if len(tokenizer) > text.vocab_size or tokenizer.model_max_length > text.max_position_embeddings:
        raise BundleError(
            f"{folder}: tokenizer/ has {len(tokenizer)} words and prompts of {tokenizer.model_max_length} tokens, more than "
            "text_encoder/config.json has room for."
        )


def load_text_encoder(folder: Path) -> CLIPTextModel | PeftModel:
    """The text encoder, float32, for use and not for training; with its LoRA adapter where the bundle has one."""
    encoder = CLIPTextModel(_text_config(folder))
    encoder.load_state_dict(read_weights(folder, f"text_encoder/{TEXT_WEIGHTS}"), strict=True)
    if (folder / LORA).exists():
        encoder = get_peft_model(encoder, _lora_config(folder))
        set_peft_model_state_dict(encoder, read_weights(folder, LORA_WEIGHTS))
    return encoder.float().eval().requires_grad_(False)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer, from the local files only."""
    kind = TOKENIZERS[read_index(folder)["tokenizer"]]
    model = read_json(folder, "tokenizer/tokenizer.json").get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise BundleError(f"{folder}: tokenizer/tokenizer.json holds no vocabulary; get the model again.")
    read_json(folder, "tokenizer/tokenizer_config.json")
    try:
        tokenizer = kind.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (*UNBUILDABLE, OSError) as error:
        raise BundleError(f"{folder}: tokenizer/ cannot be read ({first_line(error)}).") from error
    if tokenizer.pad_token_id is None:
        raise BundleError(f"{folder}: tokenizer/tokenizer_config.json names no padding token.")
    return tokenizer


def _text_config(folder: Path) -> CLIPTextConfig:
    name = "text_encoder/config.json"
    config = read_json(folder, name)
    if config.get("model_type") != CLIPTextConfig.model_type:
        raise BundleError(f"{folder}: {name} is not the configuration of a CLIP text model.")
    if unknown := sorted(config.keys() - CLIPTextConfig().to_dict().keys() - _TEXT_FREE):
        raise BundleError(f"{folder}: {name} has the unknown key {unknown[0]!r}; this program cannot use that model.")
    for key in _TEXT_SIZES:
        if not isinstance(config.get(key), int) or isinstance(config[key], bool) or config[key] < 1:
            raise BundleError(f"{folder}: {name} must give {key!r} as a positive whole number.")
    try:
        return CLIPTextConfig(**{key: value for key, value in config.items() if key not in _TEXT_FREE})
    except UNBUILDABLE as error:
        raise BundleError(f"{folder}: {name} describes no usable text encoder ({first_line(error)}).") from error


def _lora_config(folder: Path) -> LoraConfig:
    """The adapter's configuration: the few keys of plain LoRA; anything else must have its default value."""
    config = read_json(folder, LORA_CONFIG)
    plain = LoraConfig().to_dict()
    for key, value in config.items():
        if key not in _LORA_KEYS | _LORA_FREE and value not in (plain.get(key), None):
            raise BundleError(f"{folder}: {LORA_CONFIG} sets {key!r}, which this program does not use.")
    if config.get("peft_type") != "LORA":
        raise BundleError(f"{folder}: {LORA_CONFIG} is not the configuration of a LoRA adapter.")
    try:
        return LoraConfig(**{key: config[key] for key in _LORA_KEYS - {"peft_type"} if key in config})
    except UNBUILDABLE as error:
        raise BundleError(f"{folder}: {LORA_CONFIG} describes no usable adapter ({first_line(error)}).") from error
