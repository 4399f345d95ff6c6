"""The controlled vocabulary: every organ, contrast and vendor the product knows, and the word each becomes in a prompt.

Free text never reaches a model (a series description is private, and a string nobody trained on changes a result
silently), so whatever headers, names or users state is mapped here to a term, or to ``unknown``. The words are chosen so
that the longest compact prompt is 14 tokens of the CLIP tokenizer: 16 with its begin and end marks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from MRIDenoiseLib.volume import Acquisition, AcquisitionField

UNKNOWN = "unknown"
"""The word of everything that is missing or lies outside this vocabulary."""

Template = Literal["compact", "paper"]


class Term(NamedTuple):
    """One value of a field.

    Args:
        words: its text in the compact prompt; one or more words of :data:`WORDS` with spaces between.
        seen: whether the models were trained on it.
    """

    words: str
    seen: bool


def _terms(seen: Mapping[str, str], unseen: Mapping[str, str]) -> dict[str, Term]:
    return {value: Term(words, True) for value, words in seen.items()} | {value: Term(words, False) for value, words in unseen.items()}


def _themselves(*values: str) -> dict[str, str]:
    return {value: value for value in values}


ORGANS: dict[str, Term] = _terms(
    _themselves("head", "knee", "cervical spine", "thoracic spine", "lumbar spine", "shoulder"),
    _themselves(
        *("prostate", "abdomen", "breast", "hip", "ankle", "wrist", "elbow", "foot", "hand", "pelvis", "heart", "liver"),
        *("kidney", "pancreas", "uterus", "bladder", "rectum", "chest", "neck", "spine", "whole spine", "sacrum", "thigh"),
        *("calf", "arm", "jaw", "orbit", "ear", "fetus", "whole body", "phantom"),
    ),
)
"""Organ -> term; the six trained ones first."""

CONTRASTS: dict[str, Term] = _terms(
    {
        "T1w": "t1",
        "T1-FLAIR": "t1 flair",
        "T2w": "t2",
        "T2-FLAIR": "t2 flair",
        "PDw": "pd",
        "DWI": "dwi",
        "DIXON": "dixon",
        "T2*w": "t2star",
    },
    {
        "BOLD": "bold",
        "ASL": "asl",
        "perfusion": "perfusion",
        "SWI": "swi",
        "ADC": "adc",
        "angiography": "angio",
        "field map": "fieldmap",
        "MT": "mt",
        "T1 map": "t1 map",
        "T2 map": "t2 map",
        "cine": "cine",
        "localizer": "localizer",
    },
)
"""Contrast -> term; the trained ones first."""

FAT_SUPPRESSION: dict[str, Term] = _terms(
    {"none": "plain", "fat-saturated": "fs", "STIR": "stir", "water-only": "water"},
    {"fat-only": "fat"},
)
"""How fat is treated -> term. ``water-only`` covers water excitation and a Dixon water image."""

PLANES: dict[str, Term] = _terms({"axial": "axial", "sagittal": "sag", "coronal": "cor"}, {})
"""Nearest anatomical plane of the acquired slices -> term."""

VENDORS: dict[str, Term] = _terms(
    {"Siemens": "siemens", "GE": "ge", "Philips": "philips", "UIH": "united"},
    {
        "Canon": "canon",
        "Fujifilm": "fujifilm",
        "Hyperfine": UNKNOWN,
        "Esaote": UNKNOWN,
        "Bruker": UNKNOWN,
        "Neusoft": UNKNOWN,
        "Time Medical": UNKNOWN,
        "Paramed": UNKNOWN,
    },
)
"""Vendor -> term; the trained ones first. Toshiba is Canon, Hitachi is Fujifilm (the makers' present names)."""

ACCELERATION_GROUPS: tuple[tuple[float, str], ...] = ((math.sqrt(3.0), "1.5x"), (math.sqrt(6.0), "2x"), (math.inf, "3x"))
"""(upper limit of T_full / T_fast, word): nearest group on a logarithmic scale."""

_TABLES = (VENDORS, ORGANS, CONTRASTS, FAT_SUPPRESSION, PLANES)

WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [UNKNOWN]
        + [word for table in _TABLES for term in table.values() for word in term.words.split()]
        + [word for _, word in ACCELERATION_GROUPS]
    )
)
"""Every word the compact prompt can hold, each once, in a fixed order; a tokenizer's special tokens are not among them."""

