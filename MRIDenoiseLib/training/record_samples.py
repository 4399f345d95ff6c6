"""Training pairs drawn from prepared records, alone or mixed with simulated ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from MRIDenoiseLib.data.records import Record, RecordStore, record_acquisition
from MRIDenoiseLib.data.samples import (
    SMALLEST_NOISE,
    Batch,
    EvenDraw,
    TrainingPair,
    draw_batch,
    partial_prompt,
    place_in_body,
    seldom_all_neighbours,
)
from MRIDenoiseLib.data.split import Split
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.noise import estimate_noise_level
from MRIDenoiseLib.inference.slices import neighbours
from MRIDenoiseLib.simulation.augment import random_crop, random_flip
from MRIDenoiseLib.simulation.slabs import REACH
from MRIDenoiseLib.training.batches import Batches


class RecordSampler:
    """Draws real pairs; the same seed and position give the same batches.

    Intensities are scaled by the noisy volume's own P99.5, and the noise level is estimated from the noisy slices, as at
    inference. Records whose clean volume contains the noisy one's noise (``inclusive``) are left out: they would teach a
    network to keep it.

    Args:
        stores: what to draw from; organs and contrasts are drawn evenly, then a record among those that fit.
        size: rows and columns of a crop.
        seed: of every choice.
        split: ``train`` for training.

    Raises:
        InputError: the stores hold no record that may be drawn.
    """

    def __init__(self, stores: Sequence[RecordStore], size: int, seed: int, split: Split = "train") -> None:
        self.size = size
        self.seed = seed
        numbered = [(store, number, meta) for store in stores for number, meta in enumerate(store.metas)]
        chosen = [(store, number, meta) for store, number, meta in numbered if meta.split == split and meta.gt_kind != "inclusive"]
        if not chosen:
            raise InputError(f"the prepared pairs hold none of the {split} split whose clean image is free of the noisy one's noise")
        self._records = EvenDraw(((meta.organ, meta.contrast), (store, number)) for store, number, meta in chosen)

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs.

        Raises:
            InputError: hardly any crop holds enough tissue, or a record is damaged.
        """
        return draw_batch(self._pair, self.seed, index, batch_size)

    def _pair(self, generator: torch.Generator) -> TrainingPair | None:
        """One pair, or None when the place drawn holds too little body to measure its noise."""
        store, number = self._records.draw(generator)
        z = int(torch.randint(store.depth(number), (1,), generator=generator))
        first = max(z - REACH, 0)
        record = store.read(number, first, z + REACH + 1)
        noisy, clean, body = self._view(record, z - first, generator)
        meta = record.meta
        level = estimate_noise_level(noisy.numpy()) or meta.noise_level
        if level <= 0:
            return None
        acquisition = record_acquisition(meta)
        return TrainingPair(
            measured=2 * seldom_all_neighbours(noisy, generator) / meta.scale - 1,
            clean=2 * clean / meta.scale - 1,
            body=body,
            noise_level=max(2 * level / meta.scale, SMALLEST_NOISE),
            acceleration=float(acquisition.acceleration.value or 0),
            slice_spacing=meta.slice_spacing,
            prompt=partial_prompt(acquisition, generator),
        )

    def _view(self, record: Record, centre: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Crops around a place in the body, alike for all: noisy slices (5, size, size), clean slice and body (1, size, size)."""
        place = place_in_body(record.mask[centre], generator)
        count = 2 * REACH + 1
        parts = [torch.from_numpy(neighbours(part, centre, count).astype(np.float32)) for part in (record.noisy, record.clean, record.mask)]
        cropped = random_crop(torch.cat(parts), place, self.size, generator).split(count)
        state = generator.get_state()
        turned = [random_flip(part, generator.set_state(state)).contiguous() for part in cropped]
        noisy, clean, body = turned
        return noisy, clean[REACH, None], (body[REACH, None] > 0.5).float()


class MixedSampler:
    """Draws real and simulated pairs in random order; the same seed and position give the same batches.

    Args:
        real: where the real pairs come from.
        simulated: where the others come from.
        share: of real pairs, 0..1; their number varies from batch to batch.
        seed: of the choice between the two.
    """

    def __init__(self, real: Batches, simulated: Batches, share: float, seed: int) -> None:
        self._real = real
        self._simulated = simulated
        self._share = share
        self._seed = seed

    def batch(self, index: int, batch_size: int) -> Batch:
        """Batch number ``index``, of ``batch_size`` pairs.

        Raises:
            InputError: as the two samplers.
        """
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + index)
        count = int((torch.rand(batch_size, generator=generator) < self._share).sum())
        order = torch.randperm(batch_size, generator=generator).tolist()
        drawn = [(self._real, count), (self._simulated, batch_size - count)]
        pairs = Batch.joined([sampler.batch(index, size) for sampler, size in drawn if size])
        return Batch.joined([pairs[k : k + 1] for k in order])
