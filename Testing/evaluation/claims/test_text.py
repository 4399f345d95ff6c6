"""Networks whose use of the text is known are called what they are."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from MRIDenoiseLib.data.manifest import CleanVolume, ManifestRow, manifest_acquisition
from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation.claims.text import DROPPED, SHUFFLED, WRONG_ACCELERATION, Crops, Effect, draw_crops, measure_text
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.volume import Acquisition

WORDS = {"darker": -1.0, "brighter": 1.0}
SHIFT = 0.1
"""What the noisy images are off by, in the direction that their text tells."""

Reading = Callable[[Conditioning], Tensor]
"""What a network makes of the things it is told: B shifts to take off the image."""


class Network:
    """Gives back the measured slice, shifted by what it reads; as restoration and as denoiser."""

    config = SimpleNamespace(in_channels=1, neighbours=0, informed=False)

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def __call__(self, *arguments: Any) -> Tensor:
        image = arguments[0] if len(arguments) == 2 else arguments[1]
        return image - self.reading(arguments[-1]).view(-1, 1, 1, 1)


class Refining:
    """Gives back the answer that it starts from."""

    config = SimpleNamespace(neighbours=0, informed=True)

    def __call__(self, state: Tensor, measured: Tensor, timestep: Tensor, conditioning: Conditioning, mean: Tensor) -> Tensor:
        return mean


class Models:
    """As much of a bundle as is asked for."""

    scheduler = DDIMScheduler(num_train_timesteps=1000, prediction_type="sample", rescale_betas_zero_snr=True)

    def __init__(self, reading: Reading, restoration: bool = True) -> None:
        self.networks = {"denoiser": Network(reading)} | ({"restoration": Network(reading)} if restoration else {})

    def network(self, name: str) -> object:
        return self.networks.get(name)

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        values = torch.tensor([WORDS[text] for text in texts])
        return values.view(-1, 1, 1).expand(-1, 2, 3), torch.ones(len(texts), 2, dtype=torch.bool)


def crops(copies: int = 1, prompts: tuple[str, ...] = tuple(WORDS)) -> Crops:
    """Twenty crops of five volumes (each ``copies`` times), with white noise and a shift that the text tells."""
    rng = torch.Generator().manual_seed(0)
    said = [prompts[number % len(prompts)] for number in range(20)]
    shifts = SHIFT * torch.tensor([WORDS[prompt] for prompt in said]).view(-1, 1, 1, 1)
    clean = torch.zeros(20, 1, 24, 24)
    measured = (clean + shifts + 0.05 * torch.randn(clean.shape, generator=rng)).expand(-1, 3, -1, -1)
    acceleration = torch.tensor([1.5, 2.0, 3.0, 2.5] * 5)
    pairs = Batch(measured, clean, torch.ones_like(clean), torch.full((20,), 0.05), acceleration, torch.full((20,), 4.0), said)
    order = [number for number in range(20) for _ in range(copies)]
    values = {name: getattr(pairs, name) for name in Batch.__dataclass_fields__}
    repeated = {name: [v[n] for n in order] if isinstance(v, list) else v[order] for name, v in values.items()}
    return Crops(Batch(**repeated), [f"volume {number // 4}" for number in order])


def by_text(conditioning: Conditioning) -> Tensor:
    return SHIFT * conditioning.pooled_text().mean(dim=1)


def effects(reading: Reading, of: Crops | None = None) -> dict[tuple[str, str], Effect]:
    return {(effect.method, effect.change): effect for effect in measure_text(Models(reading), of or crops())}


@pytest.mark.parametrize("method", ["regression", "posterior-mean"])
def test_a_network_that_needs_the_text_is_said_to_use_it(method):
    found = effects(by_text)
    shuffled, dropped, number = (found[method, change] for change in (SHUFFLED, DROPPED, WRONG_ACCELERATION))
    # Noise of 0.05 alone, then with a shift of 0.2 (the other text) or 0.1 (none): 20 log10(2 / 0.05), and what is lost.
    assert shuffled.psnr == pytest.approx(32.04, abs=0.1)
    assert shuffled.gain == pytest.approx(10 * np.log10(1 + (0.2 / 0.05) ** 2), abs=0.1)
    assert dropped.gain == pytest.approx(10 * np.log10(1 + (0.1 / 0.05) ** 2), abs=0.1)
    assert shuffled.useful and shuffled.interval[0] > 12 and shuffled.interval[0] <= shuffled.gain <= shuffled.interval[1]
    assert shuffled.verdict.startswith(f"{method}: the text lowers the error by +12") and shuffled.verdict.endswith("): useful")
    assert number.gain == 0 and not number.useful


def test_a_denoiser_that_starts_where_regression_ends_is_given_the_answer_to_the_same_words():
    models = Models(by_text)
    models.networks["denoiser"] = Refining()
    found = {(effect.method, effect.change): effect for effect in measure_text(models, crops())}
    for change in (SHUFFLED, DROPPED, WRONG_ACCELERATION):
        assert found["posterior-mean", change].gain == pytest.approx(found["regression", change].gain, abs=1e-6)
    assert found["posterior-mean", SHUFFLED].useful


@pytest.mark.parametrize("change", [SHUFFLED, DROPPED, WRONG_ACCELERATION])
def test_a_network_that_takes_no_notice_is_said_not_to_use_it(change):
    effect = effects(lambda conditioning: torch.zeros(len(conditioning.acceleration)))["regression", change]
    assert effect.gain == 0 and effect.interval == (0, 0)
    assert effect.verdict.endswith("not useful")


def test_a_text_that_misleads_is_not_useful():
    effect = effects(lambda conditioning: -by_text(conditioning))["regression", SHUFFLED]
    assert effect.gain < -10 and not effect.useful


def test_an_advantage_too_small_to_matter_is_not_useful_however_sure():
    effect = effects(lambda conditioning: by_text(conditioning) / 1000)["regression", SHUFFLED]
    assert 0 < effect.interval[0] < effect.gain < 0.02 and not effect.useful


def test_a_wrong_acceleration_number_is_told_to_the_network_and_no_other():
    right = dict.fromkeys((1.5, 2.0, 2.5, 3.0))
    told: list[list[float]] = []

    def watched(conditioning: Conditioning) -> Tensor:
        told.append(conditioning.acceleration.tolist())
        return 0.05 * (conditioning.acceleration - 2)

    effects(watched)
    assert {1.5, 2.0, 2.5, 3.0} == set(right) == {value for call in told for value in call}
    pairs = {
        (a, b) for right_call, wrong_call in zip(told[:3], told[9:12], strict=True) for a, b in zip(right_call, wrong_call, strict=True)
    }
    assert pairs == {(1.5, 3.0), (2.0, 3.0), (2.5, 1.5), (3.0, 1.5)}


def test_crops_of_one_volume_are_no_independent_evidence():
    def unreliable(conditioning: Conditioning) -> Tensor:
        return by_text(conditioning) * (conditioning.acceleration - 1)

    once, often = (effects(unreliable, crops(copies))["regression", SHUFFLED] for copies in (1, 6))
    widths = [effect.interval[1] - effect.interval[0] for effect in (once, often)]
    assert widths[1] == pytest.approx(widths[0], rel=0.15) and widths[0] > 0


def test_a_model_without_a_regression_network_is_measured_all_the_same():
    found = measure_text(Models(by_text, restoration=False), crops())
    assert {effect.method for effect in found} == {"posterior-mean"}


def test_crops_with_one_and_the_same_text_cannot_be_shuffled():
    with pytest.raises(InputError, match="same text"):
        measure_text(Models(by_text), crops(prompts=("darker",)))


def test_every_volume_gives_as_many_crops_and_the_same_seed_the_same():
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    slices = np.stack([np.where(np.hypot(x, y) < 0.8, 0.6 + 0.3 * np.sin(9 * x + 0.2 * k), 0.0) for k in range(4)]).astype(np.float32)
    rows = [ManifestRow(f"v{k}.nii", "made here", "none", organ, "T1w", "Siemens", f"s{k}") for k, organ in enumerate(("head", "knee"))]
    volumes = [CleanVolume(slices, slices > 0.1, 3.0 + k, manifest_acquisition(row, Acquisition()), row) for k, row in enumerate(rows)]
    first, second, other = (draw_crops(volumes, per_volume=3, size=64, seed=seed) for seed in (2, 2, 3))
    assert first.subjects == ["s0"] * 3 + ["s1"] * 3 and first.pairs.slice_spacing.tolist() == [3, 3, 3, 4, 4, 4]
    assert first.pairs.measured.shape == (6, 5, 64, 64) and len(first.pairs.prompts) == 6
    assert torch.equal(first.pairs.measured, second.pairs.measured) and not torch.equal(first.pairs.measured, other.pairs.measured)
