"""A network that was made wider answers as before, and all that is new in it can learn."""

import pytest
import torch

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.training.grow import can_grow, grow

SMALL = {"in_channels": 3, "channels": (4, 6, 8), "mid_channels": 4, "subspace_dim": 2, "text_dim": 8, "film_width": 8, "patch_size": 2}
SMALL |= {"residual_unit": "noise"}
LARGE = SMALL | {"in_channels": 5, "channels": (7, 11, 12), "mid_channels": 9}


def conditioning(count: int) -> Conditioning:
    text, mask = torch.randn(count, 4, 8), torch.ones(count, 4, dtype=torch.bool)
    return Conditioning(text, mask, torch.full((count,), 2.0), torch.rand(count) + 0.1, torch.full((count,), 3.0))


def trained(**config) -> NBNet:
    """With weights that are zero in no layer, as after training."""
    torch.manual_seed(0)
    network = NBNet(**config)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(
    "larger",
    [
        LARGE,
        SMALL,
        SMALL | {"in_channels": 7},
        SMALL | {"channels": (4, 6, 9)},
        SMALL | {"mid_channels": 5},
        SMALL | {"channels": (8, 8, 8)},
    ],
)
def test_a_grown_network_answers_as_before_whatever_its_new_neighbours_show(larger):
    old = trained(**SMALL)
    new, told = grow(old, larger), conditioning(2)
    extra = (larger["in_channels"] - 3) // 2
    image = torch.randn(2, larger["in_channels"], 24, 32)
    with torch.no_grad():
        before, after = old(image[:, extra : extra + 3], told), new(image, told)
    assert (before - image[:, extra + 1 : extra + 2]).abs().max() > 0.01, "the network does something"
    assert (before - after).abs().max() < 1e-5


def test_what_is_new_learns():
    """Nothing that is new is cut off from the answer: after a few steps all of its weights have moved."""
    new, told = grow(trained(**SMALL), LARGE), conditioning(2)
    image, target = torch.randn(2, 5, 16, 16), torch.randn(2, 1, 16, 16)
    before = {name: weight.clone() for name, weight in new.state_dict().items()}
    optimizer = torch.optim.Adam(new.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        (new(image, told) - target).square().mean().backward()
        optimizer.step()
    for name, weight in new.state_dict().items():
        moved = weight != before[name]
        assert float(moved.float().mean()) > 0.9 or "embed" in name, name


def test_new_features_differ_from_each_other():
    weight = grow(trained(**SMALL), LARGE).state_dict()["encoder.1.first.weight"]
    new = weight[6:]
    assert all(not torch.allclose(new[a], new[b]) for a in range(len(new)) for b in range(a))


@pytest.mark.parametrize("change", [{"subspace_dim": 4}, {"channels": (4, 6)}, {"channels": (4, 5, 9)}, {"patch_size": 1}])
def test_what_cannot_be_grown_is_refused(change):
    old = trained(**SMALL)
    assert not can_grow(old, SMALL | change)
    with pytest.raises(SettingsError, match="grows in its widths"):
        grow(old, SMALL | change)
