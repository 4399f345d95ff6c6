"""The discriminator: each side of the game gets its own gradients in one backward pass, and every step is repeatable."""

import math

import pytest
import torch

from MRIDenoiseLib.training.multi_cycle import PatchDiscriminator


@pytest.fixture
def critic() -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(widths=(4, 8, 8))


@pytest.fixture
def real() -> torch.Tensor:
    return torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def made() -> torch.Tensor:
    return 0.2 * torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(2))


def buffers(critic: PatchDiscriminator) -> torch.Tensor:
    return torch.cat([buffer.flatten() for buffer in critic.buffers()])


def test_every_patch_of_46_pixels_gets_a_logit(critic, real):
    assert critic(real).shape == (2, 1, 7, 7)
    image = torch.zeros(1, 1, 128, 128, requires_grad=True)
    critic.eval()(image)[0, 0, 7, 7].backward()
    rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 46, "three 4x4 convolutions of stride 2 and one of stride 1"


def test_the_critics_loss_reaches_the_critic_and_not_the_images(critic, real, made):
    real.requires_grad_()
    made.requires_grad_()
    critic.critic_loss(real, made).backward()
    assert real.grad is None and made.grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_the_generators_loss_reaches_the_images_and_not_the_critic(critic, made):
    made.requires_grad_()
    critic.generator_loss(made).backward()
    assert made.grad.abs().sum() > 0
    assert all(p.grad is None for p in critic.parameters())


def test_one_backward_pass_of_both_losses_gives_what_two_would(critic, real, made):
    made.requires_grad_()
    (critic.critic_loss(real, made) + critic.generator_loss(made)).backward()
    together = [made.grad.clone(), *(p.grad.clone() for p in critic.parameters())]
    torch.manual_seed(0)
    fresh = PatchDiscriminator(widths=(4, 8, 8))
    image = made.detach().clone().requires_grad_()
    fresh.critic_loss(real, image).backward()
    fresh.generator_loss(image).backward()
    apart = [image.grad, *(p.grad for p in fresh.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(together, apart, strict=True))


def test_only_the_critics_loss_moves_the_power_iteration_and_by_one_step(critic, real, made):
    torch.manual_seed(0)
    twin = PatchDiscriminator(widths=(4, 8, 8))
    before = buffers(critic).clone()
    critic.generator_loss(made)
    assert torch.equal(buffers(critic), before) and critic.training
    critic.critic_loss(real, made)
    twin(real)
    assert not torch.equal(buffers(critic), before)
    assert torch.equal(buffers(critic), buffers(twin)), "one pass through the layers is one step"


def test_the_layers_have_a_spectral_norm_of_about_one(critic, real, made):
    with torch.no_grad():
        for p in critic.parameters():
            p.mul_(30)
    for _ in range(30):
        critic.critic_loss(real, made)
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in critic.eval().layers if hasattr(layer, "weight")]
    assert len(norms) == 4 and all(0.95 < norm < 1.05 for norm in norms)


def test_where_nothing_can_be_told_the_critic_pays_at_least_the_logarithm_of_two(critic, real):
    loss = float(critic.critic_loss(real, real).detach())
    assert math.log(2) <= loss < 1.5 * math.log(2)


def test_it_learns_to_tell_and_the_generators_gradient_leads_to_what_it_takes_for_real(critic, real, made):
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = critic.critic_loss(real, made)
        loss.backward()
        optimizer.step()
    critic.eval()
    assert loss.item() < 0.45 and critic(real).mean() > 0.5 > -0.5 > critic(made).mean()
    image = made.clone().requires_grad_()
    critic.generator_loss(image).backward()
    assert critic(image - 200 * image.grad).mean() > critic(image).mean() + 0.05


def test_the_loss_of_the_generator_does_not_saturate_where_the_critic_is_sure(critic, made):
    with torch.no_grad():
        critic.layers[-1].bias.fill_(-20.0)
    sure = made.clone().requires_grad_()
    critic.eval().generator_loss(sure).backward()
    with torch.no_grad():
        critic.layers[-1].bias.fill_(0.0)
    unsure = made.clone().requires_grad_()
    critic.generator_loss(unsure).backward()
    # log(1 - D), the saturating form, would leave exp(-20) of it.
    assert sure.grad.norm() > 1.5 * unsure.grad.norm()


def test_autocast_changes_nothing(critic, real):
    critic.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = critic(real)
    assert inside.dtype == torch.float32 and torch.equal(inside, critic(real))
