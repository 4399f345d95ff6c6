"""A denoiser that starts where regression ends: every method that runs it is given the restoration network's answer, once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.denoisers.samplers import SAMPLERS, sampler
from MRIDenoiseLib.inference import METHODS, Denoiser, Settings
from MRIDenoiseLib.models.configs import build_networks, tiny

SLICES = (2, 4)
SHORT = {"fidelity-guided": {"steps": 2, "fidelity": 0.2}, "ddim": {"steps": 2}}
OURS = [name for name, method in METHODS.items() if method.uses_diffusion]
EVERY = sorted([*OURS, *SAMPLERS])


def informing(models, *, trained: bool):
    """The same with a denoiser that sees three slices and is informed by a restoration network that sees five."""
    sizes = tiny()
    changed = {"denoiser": {"informed": True}, "restoration": {"in_channels": 5}}
    wide = replace(sizes, networks={name: own | changed.get(name, {}) for name, own in sizes.networks.items()})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = build_networks(wide)
        for network in (networks["restoration"], *([networks["denoiser"], networks["degradation"]] if trained else [])):
            with torch.no_grad():
                for parameter in network.parameters():
                    if not parameter.any():
                        parameter += 0.1 * torch.randn_like(parameter)
    taken = {name: networks[name] for name in ("denoiser", "degradation", "restoration")}
    return replace(models, networks=models.networks | taken)


@pytest.fixture
def informed(models):
    """As after training."""
    return informing(models, trained=True)


@pytest.fixture
def untrained(models):
    """A restoration network that does something, beside a denoiser and a degradation network fresh from the start."""
    return informing(models, trained=False)


def denoised(models, volume, name, **options):
    given = Settings(slices=SLICES, **options)
    if name in SAMPLERS:
        return Denoiser(models, "cpu")(volume, given, method=sampler(name, steps=2)).volume.voxels[slice(*SLICES)]
    return Denoiser(models, "cpu")(volume, replace(given, method=name, **SHORT.get(name, {}))).volume.voxels[slice(*SLICES)]


def test_before_any_training_the_posterior_mean_is_regression(untrained, volume):
    regressed = Denoiser(untrained)(volume, Settings(method="regression", samples=1)).volume.voxels
    assert np.abs(regressed - volume.voxels).max() > 1e-2 * volume.voxels.max()
    assert np.array_equal(Denoiser(untrained)(volume, Settings(method="posterior-mean")).volume.voxels, regressed)


def test_before_any_training_fidelity_guided_stays_as_near_regression_as_its_fidelity_lets_it(untrained, volume):
    regressed = Denoiser(untrained)(volume, Settings(method="regression", samples=1)).volume.voxels
    guided = Denoiser(untrained)(volume, Settings(method="fidelity-guided", steps=10, fidelity=0.05)).volume.voxels
    expected = regressed + 0.05 / 1.05 * (volume.voxels - regressed)
    # What the answer's lowest value cuts off in air is not pulled on.
    assert np.abs(guided - expected).max() < 0.01 * volume.voxels.max()


@pytest.mark.parametrize("name", EVERY)
def test_every_method_that_runs_the_denoiser_gives_it_the_answer_once_a_batch(informed, volume, name):
    answers, shown = [], []
    informed.networks["restoration"].register_forward_hook(lambda module, given, answer: answers.append((given[0].shape[1], answer)))
    informed.networks["denoiser"].register_forward_pre_hook(lambda module, given: shown.append(given))
    image = denoised(informed, volume, name)
    assert np.isfinite(image).all() and not np.allclose(image, volume.voxels[slice(*SLICES)])
    [(channels, answer)] = answers
    assert channels == 5 and len(shown) == (1 if name == "posterior-mean" else 2)
    assert all(measured.shape[1] == 3 and torch.equal(mean, answer.clamp(-1, 1.5)) for _, measured, _, _, mean in shown)


def test_the_answer_belongs_to_the_slices_of_the_batch(informed, volume):
    denoiser = Denoiser(informed, "cpu")
    for name in OURS:
        chosen = Settings(method=name, **SHORT.get(name, {}))
        whole = denoiser(volume, replace(chosen, batch_size=4)).volume.voxels
        alone = denoiser(volume, replace(chosen, batch_size=1)).volume.voxels
        assert np.abs(whole - alone).max() < 1e-4 * volume.voxels.max(), name


@pytest.mark.parametrize("name", [*OURS, "dps"])
def test_the_other_number_format_gives_nearly_the_same_image(informed, volume, name):
    exact, half = (denoised(informed, volume, name, precision=precision) for precision in ("float32", "bfloat16"))
    assert 0 < np.abs(half - exact).max() < 0.05 * volume.voxels.max()


def test_a_compiled_denoiser_is_given_whole_batches_of_the_answer_too(informed, volume, monkeypatch):
    rows = []

    def compile_(network, **how):
        def run(*given):
            rows.append({len(part) for part in given if isinstance(part, torch.Tensor)})
            return network(*given)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    wanted = Settings(method="posterior-mean", compiled=True)
    together, alone = (Denoiser(informed, "cpu")(volume, replace(wanted, batch_size=size)).volume.voxels for size in (4, 1))
    assert rows == [{4}] * 4 + [{1}] * 14, "seven slices: the last three are filled up, for both networks"
    assert np.abs(together - alone).max() < 1e-4 * volume.voxels.max()


@pytest.mark.parametrize("name", EVERY)
def test_without_the_network_that_informs_it_every_method_says_what_is_missing(informed, volume, name):
    del informed.networks["restoration"]
    with pytest.raises(SettingsError, match=f"this model has no regression network: choose another method than {name}"):
        denoised(informed, volume, name)


def test_what_the_model_has_to_say_stands_in_every_report(informed, volume):
    informed.notes = ("The model's denoiser/config.json has the key 'colour'.",)
    assert informed.notes[0] in Denoiser(informed)(volume, Settings(method="regression", slices=SLICES)).report["warnings"]
