"""An Acquisition as the text that goes to the text encoder, made of the controlled vocabulary only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from MRIDenoiseLib.prompt import vocabulary
from MRIDenoiseLib.prompt.vocabulary import UNKNOWN, Term
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

Template = Literal["compact", "paper"]

TEXT_LENGTH: dict[str, int] = {"compact": 16, "paper": 32}
"""CLIP tokens, begin and end marks included, that hold every prompt of a template."""


def describe(acquisition: Acquisition, template: Template = "compact") -> str:
    """The prompt of an acquisition; whatever is missing or outside the vocabulary becomes the word ``unknown``.

    ``compact`` is ``{vendor} {organ} {contrast} {fat suppression} {plane} {R}x`` in lower case, at most 14 CLIP tokens
    between the begin and end marks; split at spaces it holds only words of :data:`vocabulary.WORDS`.

    ``paper`` is a sentence in the manner of the paper, for 32 tokens. The paper's own words are not published: this is
    a reconstruction with what is known of them (15 fixed tokens with the begin and end marks, then vendor, organ and
    protocol in that order, so that 16 tokens cut the organ's tail, the contrast and the acceleration off).

    Raises:
        ValueError: an unknown template name.
    """
    if template == "compact":
        return " ".join(
            (
                _word(acquisition.vendor, vocabulary.VENDORS),
                _word(acquisition.organ, vocabulary.ORGANS),
                _word(acquisition.contrast, vocabulary.CONTRASTS),
                _word(acquisition.fat_suppression, vocabulary.FAT_SUPPRESSION),
                _word(acquisition.plane, vocabulary.PLANES),
                _acceleration(acquisition.acceleration),
            )
        )
    if template == "paper":
        vendor = _value(acquisition.vendor, vocabulary.VENDORS)
        organ = _value(acquisition.organ, vocabulary.ORGANS)
        protocol = [_value(acquisition.contrast, vocabulary.CONTRASTS)]
        if acquisition.fat_suppression.value in ("fat-saturated", "STIR"):
            protocol.append(_word(acquisition.fat_suppression, vocabulary.FAT_SUPPRESSION))
        protocol.append(_acceleration(acquisition.acceleration))
        return f"a high quality magnetic resonance image acquired by a {vendor} scanner of the {organ} with {' '.join(protocol)}"
    raise ValueError(f"unknown prompt template {template!r}")


def _value(field: AcquisitionField, terms: Mapping[str, Term]) -> str:
    return (vocabulary.canonical(field.value, terms) or UNKNOWN) if isinstance(field.value, str) else UNKNOWN


def _word(field: AcquisitionField, terms: Mapping[str, Term]) -> str:
    value = _value(field, terms)
    return UNKNOWN if value == UNKNOWN else terms[value].words


def _acceleration(field: AcquisitionField) -> str:
    return UNKNOWN if field.value is None or isinstance(field.value, str) else vocabulary.acceleration_word(field.value)
