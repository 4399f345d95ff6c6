"""Words in series, protocol and file names: the last resort of every rule, and the weakest.

A name is free text and may hold anything, so it is matched and never quoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from MRIDenoiseLib.prompt.headers import Header

Patterns = tuple[tuple[str, str], ...]
"""(value, regular expression) pairs in order of precedence; names are lower case with single spaces around every word."""

_SERIES = ("SeriesDescription", "ProtocolName")
_STUDY = ("BodyPartExamined", "PerformedProcedureStepDescription", "RequestedProcedureDescription", "StudyDescription")

ORGAN_WORDS: Patterns = (
    ("whole spine", r" (whole|full|total) ?spine "),
    ("cervical spine", r" (c ?spine|c ?sp|cerv|cervical\w*|hws) "),
    ("thoracic spine", r" ((t|d) ?spine|t ?sp|thoracic\w*|dorsal spine|bws) "),
    ("lumbar spine", r" (l ?s? ?spine|l ?sp|lumb\w*|lws) "),
    ("knee", r" (\w*knee\w*|knie|genou|rodilla) "),
    ("shoulder", r" (\w*shoulder\w*|schulter|epaule|hombro|shld) "),
    ("prostate", r" (prostat\w*) "),
    ("breast", r" (breast|mamma|bilateral breasts?) "),
    ("heart", r" (heart|cardiac|cardio\w*|cmr) "),
    ("liver", r" (liver|hepat\w*|mrcp) "),
    ("kidney", r" (kidneys?|renal) "),
    ("pancreas", r" (pancreas) "),
    ("uterus", r" (uterus|uterine) "),
    ("bladder", r" (bladder) "),
    ("rectum", r" (rectum|rectal) "),
    ("ankle", r" (ankle) "),
    ("wrist", r" (wrist) "),
    ("elbow", r" (elbow) "),
    ("hip", r" (hips?) "),
    ("foot", r" (foot|forefoot) "),
    ("hand", r" (hand|finger|thumb) "),
    ("thigh", r" (thighs?|femur) "),
    ("calf", r" (calf|calves|tibia|lower leg) "),
    ("arm", r" (upper arm|forearm|humerus) "),
    ("sacrum", r" (sacrum|sacral|si joints?) "),
    ("jaw", r" (jaw|tmj|mandible) "),
    ("orbit", r" (orbits?) "),
    ("fetus", r" (fetus|fetal) "),
    ("abdomen", r" (abdomen|abdominal|abd) "),
    ("pelvis", r" (pelvis|pelvic) "),
    ("head", r" (heads?|\w*brain\w*|skull|cereb\w*|neuro|pituitary|iac|\w*mprage\w*) "),
    ("chest", r" (chest|thorax|lungs?) "),
    ("neck", r" (neck) "),
    ("whole body", r" (whole ?body|wb) "),
    ("spine", r" (spine) "),
    ("phantom", r" (phantom) "),
)
"""Organ -> words. Specific before general: ``lumbar spine`` before ``spine``, organs before the region around them."""

SPECIAL_CONTRAST_WORDS: Patterns = (
    ("localizer", r" (locali[sz]er\w*|loc|scout|survey|3 ?plane|3 ?pl) "),
    ("ADC", r" (adc\w*|\w*adc) "),
    ("T1 map", r" (t1 ?map\w*|molli\w*) "),
    ("T2 map", r" (t2 ?map\w*|t2star ?map\w*) "),
    ("DWI", r" (dwi\w*|dti\w*|dki\w*|diff|diffusion|\w*resolve|zoomit|tracew?) "),
    ("field map", r" (field ?map\w*|b0 ?map|b0|fmap) "),
    ("ASL", r" (\w*asl|rel ?cbf|cbf) "),
    ("SWI", r" (swi\w*|swan|swip|svs?wi|venobold) "),
    ("angiography", r" (tof\w*|mra|angio\w*|pca) "),
    ("DIXON", r" (\w*dixon\w*|ideal|lava flex) "),
    ("BOLD", r" (bold\w*|fmri\w*|resting) "),
    ("cine", r" (cine\w*) "),
    ("perfusion", r" (perfusion\w*|dsc|pwi) "),
)
"""Contrasts that timing alone cannot identify, so that a name counts more than echo and repetition time."""

CONTRAST_WORDS: Patterns = (
    ("T2*w", r" (t2 ?star\w*|t2\*w?|t2s|medic|merge|gre t2) "),
    ("T1-FLAIR", r" (t1w? ?flair|flair t1w?) "),
    ("T2-FLAIR", r" (\w*flair\w*|dark ?fluid|tirm dark) "),
    ("PDw", r" (pdw?|pdfs|proton ?density|dp) "),
    ("T1w", r" (t1\w*|\w*mprage\w*|spgr|bravo|fspgr|3dt1\w*) "),
    ("T2w", r" (t2\w*|stir|tirm|3dt2\w*) "),
)
"""Plain contrasts, for files whose timing is missing. ``t2star`` and ``flair`` come before ``t2``."""

FAT_WORDS: Patterns = (
    ("STIR", r" (stir|tirm) "),
    ("water-only", r" (we|wats|water|waterexc\w*) "),
    ("fat-saturated", r" (fs|\w*fatsat\w*|fat ?sat\w*|spair|spir|pdfs|t\dfs|fatsup\w*|chess) "),
)
"""Fat suppression -> words."""


BIDS_SUFFIXES: Mapping[str, str] = {
    **{"T1w": "T1w", "inplaneT1": "T1w", "UNIT1": "T1w", "MP2RAGE": "T1w", "T2w": "T2w", "inplaneT2": "T2w", "FLAIR": "T2-FLAIR"},
    **{"PDw": "PDw", "PD": "PDw", "PDT2": "PDw", "T2starw": "T2*w", "T2star": "T2*w", "MEGRE": "T2*w", "MESE": "T2w"},
    **{"dwi": "DWI", "bold": "BOLD", "cbv": "BOLD", "asl": "ASL", "m0scan": "ASL", "angio": "angiography", "swi": "SWI"},
    **{"T1map": "T1 map", "T2map": "T2 map", "T2starmap": "T2 map", "fieldmap": "field map", "phasediff": "field map"},
}
"""Last word of a name in BIDS (specification, "Magnetic resonance imaging") -> contrast."""


def bids_entities(name: str) -> tuple[dict[str, str], str]:
    """The entities of a BIDS name (``sub-01_acq-t2_T1w``: ``sub`` and ``acq``) and its last other word, the suffix.

    Further words, which programs put behind the suffix, are passed over where one is a known suffix.
    """
    parts = [part.partition("-") for part in name.split("_")]
    entities = {key: value for key, dash, value in parts if dash}
    words = [key for key, dash, _ in parts if not dash and key]
    return entities, next((word for word in reversed(words) if word in BIDS_SUFFIXES), words[-1] if words else "")


def normalised(name: str) -> str:
    """Lower case, every run of other signs a single space, one space at each end: ``" pd t2 tse sag "``."""
    return f" {re.sub(r'[^a-z0-9*]+', ' ', name.lower()).strip()} "


def match(name: str, patterns: Patterns) -> str | None:
    """The first value whose words occur in the name."""
    words = normalised(name)
    return next((value for value, pattern in patterns if re.search(pattern, words)), None)


def in_series(header: Header, patterns: Patterns) -> str | None:
    """The same in the names of a series: its description, its protocol, the Siemens protocol's own name."""
    for keyword in _SERIES:
        found = match(header.text(keyword), patterns)
        if found:
            return found
    return match(_decoded(header.siemens_protocol()), patterns)


def in_study(header: Header, patterns: Patterns) -> str | None:
    """The same in the study's and the procedure's descriptions."""
    return next((found for found in (match(header.text(keyword), patterns) for keyword in _STUDY) if found), None)


def _decoded(protocol: Mapping[str, str]) -> str:
    return protocol.get("tProtocolName", "").replace("+AF8-", "_")  # UTF-7's underscore, as older Siemens software writes it
