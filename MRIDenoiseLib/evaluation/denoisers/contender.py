"""A method of the comparison: its name, its source, the settings it may choose from, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from MRIDenoiseLib.card import CARD
from MRIDenoiseLib.image.body import body_mask, intensity_scale
from MRIDenoiseLib.inference import Denoiser, ModelSet, Settings
from MRIDenoiseLib.inference.batch import Method, SliceBatch, method_of, watched
from MRIDenoiseLib.inference.device import choose_device
from MRIDenoiseLib.inference.slices import NetworkSlices
from MRIDenoiseLib.methods import POSTERIOR_MEAN, REGRESSION
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.volume import Acquisition, Volume

Setting = Mapping[str, Any]
"""One choice of a method's parameters, JSON-ready."""

Group = Literal["control", "tools", "paper", "ablation", "ours"]
GROUPS: dict[Group, str] = {
    "control": "controls",
    "tools": "what users have",
    "paper": "methods of the paper",
    "ablation": "ablations",
    "ours": "this project",
}
"""Group -> its heading in tables, in their order."""

Grid = Literal["usual", "wide"]
"""Which list of settings to choose from."""
NOISE, TRUE = "noise", "true"
"""A parameter and its value: the method is given the noise that was added, where it is known; no user knows it."""

MARGIN = 3
"""Slices on either side of the wanted ones that a three-dimensional filter may use."""
BORDER = 16
"""Pixels around the body that a filter computes; air farther away is left as it is."""


@lru_cache(maxsize=2)
def _loaded(folder: Path, written: int) -> Bundle:
    """A model, for one modification time of its card; the last two stay in memory, checked once per process."""
    return Bundle.load(folder)


