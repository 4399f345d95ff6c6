"""What the networks in training are given for a batch: its texts, with the text encoder learning or not, and its numbers."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import Networks
from MRIDenoiseLib.models.layers import full_precision
from MRIDenoiseLib.models.noise_estimator import estimated_noise_level
from MRIDenoiseLib.models.text_encoder import add_lora
from MRIDenoiseLib.training.recipe import Stage, TextTraining


class Conditioner(nn.Module):
    """Embeds every unique prompt of a batch once, and measures its noise as at inference.

    Args:
        tokenizer: of the text encoder; prompts are padded to its ``model_max_length``.
        text_encoder: a CLIP text model; an adapter that it has already is merged into it.
        training: how it learns: ``whole``, by a new low-rank adapter (``lora``), or not at all (``frozen``).
        lora_rank: of the adapter.
        noise_estimator: already trained; it does not learn here. Without one, the batch's own noise levels are given.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: CLIPTextModel | PeftModel,
        training: TextTraining,
        lora_rank: int = 8,
        noise_estimator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        plain = text_encoder.merge_and_unload() if isinstance(text_encoder, PeftModel) else text_encoder
        plain.requires_grad_(training == "whole")
        self.text_encoder = add_lora(plain, lora_rank) if training == "lora" else plain
        self.noise_estimator = noise_estimator if noise_estimator is None else noise_estimator.requires_grad_(False)
        self._known: dict[str, tuple[Tensor, Tensor]] | None = {} if training == "frozen" else None

    @classmethod
    def of(cls, stage: Stage, networks: Networks) -> Conditioner:
        """What a stage gives its network, with the text encoder and the noise estimator of its model."""
        return cls(networks.tokenizer, networks.text_encoder, stage.text, stage.lora_rank, networks.get("noise_estimator"))

    @property
    def learns(self) -> bool:
        """Whether the text encoder is trained."""
        return self._known is None

    def forward(self, batch: Batch) -> Conditioning:
        """Text and numbers of the batch's slices, on the batch's device."""
        device = batch.clean.device
        prompts = sorted(set(batch.prompts))
        if self._known is None:
            embedded, mask = self._encode(prompts, device)
        else:
            embedded, mask = (torch.stack(parts) for parts in zip(*(self._recall(prompt, device) for prompt in prompts), strict=True))
        rows = torch.tensor([prompts.index(prompt) for prompt in batch.prompts], device=device)
        return Conditioning(
            text=embedded[rows].float(),
            text_mask=mask[rows],
            acceleration=batch.acceleration,
            noise_level=self._noise_level(batch),
            slice_spacing=batch.slice_spacing,
        )

    def _noise_level(self, batch: Batch) -> Tensor:
        if self.noise_estimator is None:
            return batch.noise_level
        centre = batch.measured.shape[1] // 2
        with torch.no_grad():
            return estimated_noise_level(self.noise_estimator, batch.measured[:, centre : centre + 1], batch.body)

    def merged(self) -> CLIPTextModel:
        """The text encoder as it has become, an adapter merged into its weights."""
        return self.text_encoder.merge_and_unload() if isinstance(self.text_encoder, PeftModel) else self.text_encoder

    def _recall(self, prompt: str, device: torch.device) -> tuple[Tensor, Tensor]:
        """The output of a frozen encoder for a prompt, cached: it is the same every time, and there are few prompts.

        Each is encoded alone and in full precision, as at inference, so that it does not depend on when it was first met.
        """
        assert self._known is not None
        if prompt not in self._known:
            with torch.no_grad(), full_precision(device):
                embedded, mask = self._encode([prompt], device)
            self._known[prompt] = (embedded[0], mask[0])
        return self._known[prompt]

    def _encode(self, prompts: list[str], device: torch.device) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(prompts, padding="max_length", return_tensors="pt").to(device)
        embedded = self.text_encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
        return embedded, tokens.attention_mask.bool()
