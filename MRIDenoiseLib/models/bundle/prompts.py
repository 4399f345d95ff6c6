"""Prompts turned into embeddings: by the text encoder, or from those stored in the bundle.

With a large text encoder a prompt costs more time than a slice, and there are only some hundred different prompts. So a
bundle may store their embeddings. Each is stored under the prompt and the hash of the encoder that made it, so that an
embedding of another encoder is never used by mistake.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.files import PROMPTS

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import CLIPTextModel, PreTrainedTokenizerBase

Encoded = tuple[Tensor, Tensor]
"""L x E float32 embedding and L bool mask of the tokens that count."""


def encoder_hash(files: dict[str, str]) -> str:
    """SHA-256 over the names and hashes of the text encoder's and tokenizer's files."""
    own = sorted((name, digest) for name, digest in files.items() if name.startswith(("text_encoder/", "tokenizer/")))
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in own).encode()).hexdigest()


@torch.no_grad()
def encode_prompt(tokenizer: PreTrainedTokenizerBase, encoder: CLIPTextModel | PeftModel, text: str) -> Encoded:
    """One prompt through the text encoder: its last hidden state, padded to the tokenizer's length.

    Raises:
        BundleError: the prompt has more tokens than the model takes; cutting it would lose contrast and acceleration.
    """
    longest = tokenizer.model_max_length
    if len(tokenizer(text)["input_ids"]) > longest:
        raise BundleError(
            f"The acquisition makes a prompt longer than the {longest} tokens this model takes; use a model with longer prompts."
        )
    tokens = tokenizer(text, padding="max_length", max_length=longest, return_tensors="pt")
    device = next(encoder.parameters()).device
    hidden = encoder(input_ids=tokens["input_ids"].to(device)).last_hidden_state
    return hidden[0].float().cpu(), tokens["attention_mask"][0].bool()


class PromptEmbeddings:
    """The prompts whose embeddings a bundle stores.

    Args:
        known: prompt -> embedding and mask.
    """

    def __init__(self, known: dict[str, Encoded]) -> None:
        self._known = known

    def get(self, prompt: str) -> Encoded | None:
        """The embedding and mask of a prompt, or None where it is not stored."""
        return self._known.get(prompt)

    def __len__(self) -> int:
        return len(self._known)

    @classmethod
    def load(cls, path: Path, encoder: str) -> PromptEmbeddings:
        """The embeddings in the file that the encoder of this hash made; none where there is no file."""
        if not path.is_file():
            return cls({})
        start = f"{encoder}/embedding/"
        tensors = load_file(path)
        prompts = [key.removeprefix(start) for key in tensors if key.startswith(start)]
        return cls({p: (tensors[start + p].float(), tensors[f"{encoder}/mask/{p}"].bool()) for p in prompts})

    def save(self, path: Path, encoder: str) -> None:
        """Write them in float16 under the encoder's hash."""
        tensors = {}
        for prompt, (embedding, mask) in self._known.items():
            tensors[f"{encoder}/embedding/{prompt}"] = embedding.half().contiguous()
            tensors[f"{encoder}/mask/{prompt}"] = mask.to(torch.uint8).contiguous()
        save_file(tensors, path)

    @staticmethod
    def check(folder: Path, length: int, width: int) -> None:
        """Refuse a file of the bundle that holds anything but embeddings of length x width with their masks.

        Raises:
            BundleError: what does not fit.
        """
        try:
            with safe_open(folder / PROMPTS, framework="pt") as file:
                shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise BundleError(f"{folder}: {PROMPTS} is not a readable safetensors file; get the model again.") from error
        for key, shape in shapes.items():
            encoder, _, rest = key.partition("/")
            kind, _, prompt = rest.partition("/")
            partner = f"{encoder}/{'mask' if kind == 'embedding' else 'embedding'}/{prompt}"
            expected = {"embedding": (length, width), "mask": (length,)}.get(kind)
            if shape != expected or partner not in shapes:
                raise BundleError(
                    f"{folder}: {PROMPTS} holds {kind or key!r} of shape {shape}, which does not fit {length} tokens {width} wide."
                )
