"""The methods of a model, as a table: the inference of the program runs them, with the same scale, slices and noise level.

Besides the methods that users may choose, these are the diffusion samplers that the paper compares with, on a model's own networks:
``Denoiser(bundle)(volume, method=sampler("dps"))``. Ablations are the tuned mode without one of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.denoisers.contender import Contender, Group, Setting, Task
from MRIDenoiseLib.inference import Method, Settings, bound, method_of
from MRIDenoiseLib.methods import DDIM, FIDELITY_GUIDED, POSTERIOR_MEAN, REGRESSION, SHARPENED, catalogue
from MRIDenoiseLib.methods import Method as Row
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.sampling import blind_dps, ddpm, dps, red_diff

COMPARED = catalogue(
    Row("ddpm", "one sample of the diffusion network, by ancestral steps", ("denoiser",)),
    Row("red-diff", "the likelihood of plain denoising, without a learned degradation", ("denoiser",)),
    Row("dps", "ancestral sampling that is pulled towards the measurement", ("denoiser",)),
    Row("blind-dps", "the same pull through the learned degradation", ("denoiser", "degradation")),
)
"""Samplers that only comparisons have."""

SAMPLERS: dict[str, Callable[..., Tensor]] = {"ddpm": ddpm, "red-diff": red_diff, "dps": dps, "blind-dps": blind_dps}
"""Name in that catalogue -> the function that runs."""

TRAINED = "the model's own training, as its card states"
"""The training of every method whose networks come with the model: equal data, noise and scale for all of them."""

ALL = 1000
"""Steps: as many as the task allows."""
STEPS = 10
"""Of the tuned mode."""

WEIGHTS = (0.05, 0.0, 0.01, 0.02, 0.1, 0.15, 0.25, 0.5)
"""Of the likelihood, the customary one first."""
PULLS = tuple({"guidance": zeta} for zeta in (1.0, 0.3, 3.0, 10.0))
PRIORS = tuple({"prior_weight": weight, "learning_rate": rate} for rate in (0.1, 0.02) for weight in (0.25, 1.0, 4.0, 16.0))

FLOW = "posterior-mean rectified flow, Ohayon, Michaeli and Elad 2025, on the default's own mean; here"

Run = Callable[[Task, Setting], np.ndarray]


def sampler(name: str, **options: Any) -> Method:
    """A sampler as a method of :class:`MRIDenoiseLib.inference.Denoiser`.

    Args:
        name: one of :data:`COMPARED`.
        options: keyword arguments of the function of that name in :mod:`MRIDenoiseLib.sampling`, such as ``steps``.

    Raises:
        SettingsError: there is no such sampler.
    """
    if name not in COMPARED:
        raise SettingsError(f"there is no sampler '{name}'; there are {', '.join(COMPARED)}")
    return bound(COMPARED[name], SAMPLERS[name], options)


def network_method(task: Task, row: Row, **options: Any) -> Method:
    """A method that users may choose, with options of its own; of ``steps`` at most the task's."""
    if "steps" in options:
        options["steps"] = min(options["steps"], task.steps)
    return method_of(Settings(method=row.name, **options).resolved(task.model.default_method, {}))


def _fixed(row: Row, **fixed: Any) -> Run:
    """Runs a method that users may choose; some options are fixed, and tuning chooses the others."""

    def run(task: Task, setting: Setting) -> np.ndarray:
        return task.sampled(network_method(task, row, **{**fixed, **setting}))

    return run


def _compared(name: str) -> Run:
    """Runs a sampler that only comparisons have, with as many steps as the task allows."""

    def run(task: Task, setting: Setting) -> np.ndarray:
        return task.sampled(sampler(name, steps=task.steps, **setting))

    return run


def _as_users_get(**chosen: Any) -> Run:
    """What users get who choose only these settings: the model and its card decide the rest."""

    def run(task: Task, setting: Setting) -> np.ndarray:
        return task.as_users_get(Settings(**chosen))

    return run


def _method(name: str, title: str, group: Group, source: str, run: Run, *settings: Setting, **more: Any) -> Contender:
    return Contender(name, title, group, source, run, settings or ({},), trained=TRAINED, **more)


