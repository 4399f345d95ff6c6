"""The multi-cycle chain: who learns from whom, what is weighed how, and that every run of it can be repeated."""

from dataclasses import replace

import pytest
import torch

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.configs import build_networks, tiny
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.training.multi_cycle import MultiCycleObjective, structural_dissimilarity
from MRIDenoiseLib.training.recipe import Stage
from MRIDenoiseLib.training.text import Conditioner

PAPER = Stage(network="degradation", steps=10, cycle="paper", crop=176)
DETACH = replace(PAPER, cycle="detach")


def objective(stage: Stage, text: str = "frozen") -> MultiCycleObjective:
    """A tiny chain whose networks do something, as they start as the identity."""
    torch.manual_seed(0)
    networks = build_networks(tiny())
    built = MultiCycleObjective(networks["degradation"], Conditioner(networks.tokenizer, networks.text_encoder, text), stage, (4, 8, 8))
    with torch.no_grad():
        for parameters in [*built.restorations.parameters(), *built.degradations.parameters()]:
            parameters += 0.02 * torch.randn_like(parameters)
    return built


def plain(stage: Stage) -> Stage:
    """Without MS-SSIM and discriminators: any crop will do."""
    return replace(stage, structural=0.0, adversarial=0.0)


def pairs(size: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    clean = torch.stack([0.5 * torch.sin(7 * x) * torch.cos(3 * y), -x * y]).unsqueeze(1)
    measured = clean + torch.tensor([0.1, 0.3]).view(2, 1, 1, 1) * torch.randn(2, 3, size, size, generator=generator)
    numbers = (torch.tensor([0.1, 0.3]), torch.tensor([1.5, 3.0]), torch.tensor([3.0, 5.0]))
    return Batch(measured, clean, torch.ones_like(clean), *numbers, ["head t1w 2x", "knee pd 3x"])


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reached(module: torch.nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters())


@pytest.mark.parametrize(("stage", "reaches"), [(PAPER, True), (DETACH, False)], ids=["paper", "detach"])
def test_the_loss_of_the_second_degraded_image_reaches_the_first_restoration_only_in_the_paper_graph(stage, reaches):
    chain = objective(plain(stage))
    batch = pairs()
    made = chain.pass_through(batch, chain.text(batch), seeded())["degradation"].made
    made[2:].abs().mean().backward()
    assert reached(chain.degradations[1])
    assert reached(chain.restorations[0]) == reached(chain.degradations[0]) == reached(chain.restorations[1]) == reaches


def test_in_the_detached_graph_the_network_that_is_kept_learns_from_its_own_image_alone():
    chain = objective(plain(DETACH))
    batch = pairs()
    sides = chain.pass_through(batch, chain.text(batch), seeded())
    (sides["restoration"].made.abs().mean() + sides["degradation"].made[2:].abs().mean()).backward()
    assert reached(chain.restorations[0]) and reached(chain.restorations[1])
    assert not reached(chain.network)


def test_every_network_has_weights_of_its_own_and_the_first_degradation_is_kept():
    torch.manual_seed(0)
    networks = build_networks(tiny())
    text = Conditioner(networks.tokenizer, networks.text_encoder, "frozen")
    chain = MultiCycleObjective(networks["degradation"], text, replace(plain(PAPER), unities=3))
    assert chain.network is networks["degradation"]
    everyone = [*chain.restorations, *chain.degradations]
    first = [network.encoder[0].first.weight for network in everyone]
    assert len(everyone) == 6 and all(dict(network.config) == dict(networks["degradation"].config) for network in everyone)
    assert all(not torch.equal(a, b) for i, a in enumerate(first) for b in first[:i])


def test_the_losses_are_those_of_the_paper():
    chain = objective(PAPER)
    batch = pairs(176)
    losses = chain(batch, seeded(), 1.0)
    names = {f"{side}_{term}" for side in ("restoration", "degradation") for term in ("l1", "structure", "adversarial", "critic")}
    assert set(losses) == names
    # Drawn once more with the same generator: the same texts are dropped.
    generator = seeded()
    sides = chain.pass_through(batch, chain.conditioning(batch, generator), generator)
    for name, target in (("restoration", batch.clean), ("degradation", batch.measured[:, 1:2])):
        images = sides[name].made.detach().split(2)
        assert len(images) == 2
        assert losses[f"{name}_l1"].item() == pytest.approx(sum(float((i - target).abs().mean()) / 2 for i in images), rel=1e-5)
        lacking = sum(float(structural_dissimilarity(image, target).detach()) for image in images)
        assert losses[f"{name}_structure"].item() == pytest.approx(0.5 * lacking, rel=1e-4)


def test_the_detached_graph_counts_in_units_of_the_noise_and_leaves_the_noisy_side_unjudged():
    chain = objective(DETACH)
    batch = pairs(176)
    losses = chain(batch, seeded(), 1.0)
    assert chain.noisy_critic is None and not any(name in losses for name in ("degradation_adversarial", "degradation_critic"))
    assert {"restoration_adversarial", "restoration_critic", "degradation_structure"} < set(losses)
    generator = seeded()
    made = chain.pass_through(batch, chain.conditioning(batch, generator), generator)["degradation"].made.detach()
    errors = (made - batch.measured[:, 1:2].repeat(2, 1, 1, 1)).abs().mean(dim=(1, 2, 3)) / torch.tensor([0.12, 0.32, 0.12, 0.32])
    assert losses["degradation_l1"].item() == pytest.approx(2 * float(errors.mean()), rel=1e-5)


def test_the_adversarial_loss_comes_up_over_the_first_fifth():
    chain = objective(replace(PAPER, structural=0.0))
    weighed = [
        [chain(pairs(), seeded(), progress)[f"{side}_adversarial"].item() for side in ("restoration", "degradation")]
        for progress in (0, 0.1, 0.2, 0.9)
    ]
    # The critic's power iteration goes on with every pass, which moves its judgement by very little.
    assert weighed[0] == [0, 0]
    assert weighed[1] == pytest.approx([value / 2 for value in weighed[2]], rel=0.1)
    assert weighed[3] == pytest.approx(weighed[2], rel=0.1) and min(weighed[3]) > 0.1


def test_chain_and_discriminators_do_not_learn_from_each_others_losses():
    chain = objective(replace(PAPER, structural=0.0))
    losses = chain(pairs(), seeded(), 1.0)
    networks, critics = (chain.restorations, chain.degradations), (chain.clean_critic, chain.noisy_critic)
    (losses["restoration_adversarial"] + losses["degradation_adversarial"]).backward(retain_graph=True)
    assert all(map(reached, networks)) and not any(map(reached, critics))
    chain.zero_grad()
    (losses["restoration_critic"] + losses["degradation_critic"]).backward()
    assert all(map(reached, critics)) and not any(map(reached, networks))


def test_made_and_measured_images_are_judged_beside_the_same_clean_slice():
    chain = objective(replace(PAPER, structural=0.0))
    batch = pairs()
    side = chain.pass_through(batch, chain.text(batch), seeded())["degradation"]
    made, real = side.as_judged(side.made), side.as_judged(side.target)
    assert torch.equal(made[:, 1], real[:, 1]) and torch.equal(made[2:, 1:], batch.clean)
    assert torch.equal(real[:2, :1], batch.measured[:, 1:2]) and not torch.equal(made[:, 0], real[:, 0])


@pytest.mark.parametrize("stage", [plain(PAPER), plain(DETACH), replace(PAPER, structural=0.0), replace(DETACH, structural=0.0)])
def test_every_weight_gets_a_gradient_in_every_step(stage):
    # Several processes average gradients by waiting for each of them.
    chain = objective(stage, text="whole")
    sum(chain(pairs(), seeded(), 0.0).values()).backward()
    assert [name for name, p in chain.named_parameters() if p.requires_grad and p.grad is None] == []


def shown(stage: Stage, passes: int) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """What the first degradation network is given in so many passes, and the estimate of the first restoration network."""
    chain = objective(replace(plain(stage), unities=1))
    batch = pairs(32)
    images = []
    chain.network.register_forward_pre_hook(lambda module, inputs: images.append(inputs[0].detach()))
    with torch.no_grad():
        for seed in range(passes):
            sides = chain.pass_through(batch, chain.text(batch), seeded(seed))
    return batch, torch.stack(images), sides["restoration"].made


def test_the_paper_shows_the_estimate_itself():
    _, images, estimate = shown(PAPER, 2)
    assert torch.equal(images[0], estimate) and torch.equal(images[1], estimate)


def test_the_detached_graph_shows_the_true_clean_slice_half_of_the_time_under_jitter():
    batch, images, estimate = shown(DETACH, 40)
    grey = 2 / 255
    jitter = (images - batch.clean).std(dim=(2, 3, 4)).flatten()
    true = jitter < 2.5 * grey
    assert 0.35 < float(true.float().mean()) < 0.65
    assert float(jitter[true].min()) > 0.4 * grey and float(jitter[true].max()) < 2.1 * grey
    assert float(jitter[true].max()) > 1.5 * float(jitter[true].min())
    # The others are the estimate with some of its finest detail taken away, by a different share each time.
    kept = ((images - batch.clean) * (estimate - batch.clean)).sum(dim=(2, 3, 4)) / (estimate - batch.clean).square().sum(dim=(1, 2, 3))
    kept = kept.flatten()[~true]
    assert float(kept.max()) < 1.02 and 0.5 < float(kept.min()) < 0.8


def test_the_same_generator_gives_the_same_losses():
    chain = objective(plain(DETACH))
    first, again, other = (chain(pairs(), seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["degradation_l1"], other["degradation_l1"])


def test_a_chain_read_from_its_state_goes_on_as_the_one_that_was_saved(tmp_path):
    stage = replace(PAPER, structural=0.0)
    chain = objective(stage)
    optimizer = torch.optim.Adam(chain.parameters(), lr=1e-3)
    for seed in range(2):
        sum(chain(pairs(), seeded(seed), 0.5).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.save(chain.state_dict(), tmp_path / "state.pt")
    read = objective(stage)
    read.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for seed in range(2, 4):
        expected, got = (c(pairs(), seeded(seed), 0.5) for c in (chain, read))
        assert all(torch.equal(expected[name], got[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [PAPER, DETACH], ids=["paper", "detach"])
def test_twenty_steps_in_half_precision_stay_finite(stage):
    torch.manual_seed(0)
    networks = build_networks(tiny())
    small = NBNet(channels=(2, 2), mid_channels=2, subspace_dim=2, text_dim=16, film_width=4)
    chain = MultiCycleObjective(small, Conditioner(networks.tokenizer, networks.text_encoder, "frozen"), stage, (2, 4, 4))
    optimizer = torch.optim.AdamW([p for p in chain.parameters() if p.requires_grad], lr=1e-2)
    batch = pairs(176)[:1]
    for step in range(20):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = chain(batch, seeded(step), step / 20)
        sum(losses.values()).backward()
        norm = torch.nn.utils.clip_grad_norm_(chain.parameters(), 1.0, error_if_nonfinite=True)
        assert norm > 0 and all(torch.isfinite(loss) and loss.dtype == torch.float32 for loss in losses.values())
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.isfinite(p).all() for p in chain.parameters())


def test_the_probe_changes_nothing_and_says_the_same_each_time():
    chain = objective(replace(PAPER, structural=0.0))
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    random = torch.get_rng_state()
    first, again = (chain.probe(pairs(), seeded()) for _ in range(2))
    assert first == again and all(isinstance(value, float) for value in first.values())
    assert {"noise_rebuilt", "beats_identity", "restoration_pull", "degradation_pull"} < set(first)
    assert chain.training and torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], value) for name, value in chain.state_dict().items())
    assert all(p.grad is None for p in chain.parameters())


def test_the_pull_of_the_discriminator_grows_with_its_weight():
    weak, strong = (objective(replace(PAPER, structural=0.0, adversarial=weight)).probe(pairs(), seeded()) for weight in (0.1, 0.5))
    assert strong["degradation_pull"] == pytest.approx(5 * weak["degradation_pull"], rel=1e-3)
    assert "degradation_pull" not in objective(replace(DETACH, structural=0.0)).probe(pairs(), seeded())


def test_a_degradation_network_of_several_slices_is_refused():
    networks = build_networks(tiny())
    text = Conditioner(networks.tokenizer, networks.text_encoder, "frozen")
    with pytest.raises(SettingsError, match="the slice alone"):
        MultiCycleObjective(NBNet(in_channels=3, channels=(4, 4), conditioning="none"), text, PAPER)
