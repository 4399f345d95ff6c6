"""What a model's text encoder makes of the prompts: do organs and contrasts lie together?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.prompt import describe
from MRIDenoiseLib.volume import Acquisition, AcquisitionField

VENDORS = ("Siemens", "GE", "Philips")


@dataclass(frozen=True, eq=False)
class Clusters:
    """Prompts on the first two principal axes of their embeddings.

    Args:
        points: (prompts, 2).
        organs, contrasts: of each prompt.
        shares: of the variance along the two axes.
    """

    points: np.ndarray
    organs: tuple[str, ...]
    contrasts: tuple[str, ...]
    shares: tuple[float, float]


def clusters(model: Bundle) -> Clusters | None:
    """Embed a prompt for every organ and contrast the model was trained on, with each of three vendors, mean over its tokens.

    None for a model whose card does not tell what it was trained on.
    """
    kinds = list(product(sorted(model.trained_on["organ"]), sorted(model.trained_on["contrast"]), VENDORS))
    if len(kinds) <= 2 * len(VENDORS):
        return None

    def said(word: str) -> AcquisitionField:
        return AcquisitionField(word, "vocabulary", "high")

    prompts = [describe(Acquisition(organ=said(organ), contrast=said(contrast), vendor=said(vendor))) for organ, contrast, vendor in kinds]
    text, mask = model.encode(prompts)
    weight = mask.float().unsqueeze(-1)
    pooled = ((text * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)).detach().numpy()
    centred = pooled - pooled.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    variances = strengths**2 / max(float((strengths**2).sum()), 1e-12)
    points = left[:, :2] * strengths[:2]
    return Clusters(points, tuple(kind[0] for kind in kinds), tuple(kind[1] for kind in kinds), (float(variances[0]), float(variances[1])))
