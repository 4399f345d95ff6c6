"""From a row of the catalogue of methods to what denoises a batch: any sampler, called with the networks that its row names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from torch import Tensor

from MRIDenoiseLib.inference.batch import Method, SliceBatch
from MRIDenoiseLib.inference.settings import Settings
from MRIDenoiseLib.methods import METHODS
from MRIDenoiseLib.methods import Method as Row
from MRIDenoiseLib.sampling import SAMPLERS


def bound(row: Row, sampler: Callable[..., Tensor], options: Mapping[str, Any]) -> Method:
    """A sampler as a method of a :class:`MRIDenoiseLib.inference.Denoiser`.

    Args:
        row: its name, and the networks that it is called with.
        sampler: takes those networks, then by name what it asks for of :meth:`SliceBatch.given` (one that takes any keyword hands
            on all of it), and its options.
        options: of the sampler.
    """
    asked = signature(sampler).parameters
    hands_on = any(one.kind is Parameter.VAR_KEYWORD for one in asked.values())

    def run(batch: SliceBatch, **options: Any) -> Tensor:
        given = batch.given(*row.needs)
        networks = [batch.network(name) for name in row.needs]
        return sampler(*networks, **{name: value for name, value in given.items() if hands_on or name in asked}, **options)

    return Method(row.name, run, options, row.needs)


def method_of(settings: Settings) -> Method:
    """The method that resolved settings ask for."""
    options = settings.options()
    options.pop("strength", None)
    name = str(settings.method)
    return bound(METHODS[name], SAMPLERS[name], options)
