"""An Acquisition as the text that goes to the text encoder, made of the controlled vocabulary only.

What a reader should know because a model was not trained for what was scanned.
"""

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


def acquisition_warnings(acquisition: Acquisition, trained_on: Mapping[str, frozenset[str]]) -> list[str]:
    """What the reader should know because organ or contrast are missing or were never trained on.

    The values themselves are not quoted: a user may have typed anything there.

    Args:
        acquisition: of the volume.
        trained_on: ``organ`` and ``contrast`` -> the values this model's training data had; where that is not said, the
            controlled vocabulary decides.
    """
    said = []
    for name in ("organ", "contrast"):
        fact = getattr(acquisition, name)
        known = trained_on.get(name)
        if fact.value is None:
            said.append(f"The {name} is not known; choose it for a result that can be relied on more.")
        elif not fact.seen_in_training or (known and fact.value not in known):
            said.append(f"The {name} is not among those the model was trained on; check the result with care.")
    return said
