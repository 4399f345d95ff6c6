"""NBNet: its exact size, its subspace attention, its three ways of being told things, and the shapes it takes."""

import pytest
import torch

from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import flops, parameter_count
from MRIDenoiseLib.models.layers import project_on_subspace
from MRIDenoiseLib.models.nbnet import NBNet

TEXT_DIM = 8


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def conditioning(batch: int, noise_level: float = 0.1) -> Conditioning:
    return Conditioning(
        text=torch.randn(batch, 5, TEXT_DIM),
        text_mask=torch.tensor([[True, True, True, False, False]]).expand(batch, -1),
        acceleration=torch.full((batch,), 2.0),
        noise_level=torch.full((batch,), noise_level),
        slice_spacing=torch.full((batch,), 4.0),
    )


def small(**changes: object) -> NBNet:
    arguments = {"channels": (8, 8, 8, 8, 8), "mid_channels": 8, "subspace_dim": 4, "text_dim": TEXT_DIM} | changes
    return NBNet(**arguments)


def with_random_head(network: NBNet) -> NBNet:
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network


@pytest.mark.parametrize(
    ("channels", "mid_channels", "expected"),
    [
        ((128, 64, 32, 16, 8), 128, 3_785_385),
        ((128, 64, 32, 16, 8), 32, 1_894_089),
        ((32, 64, 128, 256, 512), 128, 13_308_033),
        ((8, 16, 32, 64, 128), 128, 2_535_105),
    ],
    ids=["literal", "literal mid 32", "reference", "mirrored"],
)
def test_the_parameter_counts_are_those_of_the_published_structure(channels, mid_channels, expected) -> None:
    def block(i: int, o: int) -> int:
        return (9 * i * o + o) + (9 * o * o + o) + (i * o + o)

    # Added up from the description of the structure, independently of the modules.
    k, m = 16, mid_channels
    total = sum(block(i, o) for i, o in zip((1, *channels[:-1]), channels, strict=True)) + sum(16 * c * c for c in channels[:-1])
    for r, (i, o) in enumerate(zip(channels[:0:-1], channels[-2::-1], strict=True), start=1):
        skip = block(o, m) + max(0, r - 2) * block(m, m) + block(m, o) + o * o + o
        total += (4 * i * o + o) + skip + block(2 * o, k) + (2 * o * k + k) + block(2 * o, o)
    total += 9 * channels[0] + 1
    with torch.device("meta"):
        network = NBNet(channels=channels, mid_channels=mid_channels, conditioning="none")
    assert total == expected
    assert parameter_count(network) == expected


def test_the_operations_at_256_are_those_of_the_table() -> None:
    with torch.device("meta"):
        network = NBNet(conditioning="none")
        image = torch.empty(1, 1, 256, 256)
        assert flops(network, image) / 1e9 == pytest.approx(298, abs=1)
        assert flops(network, image, input_gradient=True) / 1e9 == pytest.approx(596, abs=1.5)


def test_the_compact_degradation_network_stays_within_its_budget() -> None:
    with torch.device("meta"):
        network = NBNet(channels=(16, 32, 32, 32, 32), mid_channels=16, subspace_dim=8, text_dim=TEXT_DIM)
        assert flops(network, torch.empty(1, 1, 256, 256), conditioning(1), input_gradient=True) <= 25e9


def test_counting_operations_leaves_the_parameters_trainable() -> None:
    network = small(conditioning="none")
    flops(network, torch.zeros(1, 1, 16, 16), input_gradient=True)
    assert all(parameter.requires_grad for parameter in network.parameters())


def projector(basis: torch.Tensor) -> torch.Tensor:
    """The N x N matrix that project_on_subspace applies, column by column."""
    height, width = basis.shape[-2:]
    unit = torch.eye(height * width, dtype=basis.dtype).reshape(1, height * width, height, width)
    return project_on_subspace(unit, basis).reshape(height * width, height * width).T


