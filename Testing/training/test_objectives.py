"""What the networks are trained to do: the right target, the right times, measurement and text dropped, gradients where they belong."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from training_cases import QuickBatches, tiny_networks

from MRIDenoiseLib.training.objectives import (
    AIR_WEIGHT,
    NOISE_FLOOR,
    DenoiserObjective,
    NoiseObjective,
    RestorationObjective,
    in_noise_units,
    neighbourhood,
    squared_error,
)
from MRIDenoiseLib.training.text import Conditioner


def text() -> Conditioner:
    networks = tiny_networks()
    return Conditioner(networks.tokenizer, networks.text_encoder, "whole")


def restoration() -> RestorationObjective:
    return RestorationObjective(tiny_networks()["restoration"], text())


def denoiser(network: nn.Module | None = None, weighting="noise") -> DenoiserObjective:
    networks = tiny_networks()
    return DenoiserObjective(network or networks["denoiser"], networks.scheduler, text(), weighting)


class Watching(nn.Module):
    """In the denoiser's place: notes what it is given and answers with ``answer`` of it."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.config = tiny_networks()["denoiser"].config
        self.answer = answer
        self.seen = []

    def forward(self, state, measured, timestep, conditioning):
        self.seen.append((state, measured, timestep, conditioning))
        return self.answer(state, measured)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_factor_wrong_counts_alike_for_faint_and_for_strong_noise():
    class Doubling(nn.Module):
        def forward(self, image, body):
            return 2 * torch.tensor([0.01, 0.3])

    batch = replace(QuickBatches().batch(0, 2), noise_level=torch.tensor([0.01, 0.3]))
    objective = NoiseObjective(Doubling())
    assert objective(batch, generator(0))["noise_estimator"].item() == pytest.approx(math.log(2), rel=1e-5)
    assert objective.probe(batch, generator(0)) == {"error": pytest.approx(1, rel=1e-5)}
    assert objective.text is None, "it reads nothing, so it must not bring a text encoder of its own into the run"


@pytest.mark.parametrize("objective", [restoration(), denoiser()], ids=["restoration", "denoiser"])
def test_losses_fall_on_a_problem_small_enough(objective):
    batch = QuickBatches().batch(0, 4)
    optimizer = torch.optim.Adam(objective.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        loss = sum(objective(batch, generator(1)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert any(parameter.grad.abs().sum() > 0 for parameter in objective.text.parameters()), "the words learn too"


def test_a_denoiser_that_knows_the_clean_slice_has_no_loss():
    batch = QuickBatches().batch(0, 3)
    for weighting in ("noise", "plain"):
        knowing = denoiser(Watching(lambda state, measured: batch.clean), weighting)
        assert all(knowing(batch, generator(seed))["denoiser"].item() == 0 for seed in range(20))


def test_the_state_is_the_clean_slice_with_the_noise_of_its_time():
    batch = QuickBatches().batch(0, 4)
    watching = Watching(lambda state, measured: state)
    objective = denoiser(watching, "plain")
    left, expected = [], []
    for seed in range(60):
        objective(batch, generator(seed))
        state, _, t, _ = watching.seen[-1]
        alpha_bar = objective.alpha_bar[t].view(-1, 1, 1, 1)
        left.append((state - alpha_bar.sqrt() * batch.clean).square().mean(dim=(1, 2, 3)))
        expected.append(1 - alpha_bar.flatten())
    left, expected = torch.cat(left), torch.cat(expected)
    assert torch.allclose(left, expected, rtol=0.25)
    assert left.sum() == pytest.approx(float(expected.sum()), rel=0.01)


def test_most_times_are_pure_noise_or_none_more_than_others_when_all_count_alike():
    batch = QuickBatches().batch(0, 8)
    shares = {}
    for weighting in ("noise", "plain"):
        watching = Watching(lambda state, measured: state)
        objective = denoiser(watching, weighting)
        for seed in range(80):
            objective(batch, generator(seed))
        times = torch.cat([t for _, measured, t, _ in watching.seen if measured is not None])
        shares[weighting] = (times == 999).float().mean().item()
    assert 0.5 < shares["noise"] < 0.7 and shares["plain"] < 0.02


def test_the_measurement_and_the_text_are_dropped_now_and_then():
    batch = QuickBatches().batch(0, 4)
    watching = Watching(lambda state, measured: state)
    objective = denoiser(watching)
    for seed in range(300):
        objective(batch, generator(seed))
    unconditional = sum(measured is None for _, measured, _, _ in watching.seen) / 300
    without_text = torch.cat([~conditioning.text_mask.any(dim=1) for *_, conditioning in watching.seen]).float().mean().item()
    assert 0.05 < unconditional < 0.16 and 0.06 < without_text < 0.14


def test_without_a_measurement_the_error_is_not_divided_by_the_noise_of_one():
    batch = QuickBatches().batch(0, 2)
    blind = denoiser(Watching(lambda state, measured: torch.zeros_like(state)))
    losses = {blind.denoiser.seen[-1][1] is None: loss for loss in (blind(batch, generator(s))["denoiser"].item() for s in range(60))}
    assert losses[True] < 0.1 * losses[False]


def test_the_error_is_in_units_of_the_noise_and_air_counts_little():
    batch = replace(QuickBatches().batch(0, 2), body=torch.zeros(2, 1, 32, 32), noise_level=torch.tensor([0.1, 0.3]))
    batch.body[..., :16] = 1
    error = torch.tensor([0.2, 0.6]).view(2, 1, 1, 1)
    expected = (1 + AIR_WEIGHT) / 2 * sum(e**2 / (s**2 + NOISE_FLOOR**2) for e, s in ((0.2, 0.1), (0.6, 0.3))) / 2
    assert in_noise_units(batch.clean + error, batch, batch.noise_level).item() == pytest.approx(expected, rel=1e-4)
    assert squared_error(batch.clean + error, batch, batch.noise_level, "plain").item() == pytest.approx((0.04 + 0.36) / 2, rel=1e-4)


def test_a_network_of_single_slices_gets_the_centre_one_and_a_wider_one_its_neighbours():
    batch = QuickBatches().batch(0, 2)
    assert torch.equal(neighbourhood(batch, 1), batch.measured[:, 1:2])
    assert torch.equal(neighbourhood(batch, 3), batch.measured)


def test_shuffled_neighbours_hurt_a_network_that_learned_to_use_them():
    batches = QuickBatches()
    objective = restoration()
    optimizer = torch.optim.Adam(objective.parameters(), lr=5e-3)
    for step in range(80):
        batch = batches.batch(step, 4)
        optimizer.zero_grad()
        objective(batch, generator(step))["restoration"].backward()
        optimizer.step()
    unseen = batches.batch(10_000, 16)
    strangers = unseen.measured.clone()
    strangers[:, [0, 2]] = 2 * torch.rand(16, 2, 32, 32, generator=generator(0)) - 1
    with torch.no_grad():
        loss, hurt = (objective(replace(unseen, measured=m), generator(1))["restoration"].item() for m in (unseen.measured, strangers))
    assert hurt > 1.1 * loss
