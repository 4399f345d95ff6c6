"""What a reader should know because a model was not trained for what was scanned."""

from __future__ import annotations

from collections.abc import Mapping

from MRIDenoiseLib.volume import Acquisition


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
