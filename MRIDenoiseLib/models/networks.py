"""The table of the networks that a model may hold: what each is for, its class, whether a model may lack it, and how it is trained.

Bundles, training, speed tables and the command line read it. A new network needs a class and a row here, and an objective if no
existing one fits; sizes other than the class's own defaults go into :mod:`.configs`. Classes and objectives are written as
``module:name`` and imported when they are first needed, so nothing here loads torch, and models import no training.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from MRIDenoiseLib.methods import METHODS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Component:
    """A row of the table.

    Args:
        name: its folder in a bundle and its stage in a recipe.
        sentence: what it is for, without a full stop.
        place: of its class, a diffusers model that also has ``example_inputs`` (what it takes for one slice, from the slice and
            its :class:`.conditioning.Conditioning`). A class with an argument ``text_dim`` reads texts.
        objective_place: of the class of :mod:`MRIDenoiseLib.training` that trains it; that has ``of(stage, networks)``.
        title: what users call it.
        required: whether every model has it.
        learns_from: networks whose answers it works on. No other network works on its answers, so it can be added to a model.
        informed_by: the same for one whose configuration says ``informed``.
    """

    name: str
    sentence: str
    place: str
    objective_place: str
    title: str
    required: bool = False
    learns_from: tuple[str, ...] = ()
    informed_by: tuple[str, ...] = ()

    @property
    def kind(self) -> type[nn.Module]:
        """Its class."""
        found: type[nn.Module] = _imported(self.place)
        return found

    @property
    def objective(self) -> Any:
        """The class of its objective."""
        return _imported(self.objective_place)

    @property
    def reads_text(self) -> bool:
        """Whether it is given texts."""
        return "text_dim" in arguments(self.kind)

    def builds_on(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """The networks whose answers it works on, with this configuration."""
        return self.learns_from + (self.informed_by if config.get("informed") else ())


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def arguments(kind: type) -> dict[str, Any]:
    """A constructor's arguments with their defaults."""
    return {key: value.default for key, value in inspect.signature(kind.__init__).parameters.items() if key != "self"}  # type: ignore[misc]


def _table(*rows: Component) -> dict[str, Component]:
    return {row.name: row for row in rows}


NETWORKS = _table(
    Component(
        "noise_estimator",
        "measures how strong the noise is, for all the others",
        "MRIDenoiseLib.models.noise_estimator:NoiseEstimator",
        "MRIDenoiseLib.training.objectives:NoiseObjective",
        "network that measures noise",
    ),
    Component(
        "restoration",
        "plain regression of the clean slice",
        "MRIDenoiseLib.models.nbnet:NBNet",
        "MRIDenoiseLib.training.objectives:RestorationObjective",
        "regression network",
    ),
    Component(
        "denoiser",
        "the conditional diffusion network",
        "MRIDenoiseLib.models.diffusion_denoiser:DiffusionDenoiser",
        "MRIDenoiseLib.training.objectives:DenoiserObjective",
        "diffusion network",
        required=True,
        informed_by=("restoration",),
    ),
    Component(
        "degradation",
        "what a fast scan would show of a clean slice, trained in the multi-cycle chain",
        "MRIDenoiseLib.models.nbnet:NBNet",
        "MRIDenoiseLib.training.multi_cycle:MultiCycleObjective",
        "degradation network",
        required=True,
    ),
    Component(
        "flow",
        "sharpens the answers of the restoration network",
        "MRIDenoiseLib.models.flow:FlowNetwork",
        "MRIDenoiseLib.training.objectives:FlowObjective",
        "network that sharpens",
        learns_from=("restoration",),
    ),
    Component(
        "uncertainty",
        "says how far the answers of the restoration network may be off",
        "MRIDenoiseLib.models.uncertainty:UncertaintyNetwork",
        "MRIDenoiseLib.training.objectives:UncertaintyObjective",
        "network that says how sure the result is",
        learns_from=("restoration",),
    ),
)
"""Name -> row, in the order in which they are usually trained."""


def lacking_in_some(needs: Sequence[str], *, informed: bool) -> tuple[str, ...]:
    """Those networks of a sampler that a model may lack.

    Args:
        needs: by the names of their folders.
        informed: whether the model's denoiser starts from another network's answer.
    """
    every = [other for name in needs if informed for other in NETWORKS[name].informed_by] + list(needs)
    return tuple(name for name in every if not NETWORKS[name].required)


def needed(method: str, *, informed: bool) -> tuple[str, ...]:
    """:func:`lacking_in_some` of a method, by its name; empty where the catalogue of methods does not have it."""
    return lacking_in_some(METHODS[method].needs, informed=informed) if method in METHODS else ()
