"""A model on disk: one folder that holds every network, its configuration, and a card that says what it is.

The layout is a diffusers pipeline's (``model_index.json`` and a folder a component) plus ``card.json``, which holds the
SHA-256 of every other file, and the other descriptions of the model (:mod:`.description`). Nothing is used before it has been
checked, nothing is unpickled, and no network connection is made.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from MRIDenoiseLib.card import CARD, Calibration, calibration_of, trained_on
from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle import components
from MRIDenoiseLib.models.bundle.description import checked_card, evidence_of
from MRIDenoiseLib.models.bundle.files import PROMPTS, check_files, sha256
from MRIDenoiseLib.models.bundle.prompts import PromptEmbeddings, encode_prompt, encoder_hash
from MRIDenoiseLib.models.networks import needed

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import CLIPTextModel, PreTrainedTokenizerBase


class Bundle:
    """A checked model. Make one with :meth:`load`.

    The networks are read when they are first used, as float32, frozen, and in evaluation mode.

    Attributes:
        path: its folder.
        card: the content of ``card.json``, in the current format.
        hash: SHA-256 of ``card.json``, which identifies the whole folder by the hashes in it.
        device: where the networks are put when they are read.
        notes: sentences on what a newer program put into the model and this version ignores.
    """

    def __init__(self, path: Path, card: dict[str, Any], classes: dict[str, str], device: torch.device, *, text_checked: bool) -> None:
        self.path = path
        self.card = card
        self.hash = sha256(path / CARD)
        self.device = device
        self.notes = components.unknown_keys(path, classes)
        self._classes = classes
        self._text_checked = text_checked
        self._networks: dict[str, nn.Module] = {}
        self._encoded: dict[str, tuple[Tensor, Tensor]] = {}

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu", *, text_later: bool = False) -> Bundle:
        """Check everything in the folder, then return the model.

        Args:
            path: the folder.
            device: where the networks are put when they are read.
            text_later: compare the files of the text encoder and the tokenizer with the card like all others, but open them only
                when a prompt first needs them. Their libraries take longer to import than everything else together.

        Raises:
            BundleError: a file is missing, changed, unlisted, a link or of a dangerous kind, or a configuration does not fit.
        """
        path = Path(path)
        card, classes = _checked(path, text=not text_later)
        return cls(path, card, classes, torch.device(device), text_checked=not text_later)

    @staticmethod
    def verify(path: str | Path) -> str:
        """Check everything that :meth:`load` checks and return the bundle's hash.

        Raises:
            BundleError: as :meth:`load`.
        """
        path = Path(path)
        _checked(path, text=True)
        return sha256(path / CARD)

    def network(self, name: str) -> nn.Module | None:
        """One of the networks of the table (:data:`MRIDenoiseLib.models.networks.NETWORKS`), or None where the bundle has none."""
        if name in self._classes and name not in self._networks:
            self._networks[name] = components.load_network(self.path, name).to(self.device)
        return self._networks.get(name)

    @cached_property
    def text_encoder(self) -> CLIPTextModel | PeftModel:
        """The text encoder; needed only for prompts that are not cached."""
        from MRIDenoiseLib.models.bundle.text import load_text_encoder

        self._check_text()
        return load_text_encoder(self.path).to(self.device)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that belongs to the text encoder."""
        from MRIDenoiseLib.models.bundle.text import load_tokenizer

        self._check_text()
        return load_tokenizer(self.path)

    @cached_property
    def scheduler(self) -> DDIMScheduler:
        """The forward process that the denoiser was trained with."""
        return components.load_scheduler(self.path)

    @property
    def default_method(self) -> str:
        """The sampling method to use when the user names none."""
        return self.card["default_method"]

    @property
    def trained_on(self) -> dict[str, frozenset[str]]:
        """``organ`` and ``contrast`` -> the values in the training data, from the card."""
        return trained_on(self.card)

    @property
    def calibration(self) -> Calibration | None:
        """What the scales of the uncertainty network stand for; None where nobody has measured that."""
        return calibration_of(self.card)

    @cached_property
    def evidence(self) -> dict[str, dict[str, Any]]:
        """Name -> a whole measurement; ``training`` -> the whole account of the training; see :func:`.description.evidence_of`."""
        return evidence_of(self.path)

    @property
    def default_settings(self) -> dict[str, Any]:
        """That method's settings."""
        return dict(self.card.get("default_settings", {}))

    @cached_property
    def prompt_embeddings(self) -> PromptEmbeddings:
        """The prompts computed when the bundle was made."""
        return PromptEmbeddings.load(self.path / PROMPTS, encoder_hash(self.card["files"]))

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """What the networks are given for each prompt.

        Cached prompts need no text encoder. Every prompt is encoded alone, so its embedding does not depend on the others.

        Returns:
            B x L x E float32 embeddings and B x L bool, True where a token counts; on ``device``.

        Raises:
            BundleError: a prompt has more tokens than this model takes.
        """
        for text in texts:
            if text not in self._encoded:
                known = self.prompt_embeddings.get(text)
                self._encoded[text] = known if known is not None else encode_prompt(self.tokenizer, self.text_encoder, text)
        found = [self._encoded[text] for text in texts]
        embeddings = torch.stack([embedding for embedding, _ in found]).to(self.device)
        return embeddings, torch.stack([mask for _, mask in found]).to(self.device)

    def _check_text(self) -> None:
        if not self._text_checked:
            from MRIDenoiseLib.models.bundle.text import check_text

            check_text(self.path)
            self._text_checked = True


def _checked(path: Path, *, text: bool) -> tuple[dict[str, Any], dict[str, str]]:
    card = checked_card(path, check_files(path))
    classes = components.check_components(path)
    if text:
        from MRIDenoiseLib.models.bundle.text import check_text

        check_text(path)
    components.check_text_width(path, classes)
    method, settings = card.get("default_method"), card.get("default_settings", {})
    if not isinstance(method, str) or not isinstance(settings, dict):
        raise BundleError(f"{path}: card.json must name its default_method and give default_settings as an object.")
    calibration_of(card)
    informed = bool(components.network_config(path, "denoiser").get("informed"))
    for network in needed(method, informed=informed):
        if network not in classes:
            raise BundleError(f"{path}: card.json has the default_method {method!r}, but there is no {network} network.")
    if (path / PROMPTS).exists():
        PromptEmbeddings.check(path, components.prompt_length(path), components.text_width(path))
    return card, classes
