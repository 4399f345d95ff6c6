"""The tuned mode with one part taken out: the learned degradation, the text, or what the text says. Without diffusion it is NBNet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.evaluation.denoisers.contender import Method, Setting, Task
from MRIDenoiseLib.evaluation.denoisers.samplers import TRAINED, network_method, sampler
from MRIDenoiseLib.inference.batch import Method as NetworkMethod
from MRIDenoiseLib.methods import FIDELITY_GUIDED
from MRIDenoiseLib.models.bundle.bundle import Bundle

STEPS = 10


class _Mute:
    """A model to which no text is told: every other question goes to the model itself."""

    def __init__(self, model: Bundle) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """The texts' embeddings, none of whose tokens count."""
        text, mask = self._model.encode(texts)
        return text, torch.zeros_like(mask)


def _tuned(task: Task) -> NetworkMethod:
    return network_method(task, FIDELITY_GUIDED, mode="tuned", steps=STEPS)


def _without_degradation(task: Task, setting: Setting) -> np.ndarray:
    return task.sampled(sampler("red-diff", mode="tuned", steps=min(STEPS, task.steps)))


def _without_text(task: Task, setting: Setting) -> np.ndarray:
    return task.sampled(_tuned(task), model=_Mute(task.model))  # type: ignore[arg-type]


def _shuffled_text(task: Task, setting: Setting) -> np.ndarray:
    told = replace(task.volume.acquisition, organ=task.other.organ, contrast=task.other.contrast)
    return replace(task, volume=task.volume.with_acquisition(told)).sampled(_tuned(task))


WITHOUT_DEGRADATION = Method(
    name="without-degradation",
    title="Tuned, without learned degradation",
    group="ablation",
    source="the tuned mode at its customary weight held to the image itself, as without multi-cycle training; here",
    run=_without_degradation,
    trained=TRAINED,
)
WITHOUT_TEXT = Method(
    name="without-text",
    title="Tuned, without text",
    group="ablation",
    source="the tuned mode at its customary weight with the text dropped, as it sometimes was in training; here",
    run=_without_text,
    trained=TRAINED,
)
SHUFFLED_TEXT = Method(
    name="shuffled-text",
    title="Tuned, another image's text",
    group="ablation",
    source="the tuned mode at its customary weight, told organ and contrast of another image; here",
    run=_shuffled_text,
    trained=TRAINED,
    needs_other=True,
)