@pytest.mark.parametrize("spread", [0.0, 3.0], ids=["as drawn", "scales over six decades"])
def test_subspace_attention_is_an_orthogonal_projection_of_rank_k(spread) -> None:
    # A large common part makes the Gram matrix as badly conditioned (1e5) as the bases of an untrained network.
    basis = (torch.randn(1, 6, 12, 12) * 0.01 + torch.randn(1, 1, 12, 12)) * torch.logspace(-spread, spread, 6).view(1, 6, 1, 1)
    matrix = projector(basis)
    assert (matrix @ matrix - matrix).abs().max() < 1e-5
    assert (matrix - matrix.T).abs().max() < 1e-5
    assert torch.linalg.matrix_rank(matrix, atol=1e-3) == 6
    assert (matrix @ basis.flatten(2)[0].T - basis.flatten(2)[0].T).abs().max() < 1e-3 * basis.abs().max()


def test_subspace_attention_depends_on_the_span_alone() -> None:
    basis, features = torch.randn(2, 4, 16, 16), torch.randn(2, 3, 16, 16)
    expected = project_on_subspace(features, basis)
    mixed = basis[:, [2, 0, 3, 1]] * torch.tensor([3.0, -0.5, 10.0, 0.02]).view(1, 4, 1, 1)
    mixed = torch.cat([mixed[:, :1] + mixed[:, 1:2], mixed[:, 1:]], dim=1)
    assert (project_on_subspace(features, mixed) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("case", ["a basis image twice", "an empty basis image", "more basis images than pixels"])
def test_subspace_attention_has_a_value_and_a_gradient_for_degenerate_bases(case) -> None:
    basis, features = torch.randn(1, 6, 8, 8), torch.randn(1, 3, 8, 8)
    if case == "a basis image twice":
        basis[:, 4] = 3 * basis[:, 1]
    elif case == "an empty basis image":
        basis[:, 4] = 0
    else:
        basis, features = basis[..., :2, :2], features[..., :2, :2]
    basis.requires_grad_()
    projected = project_on_subspace(features, basis)
    # By singular values, which know nothing of Cholesky or ridges.
    left, values, _ = torch.linalg.svd(basis.detach().double().flatten(2)[0].T, full_matrices=False)
    left = left[:, values > 1e-6 * values.max()]
    expected = (left @ left.T @ features.double().flatten(2)[0].T).T.reshape(features.shape)
    assert (projected - expected).abs().max() < 1e-3
    (gradient,) = torch.autograd.grad(projected.square().sum(), basis)
    assert torch.isfinite(gradient).all()


def test_the_gradient_of_subspace_attention_is_right() -> None:
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    basis = torch.randn(1, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(project_on_subspace, (features, basis))


def test_subspace_attention_stays_exact_under_autocast() -> None:
    basis, features = torch.randn(1, 4, 16, 16) * 0.01 + torch.randn(1, 1, 16, 16), torch.randn(1, 3, 16, 16)
    expected = project_on_subspace(features, basis)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(project_on_subspace(features, basis), expected)


@pytest.mark.parametrize("size", [(250, 233), (16, 16), (17, 40), (5, 3), (1, 1)])
def test_any_size_comes_back_in_its_size(size) -> None:
    output = with_random_head(small())(torch.randn(2, 1, *size), conditioning(2))
    assert output.shape == (2, 1, *size)
    assert torch.isfinite(output).all()


def test_padding_a_slice_by_its_own_reflection_beforehand_changes_nothing() -> None:
    network = with_random_head(small())
    image = torch.randn(1, 1, 40, 45)
    outer = torch.nn.functional.pad(image, (0, 3, 0, 8), mode="reflect")
    given = conditioning(1)
    assert torch.allclose(network(image, given), network(outer, given)[..., :40, :45], atol=1e-5)


def test_a_residual_network_starts_as_the_identity_on_the_centre_slice() -> None:
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(small(in_channels=3)(image, conditioning(2)), image[:, 1:2])
    assert not torch.allclose(small(in_channels=3, residual=False)(image, conditioning(2)), image[:, 1:2], atol=0.1)


def test_neighbouring_slices_reach_the_output() -> None:
    network, given = with_random_head(small(in_channels=3)), conditioning(1)
    image = torch.randn(1, 3, 32, 32)
    other = image.clone()
    other[:, 2] += 1
    assert (network(image, given) - network(other, given)).abs().max() > 1e-3


def test_in_units_of_noise_the_change_scales_with_the_noise_level_and_vanishes_without_noise() -> None:
    # "none": the network itself is told nothing, so only the unit of its output depends on the level.
    network = with_random_head(small(residual_unit="noise", conditioning="none"))
    image = torch.randn(1, 1, 32, 32)
    change = network(image, conditioning(1, 0.1)) - image
    assert change.abs().max() > 1e-3
    assert torch.allclose(network(image, conditioning(1, 0.2)) - image, 2 * change, atol=1e-6)
    assert torch.equal(network(image, conditioning(1, 0.0)), image)


def test_text_and_numbers_do_nothing_at_the_start_and_something_after_one_step() -> None:
    network, image = with_random_head(small()), torch.randn(2, 1, 32, 32)
    one, other = conditioning(2), conditioning(2)
    assert torch.equal(network(image, one), network(image, other))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    (network(image, one) - torch.randn_like(image)).square().mean().backward()
    optimiser.step()
    before = network(image, one)
    assert (before - network(image, other)).abs().max() > 1e-4
    faster = Conditioning(one.text, one.text_mask, one.acceleration * 2, one.noise_level, one.slice_spacing)
    assert (before - network(image, faster)).abs().max() > 1e-4


def test_padding_tokens_do_not_count() -> None:
    network, image, one = with_random_head(small()), torch.randn(1, 1, 16, 16), conditioning(1)
    for block in network.modules():
        if getattr(block, "film", None) is not None:
            torch.nn.init.normal_(block.film.weight)
    text = one.text.clone()
    text[:, 3:] = 100
    assert torch.equal(network(image, one), network(image, Conditioning(text, *list(vars(one).values())[1:])))


def test_the_plane_mode_is_told_the_noise_level_alone() -> None:
    network, image = with_random_head(small(conditioning="plane")), torch.randn(1, 1, 32, 32)
    one = conditioning(1, 0.1)
    louder = Conditioning(one.text, one.text_mask, one.acceleration, one.noise_level * 3, one.slice_spacing)
    other_text = Conditioning(one.text + 1, one.text_mask, one.acceleration, one.noise_level, one.slice_spacing)
    assert (network(image, one) - network(image, louder)).abs().max() > 1e-4
    assert torch.equal(network(image, one), network(image, other_text))


def test_bfloat16_autocast_stays_close_to_float32() -> None:
    network = small(channels=(16, 32, 32, 32, 32), mid_channels=16, subspace_dim=8).to(memory_format=torch.channels_last)
    torch.nn.init.normal_(network.head.weight, std=0.02)
    image, given = torch.rand(1, 1, 64, 64) * 2 - 1, conditioning(1)
    exact = network(image, given)
    assert (exact - image).abs().max() > 0.02
    with torch.autocast("cpu", torch.bfloat16):
        half = network(image, given)
    assert half.dtype == torch.float32
    assert (half - exact).abs().max() < 1e-2


def test_a_slice_does_not_depend_on_the_others_of_its_batch() -> None:
    network, image, given = with_random_head(small()), torch.randn(3, 1, 32, 32), conditioning(3)
    together = network(image, given)
    alone = torch.cat([network(image[i : i + 1], given[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_saved_and_loaded_it_is_the_same_network(tmp_path) -> None:
    network, image, given = with_random_head(small(in_channels=3)), torch.randn(1, 3, 20, 20), conditioning(1)
    network.save_pretrained(tmp_path)
    again = NBNet.from_pretrained(tmp_path, use_safetensors=True, local_files_only=True)
    assert torch.equal(again(image, given), network(image, given))


@pytest.mark.parametrize(
    "changes",
    [
        {"in_channels": 2},
        {"in_channels": 0},
        {"channels": (8,)},
        {"subspace_dim": 0},
        {"conditioning": "words"},
        {"residual_unit": "metres"},
        {"residual": False, "residual_unit": "noise"},
        {"film_width": 0},
    ],
)
def test_configurations_that_cannot_work_are_refused(changes) -> None:
    with pytest.raises(ValueError):
        small(**changes)


def test_a_missing_conditioning_and_wrong_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="Conditioning"):
        small()(torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match="channels"):
        small()(torch.zeros(1, 3, 16, 16), conditioning(1))
