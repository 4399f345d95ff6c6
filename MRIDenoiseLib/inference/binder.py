"""From a row of the catalogue of methods to a function that denoises a batch: a sampler with the networks that the row names."""

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
        sampler: takes those networks, then by name the entries of :meth:`SliceBatch.given` that are among its parameters (all
            of them where it accepts any keyword), and its options.
        options: of the sampler.
    """
    accepted = signature(sampler).parameters
    hands_on = any(one.kind is Parameter.VAR_KEYWORD for one in accepted.values())

    def run(batch: SliceBatch, **options: Any) -> Tensor:
        given = batch.given(*row.needs)
        networks = [batch.network(name) for name in row.needs]
        return sampler(*networks, **{name: value for name, value in given.items() if hands_on or name in accepted}, **options)

    return Method(row.name, run, options, row.needs)


def method_of(settings: Settings) -> Method:
    """The method that resolved settings name."""
    options = settings.options()
    options.pop("strength", None)
    name = str(settings.method)
    return bound(METHODS[name], SAMPLERS[name], options)