PAPER = (
    # The paper's network without diffusion, trained with every model.
    _method(
        "nbnet",
        "NBNet (regression)",
        "paper",
        "Cheng et al. 2021; re-implemented here. Also the ablation without diffusion",
        _fixed(REGRESSION, samples=1),
    ),
    _method("ddpm", "Conditional DDPM", "paper", "Ho, Jain and Abbeel 2020; here", _compared("ddpm")),
    _method(
        DDIM.name, "Conditional DDIM", "paper", "Song, Meng and Ermon 2021; here", _fixed(DDIM, steps=ALL), {}, {"steps": 5}, {"steps": 2}
    ),
    _method(
        "red-diff",
        "RED-diff",
        "paper",
        "Mardani et al. 2023, with the optimiser of the published code; re-implemented here",
        _compared("red-diff"),
        *PRIORS,
    ),
    _method("dps", "DPS", "paper", "Chung et al. 2023; re-implemented here, the norm taken image by image", _compared("dps"), *PULLS),
    _method(
        "blind-dps",
        '"BlindDPS"',
        "paper",
        "DPS through the learned degradation, which is what the paper calls BlindDPS (not Chung et al. 2023b); here",
        _compared("blind-dps"),
        *PULLS,
    ),
)
"""What the paper compares with."""

THE_PAPERS = _method(
    "paper",
    "The paper's method",
    "paper",
    "Shao, Huang, Zhang et al. 2026, equations 7 to 9, with RED-diff's Adam and weights where the text says none; here",
    _fixed(FIDELITY_GUIDED, mode="paper", steps=ALL),
)

DEFAULT = _method("ours", "Ours (default)", "ours", "the default method of the model, with the settings of its card; here", _as_users_get())
"""What users get who only press the button."""

OURS = (
    _method(
        "tuned",
        "Fidelity-guided, tuned",
        "ours",
        "the same with a step that cannot diverge and a weak likelihood; here",
        _fixed(FIDELITY_GUIDED, mode="tuned", steps=STEPS),
        *({"fidelity": weight} for weight in WEIGHTS),
    ),
    _method(
        "regression-4",
        "Regression, four views",
        "ours",
        "the same network, the mean over four mirrored views of each slice; here",
        _fixed(REGRESSION, samples=4),
    ),
    _method(
        POSTERIOR_MEAN.name,
        "Posterior mean",
        "ours",
        "E[x | y] of the conditional diffusion network; here",
        _fixed(POSTERIOR_MEAN, steps=1, samples=1),
    ),
    # The sharpness is fixed: squared error alone would choose the mean.
    _method("sharpened-half", "Sharpened, half", "ours", FLOW, _as_users_get(method=SHARPENED.name, sharpness=0.5), networks=("flow",)),
    _method("sharpened-full", "Sharpened, full", "ours", FLOW, _as_users_get(method=SHARPENED.name, sharpness=1.0), networks=("flow",)),
    DEFAULT,
)
"""What this project offers."""


class _Mute:
    """A model whose networks are given no text; everything else is the model's own."""

    def __init__(self, model: Bundle) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """The texts' embeddings, with a mask in which no token counts."""
        text, mask = self._model.encode(texts)
        return text, torch.zeros_like(mask)


def _tuned(task: Task) -> Method:
    return network_method(task, FIDELITY_GUIDED, mode="tuned", steps=STEPS)


def _without_degradation(task: Task, setting: Setting) -> np.ndarray:
    return task.sampled(sampler("red-diff", mode="tuned", steps=min(STEPS, task.steps)))


def _without_text(task: Task, setting: Setting) -> np.ndarray:
    return task.sampled(_tuned(task), model=_Mute(task.model))  # type: ignore[arg-type]


def _shuffled_text(task: Task, setting: Setting) -> np.ndarray:
    misinformed = replace(task.volume.acquisition, organ=task.other.organ, contrast=task.other.contrast)
    return replace(task, volume=task.volume.with_acquisition(misinformed)).sampled(_tuned(task))


ABLATIONS = (
    _method(
        "without-degradation",
        "Tuned, without learned degradation",
        "ablation",
        "the tuned mode at its customary weight held to the image itself, as without multi-cycle training; here",
        _without_degradation,
    ),
    _method(
        "without-text",
        "Tuned, without text",
        "ablation",
        "the tuned mode at its customary weight with the text dropped, as it sometimes was in training; here",
        _without_text,
    ),
    _method(
        "shuffled-text",
        "Tuned, another image's text",
        "ablation",
        "the tuned mode at its customary weight, with organ and contrast of another image; here",
        _shuffled_text,
        needs_other=True,
    ),
)
"""The tuned mode with one part taken out: the learned degradation, the text, or what the text says. Without diffusion it is NBNet."""