_SYNONYMS: dict[str, str] = {
    # organs
    **dict.fromkeys(("brain", "skull", "cranium"), "head"),
    **dict.fromkeys(("cspine", "csp", "cervical", "cervicalspine"), "cervical spine"),
    **dict.fromkeys(("tspine", "tsp", "dspine", "thoracic", "dorsal spine", "thoracicspine"), "thoracic spine"),
    **dict.fromkeys(("lspine", "lsp", "lumbar", "lumbarspine", "lumbosacral spine", "lsspine"), "lumbar spine"),
    **dict.fromkeys(("cardiac",), "heart"),
    **dict.fromkeys(("thorax", "lung"), "chest"),
    **dict.fromkeys(("mamma",), "breast"),
    **dict.fromkeys(("wholebody",), "whole body"),
    # contrasts
    **dict.fromkeys(("t1", "t1 weighted", "mprage"), "T1w"),
    **dict.fromkeys(("t2", "t2 weighted"), "T2w"),
    **dict.fromkeys(("pd", "proton density", "pd weighted"), "PDw"),
    **dict.fromkeys(("flair", "t2 flair", "t2w flair", "dark fluid"), "T2-FLAIR"),
    **dict.fromkeys(("t1 flair", "t1w flair"), "T1-FLAIR"),
    **dict.fromkeys(("t2*", "t2star", "t2starw", "t2 star", "t2s"), "T2*w"),
    **dict.fromkeys(("diffusion", "dti"), "DWI"),
    **dict.fromkeys(("fmri", "epi"), "BOLD"),
    **dict.fromkeys(("mra", "angio", "tof"), "angiography"),
    **dict.fromkeys(("fieldmap",), "field map"),
    **dict.fromkeys(("localiser", "scout", "survey"), "localizer"),
    # vendors
    **dict.fromkeys(("siemens healthineers",), "Siemens"),
    **dict.fromkeys(("ge healthcare", "ge medical systems"), "GE"),
    **dict.fromkeys(("united", "united imaging", "united imaging healthcare"), "UIH"),
    **dict.fromkeys(("toshiba",), "Canon"),
    **dict.fromkeys(("hitachi",), "Fujifilm"),
}


def _key(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip().lower())


def canonical(text: str, terms: Mapping[str, Term]) -> str | None:
    """The value of ``terms`` that ``text`` means, whatever its case, hyphens or common short form; None when it means none."""
    if text in terms:
        return text
    key = _key(text)
    for value in terms:
        if _key(value) == key:
            return value
    meant = _SYNONYMS.get(key)
    return meant if meant in terms else None


def acceleration_word(ratio: float) -> str:
    """The group word of an acceleration T_full / T_fast: ``1.5x`` below the square root of 3, ``2x`` below that of 6, else ``3x``."""
    return next(word for limit, word in ACCELERATION_GROUPS if ratio < limit or limit == math.inf)


def describe(acquisition: Acquisition, template: Template = "compact") -> str:
    """The prompt of an acquisition; whatever is missing or outside the vocabulary becomes the word ``unknown``.

    ``compact`` is ``{vendor} {organ} {contrast} {fat suppression} {plane} {R}x`` in lower case, at most 14 CLIP tokens
    between the begin and end marks; split at spaces it holds only words of :data:`WORDS`.

    ``paper`` is a sentence in the manner of the paper, for 32 tokens. The paper's own words are not published: this is
    a reconstruction with what is known of them (15 fixed tokens with the begin and end marks, then vendor, organ and
    protocol in that order, so that 16 tokens cut the organ's tail, the contrast and the acceleration off).

    Raises:
        ValueError: an unknown template name.
    """
    if template == "compact":
        return " ".join(
            (
                _word(acquisition.vendor, VENDORS),
                _word(acquisition.organ, ORGANS),
                _word(acquisition.contrast, CONTRASTS),
                _word(acquisition.fat_suppression, FAT_SUPPRESSION),
                _word(acquisition.plane, PLANES),
                _acceleration(acquisition.acceleration),
            )
        )
    if template == "paper":
        vendor = _value(acquisition.vendor, VENDORS)
        organ = _value(acquisition.organ, ORGANS)
        protocol = [_value(acquisition.contrast, CONTRASTS)]
        if acquisition.fat_suppression.value in ("fat-saturated", "STIR"):
            protocol.append(_word(acquisition.fat_suppression, FAT_SUPPRESSION))
        protocol.append(_acceleration(acquisition.acceleration))
        return f"a high quality magnetic resonance image acquired by a {vendor} scanner of the {organ} with {' '.join(protocol)}"
    raise ValueError(f"unknown prompt template {template!r}")


def _value(field: AcquisitionField, terms: Mapping[str, Term]) -> str:
    return (canonical(field.value, terms) or UNKNOWN) if isinstance(field.value, str) else UNKNOWN


def _word(field: AcquisitionField, terms: Mapping[str, Term]) -> str:
    value = _value(field, terms)
    return UNKNOWN if value == UNKNOWN else terms[value].words


def _acceleration(field: AcquisitionField) -> str:
    return UNKNOWN if field.value is None or isinstance(field.value, str) else acceleration_word(field.value)


def acquisition_warnings(acquisition: Acquisition, trained_on: Mapping[str, frozenset[str]]) -> list[str]:
    """What the reader should know because organ or contrast are missing or were never trained on.

    The values themselves are not quoted: a user may have typed anything there.

    Args:
        acquisition: of the volume.
        trained_on: ``organ`` and ``contrast`` -> the values this model's training data had; where those are not given, the
            controlled vocabulary decides.
    """
    warnings = []
    for name in ("organ", "contrast"):
        fact = getattr(acquisition, name)
        known = trained_on.get(name)
        if fact.value is None:
            warnings.append(f"The {name} is not known; choose it for a result that can be relied on more.")
        elif not fact.seen_in_training or (known and fact.value not in known):
            warnings.append(f"The {name} is not among those the model was trained on; check the result with care.")
    return warnings
