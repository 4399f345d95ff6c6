"""How BME-X is trained here: with the noise and augmentations of the bundled model's training, on brains with known tissues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from MRIDenoiseLib.data.manifest import CleanVolume
from MRIDenoiseLib.data.samples import Batch, EvenDraw, TrainingPair, draw_batch, neighbourhood, place_in_body, simulated_pair
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.denoisers.bme_x.network import TISSUES, BmeX
from MRIDenoiseLib.inference.slices import neighbours
from MRIDenoiseLib.segmentation import Segmentation
from MRIDenoiseLib.simulation.augment import random_crop, random_flip
from MRIDenoiseLib.training.objectives import Objective, in_noise_units

TISSUE_WEIGHT = 0.5
"""Weight of the classifier's cross-entropy relative to the enhancer's squared error in units of the noise; both start near one."""


@dataclass(frozen=True, eq=False)
class LabelledVolume:
    """A clean brain and its tissues.

    Args:
        clean: the volume.
        labels: uint8, the shape of its slices, an index into :data:`TISSUES`.
    """

    clean: CleanVolume
    labels: np.ndarray


@dataclass(frozen=True)
class TissueBatch(Batch):
    """Training pairs with the tissues of the centre slices.

    Args:
        tissues: B x 4 x H x W, probabilities of the :data:`TISSUES`.
    """

    tissues: Tensor


def tissue_labels(segmentation: Segmentation, slice_axis: int) -> np.ndarray:
    """A segmented brain's labels as indices into :data:`TISSUES`, uint8 (slices, rows, columns).

    Args:
        segmentation: of the whole clean volume.
        slice_axis: of the volume.

    Raises:
        SettingsError: its classes are not tissues of the brain.
    """
    if not segmentation.anatomical:
        raise SettingsError("BME-X learns from brains segmented into fluid, grey and white matter, and this is not one")
    index = np.zeros(len(TISSUES), np.uint8)
    for kind in segmentation.classes:
        index[kind.value] = TISSUES.index(kind.name)
    return np.ascontiguousarray(np.moveaxis(index[segmentation.labels], slice_axis, 0))


class TissuePairSampler:
    """Draws :class:`TissueBatch` es as :class:`MRIDenoiseLib.data.samples.PairSampler` draws its own.

    Args:
        volumes: what to draw from; first a contrast is drawn evenly, then one of its volumes.
        size: rows and columns of a crop.
        seed: of every choice.
    """

    def __init__(self, volumes: Sequence[LabelledVolume], size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self._volumes = EvenDraw(((one.clean.row.organ, one.clean.row.contrast), one) for one in volumes)

    def batch(self, index: int, batch_size: int) -> TissueBatch:
        """Batch number ``index``, of ``batch_size`` pairs.

        Raises:
            InputError: hardly any crop holds enough tissue.
        """
        tissues: list[Tensor] = []

        def draw(generator: torch.Generator) -> TrainingPair | None:
            volume = self._volumes.draw(generator)
            slices, maps = self._view(volume, generator)
            pair = simulated_pair(slices, volume.clean.acquisition, volume.clean.slice_spacing, generator)
            if pair is not None:
                tissues.append(maps)
            return pair

        batch = draw_batch(draw, self.seed, index, batch_size)
        return TissueBatch(**{field.name: getattr(batch, field.name) for field in fields(Batch)}, tissues=torch.stack(tissues))

    def _view(self, volume: LabelledVolume, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Three neighbouring slices (3 x size x size) around a place in the body, and the tissues' probabilities (4 x size x size)."""
        z = int(torch.randint(len(volume.labels), (1,), generator=generator))
        place = place_in_body(volume.clean.body[z], generator)
        view = _same_view(place, self.size, generator, volume.clean.coarsening)
        slices = view(torch.from_numpy(neighbours(volume.clean.slices, z, 3)))
        labels = torch.from_numpy(volume.labels[z : z + 1])
        maps = torch.cat([view((labels == k).float()) for k in range(len(TISSUES))]).clamp_min(1e-4)
        return slices, maps / maps.sum(dim=0)


def _same_view(place: tuple[int, int], size: int, generator: torch.Generator, least: float) -> Callable[[Tensor], Tensor]:
    """One choice of crop and flip, to apply to several images alike; at least ``least`` times coarser than they are."""
    state = generator.get_state()

    def view(images: Tensor) -> Tensor:
        generator.set_state(state)
        return random_flip(random_crop(images, place, size, generator, least=least), generator).contiguous()

    return view


class BmeXObjective(Objective):
    """The classifier's cross-entropy and the enhancer's squared error, learned together.

    Args:
        bme_x: the network.
    """

    def __init__(self, bme_x: BmeX) -> None:
        super().__init__(None)
        self.bme_x = bme_x

    @property
    def network(self) -> nn.Module:
        """The network."""
        return self.bme_x

    def forward(self, batch: Batch, generator: torch.Generator, progress: float = 0.0) -> dict[str, Tensor]:
        """Two losses, ``enhancement`` and ``tissues``."""
        return self._losses(batch)

    def probe(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Both losses with the statistics that inference uses."""
        self.bme_x.eval()
        with torch.no_grad():
            losses = self._losses(batch)
        self.bme_x.train()
        return {name: float(loss) for name, loss in losses.items()}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(batch, TissueBatch)
        image, scores = self.bme_x(neighbourhood(batch, self.bme_x.config.slices), batch.noise_level)
        return {
            "enhancement": in_noise_units(image, batch, batch.noise_level),
            "tissues": TISSUE_WEIGHT * functional.cross_entropy(scores.float(), batch.tissues),
        }