@dataclass(frozen=True, eq=False)
class Task:
    """What a method may know about an image: all that a user has, and nothing of the reference.

    Args:
        volume: the whole noisy volume.
        wanted: the slices to compute, along its acquired axis.
        bundle: folder of the model that provides the networks.
        steps: network calls that a sampler may make for a slice.
        seed: of every random choice.
        other: how an image of another kind was acquired, for the text of another image.
        observe: called after every network call of a sampler with its state and the denoiser's estimate, both of the first
            wanted slice, (rows, columns) in the units of ``volume``.
        true_noise: standard deviation of the noise in the units of ``volume``; only methods that declare it may use it.
    """

    volume: Volume
    wanted: range
    bundle: Path
    steps: int
    seed: int = 0
    other: Acquisition = field(default_factory=Acquisition)
    true_noise: float | None = None
    observe: Callable[[np.ndarray, np.ndarray], None] | None = None

    @cached_property
    def slices(self) -> np.ndarray:
        """The whole volume, float32 (slices, rows, columns)."""
        return self.volume.stack

    @cached_property
    def scale(self) -> float:
        """P99.5 in the body, from the noisy volume alone."""
        return intensity_scale(self.slices, self._body)

    @cached_property
    def seen(self) -> range:
        """The wanted slices and :data:`MARGIN` more on either side."""
        return range(max(0, self.wanted.start - MARGIN), min(len(self.slices), self.wanted.stop + MARGIN))

    @cached_property
    def frame(self) -> tuple[slice, slice]:
        """Rows and columns of the body with :data:`BORDER`."""
        body = np.any(self._body, axis=0)
        found = (np.flatnonzero(np.any(body, axis=1)), np.flatnonzero(np.any(body, axis=0)))
        rows, columns = (slice(max(0, int(places[0]) - BORDER), int(places[-1]) + BORDER + 1) for places in found)
        return rows, columns

    @cached_property
    def image(self) -> np.ndarray:
        """What a filter gets: the slices seen, cut to the frame, in units of :attr:`scale`; float32 (slices, rows, columns)."""
        return np.ascontiguousarray(self.slices[(slice(self.seen.start, self.seen.stop), *self.frame)] / np.float32(self.scale))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """In mm, of the three axes of :attr:`image`."""
        return self.volume.stack_spacing

    @cached_property
    def near(self) -> np.ndarray:
        """Which voxels of :attr:`image` are within :data:`BORDER` / 2 of the body in a wanted slice."""
        near = np.zeros(self.image.shape, bool)
        inside = slice(self.wanted.start - self.seen.start, self.wanted.stop - self.seen.start)
        body = self._body[(slice(self.wanted.start, self.wanted.stop), *self.frame)]
        near[inside] = ndimage.binary_dilation(body, np.ones((1, 3, 3)), iterations=BORDER // 2)
        return near

    @cached_property
    def noise_level(self) -> float:
        """Standard deviation of the noise in units of :attr:`scale`, as the model measures it: the best estimate that a user has."""
        method = POSTERIOR_MEAN if self.model.network("restoration") is None else REGRESSION
        one = Settings(method=method.name, samples=1, slices=(self.wanted.start, self.wanted.start + 1))
        return Denoiser(self.model)(self.volume, one).noise_level / self.scale

    def told_noise(self, setting: Setting) -> float:
        """The noise level given to a method with this setting, in units of :attr:`scale`: measured, or the true one if it says so."""
        if setting.get(NOISE) == TRUE and self.true_noise is not None:
            return self.true_noise / self.scale
        return self.noise_level

    @cached_property
    def model(self) -> Bundle:
        """The loaded model."""
        return _loaded(self.bundle, (self.bundle / CARD).stat().st_mtime_ns if (self.bundle / CARD).is_file() else 0)

    def filtered(self, image: np.ndarray) -> np.ndarray:
        """The wanted slices (slices, rows, columns) in the volume's units, from a filtered :attr:`image`."""
        whole = self.slices[self.wanted.start : self.wanted.stop].copy()
        whole[(slice(None), *self.frame)] = image[self.wanted.start - self.seen.start :][: len(self.wanted)] * np.float32(self.scale)
        return whole

    def sampled(self, method: Method, strength: float | None = 1.0, model: ModelSet | None = None) -> np.ndarray:
        """The wanted slices (slices, rows, columns) in the volume's units, from networks.

        Args:
            method: how they are used.
            strength: see :class:`MRIDenoiseLib.inference.Settings`; None as for a user who chooses none.
            model: the model that provides them; :attr:`model` when not given.
        """
        settings = Settings(slices=(self.wanted.start, self.wanted.stop), seed=self.seed, strength=strength)
        seen = method if self.observe is None else watched(method, self._tell)
        volume = Denoiser(model or self.model)(self.volume, settings, method=seen).volume
        return volume.stack[self.wanted.start : self.wanted.stop]

    def as_users_get(self, asked: Settings) -> np.ndarray:
        """The wanted slices, as :meth:`sampled`; what ``asked`` leaves open is chosen as for a user on this machine."""
        on_gpu = choose_device("auto").type != "cpu"
        chosen = asked.resolved(self.model.default_method, self.model.default_settings, on_gpu=on_gpu)
        # A strength that nobody chose is less for an image unlike what the networks know.
        everything = asked.strength is None and chosen.strength in (None, 1.0)
        return self.sampled(method_of(chosen), strength=None if everything else chosen.strength)

    def _tell(self, batch: SliceBatch, event: dict[str, Any]) -> None:
        if self.observe is None or self.wanted.start not in batch.indices:
            return
        index, slices = self.wanted.start, batch.slices
        assert isinstance(slices, NetworkSlices)
        place = batch.indices.index(index)
        images = []
        for name in ("x", "denoised"):
            image = self.slices[index].copy()
            slices.window.of(image)[:] = slices.restored(index, event[name][place, 0].cpu().numpy())
            images.append(image)
        self.observe(*images)

    @cached_property
    def _body(self) -> np.ndarray:
        return body_mask(self.slices)


@dataclass(frozen=True)
class Contender:
    """A denoiser that takes part in the comparison.

    Args:
        name: short, for commands and files.
        title: for tables and figures.
        group: which of :data:`GROUPS` it belongs to.
        source: who published it, whose code runs, and under which licence.
        run: (task, one of the settings) -> the wanted slices (slices, rows, columns) in the volume's units.
        settings: what tuning may choose from, the customary one first; every method is given at most eight.
        wide: many more, for the best choice possible; the same as ``settings`` when empty.
        packages: whose code runs, by their pip names; another version may give another result.
        trained: what its networks were trained on, for those that have any.
        networks: the model's networks that this method uses and most methods do not, by the names of their folders.
        organs: the only organs it is made for; all when empty.
        told: what it is given that no user knows.
        needs_other: whether it uses :attr:`Task.other`.
        measures_noise: whether it uses :attr:`Task.noise_level`.
    """

    name: str
    title: str
    group: Group
    source: str
    run: Callable[[Task, Setting], np.ndarray]
    settings: tuple[Setting, ...] = ({},)
    wide: tuple[Setting, ...] = ()
    packages: tuple[str, ...] = ()
    trained: str = ""
    networks: tuple[str, ...] = ()
    organs: tuple[str, ...] = ()
    told: str = ""
    needs_other: bool = False
    measures_noise: bool = False

    @property
    def tunable(self) -> bool:
        """Whether there is anything to choose."""
        return len(self.settings) > 1

    @property
    def is_peer(self) -> bool:
        """Whether it is another author's method, which no training of ours changes."""
        return bool(self.packages)

    def grid(self, name: Grid) -> tuple[Setting, ...]:
        """The settings to choose from."""
        return self.wide if name == "wide" and self.wide else self.settings

    def needs_model(self, settings: Sequence[Setting], *, noise_known: bool) -> bool:
        """Whether the result depends on the model: it has networks, or is given the noise that the model measures.

        Args:
            settings: those that it is run with.
            noise_known: whether the true noise of the image is known.
        """
        told = noise_known and all(setting.get(NOISE) == TRUE for setting in settings)
        return bool(self.trained) or (self.measures_noise and not told)
