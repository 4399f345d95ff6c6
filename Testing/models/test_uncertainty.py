"""The network that says how far the regression network's answer may be off, and what a model's card says its scales stand for."""

import json
import shutil

import pytest
import torch

from MRIDenoiseLib.card import Calibration, calibration_of
from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import describe
from MRIDenoiseLib.models.bundle.files import read_card
from MRIDenoiseLib.models.conditioning import Conditioning
from MRIDenoiseLib.models.configs import compact, flops
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.models.uncertainty import LIMIT, WINDOW, UncertaintyNetwork, local_scale

SMALL = {"channels": (4, 6), "text_dim": 16, "film_width": 8}


def told(batch: int = 2, noise_level: float = 0.1) -> Conditioning:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.ones(batch)
    text = torch.randn(batch, 3, 16, generator=generator)
    return Conditioning(text, torch.ones(batch, 3, dtype=torch.bool), 2 * numbers, noise_level * numbers, 3 * numbers)


def images(rows: int = 24, columns: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Three measured slices and an answer, of two slices."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(2, 3, rows, columns, generator=generator), torch.rand(2, 1, rows, columns, generator=generator)


def trained(**changes) -> UncertaintyNetwork:
    """As after some training: a head that is not zero."""
    torch.manual_seed(0)
    network = UncertaintyNetwork(**SMALL | changes).eval()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.requires_grad_(False)


def test_before_any_training_the_error_is_the_noise():
    assert not UncertaintyNetwork(**SMALL)(*images(), told()).any()


@pytest.mark.parametrize("patch_size", [1, 2])
def test_slices_of_any_size_come_out_as_large_as_they_went_in(patch_size):
    assert trained(patch_size=patch_size)(*images(21, 35), told()).shape == (2, 1, 21, 35)


def test_it_sees_the_slice_its_neighbours_the_answer_the_noise_level_and_the_text():
    network, (measured, answer) = trained(), images()
    plain = network(measured, answer, told())
    for place in range(3):
        changed = measured.clone()
        changed[:, place] += 0.1 * torch.rand(24, 24)
        assert not torch.allclose(network(changed, answer, told()), plain)
    for other in ((measured, answer + 0.1, told()), (measured, answer, told(noise_level=0.2)), (measured, answer, told().without_text())):
        assert not torch.allclose(network(*other), plain)


def test_it_never_promises_the_impossible():
    network = trained()
    network.head.weight.fill_(100.0)
    found = network(*images(), told())
    assert found.abs().max() == LIMIT and torch.isfinite(found).all()


def test_the_local_scale_is_that_of_what_was_taken_away():
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(1, 1, 200, 200, generator=generator)
    field[..., 100:] *= 4
    found = local_scale(field).exp()[0, 0]
    assert found[:, : 100 - WINDOW].mean() == pytest.approx(1, abs=0.03) and found[:, 100 + WINDOW :].mean() == pytest.approx(4, abs=0.12)
    assert torch.isfinite(local_scale(torch.zeros(1, 1, 12, 12))).all()


def test_the_compact_one_costs_a_few_percent_of_the_regression_network():
    sizes = compact()
    network, restoration = UncertaintyNetwork(**sizes.arguments("uncertainty")), NBNet(**sizes.arguments("restoration"))
    image = torch.zeros(1, 1, 128, 128)
    conditioning = Conditioning(torch.zeros(1, 3, 64), *(getattr(told(1), name) for name in list(Conditioning.__dataclass_fields__)[1:]))
    own, whole = (flops(each, *each.example_inputs(image, conditioning)) for each in (network, restoration))
    assert own < 0.05 * whole


def test_between_two_levels_a_factor_follows_the_logarithm_and_beyond_them_the_last_one_holds():
    found = Calibration((0.02, 0.08), (3.0, 2.0))
    assert [found.factor(level) for level in (0.001, 0.02, 0.04, 0.08, 0.5)] == pytest.approx([3, 3, 2.5, 2, 2])
    assert Calibration((0.05,), (1.5,)).factor(0.0) == Calibration((0.05,), (1.5,)).factor(1.0) == 1.5


@pytest.mark.parametrize(
    "entry",
    [
        "wide",
        {},
        {"levels": [0.1]},
        {"levels": [], "factors": []},
        {"levels": [0.1, 0.05], "factors": [1, 2]},
        {"levels": [0.1], "factors": [1, 2]},
        {"levels": [0.1], "factors": [-1]},
        {"levels": [0.1], "factors": [float("nan")]},
        {"levels": [0], "factors": [1]},
        {"levels": ["x"], "factors": [1]},
    ],
)
def test_a_damaged_calibration_is_refused_in_one_sentence(entry, tiny_bundle, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_bundle, model)
    card = json.loads((model / "card.json").read_text())
    (model / "card.json").write_text(json.dumps(card | {"uncertainty": entry}))
    with pytest.raises(BundleError, match="no rising noise levels") as caught:
        Bundle.load(model)
    assert str(caught.value).count("\n") == 0


def test_the_card_takes_the_calibration_from_its_measurement_and_keeps_it(tiny_bundle, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_bundle, model)
    numbers = {"command": "c", "what": "w", "calibration": {"levels": [0.03, 0.06], "factors": [2.0, 1.5], "patients": 4}}
    describe(model, read_card(model), {"uncertainty": numbers})
    assert Bundle.load(model).calibration == Calibration((0.03, 0.06), (2.0, 1.5))
    describe(model, read_card(model), {})
    assert Bundle.load(model).calibration == Calibration((0.03, 0.06), (2.0, 1.5))
    assert calibration_of({}) is None
