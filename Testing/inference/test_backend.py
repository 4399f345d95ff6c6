"""How networks are run changes their speed and nothing else."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from MRIDenoiseLib import io
from MRIDenoiseLib.card import bundled_model
from MRIDenoiseLib.evaluation.figures import psnr
from MRIDenoiseLib.evaluation.speed.rows import CHANGE
from MRIDenoiseLib.inference import METHODS, Denoiser, Method, Settings, SliceBatch
from MRIDenoiseLib.inference.backend import BUCKET, NOT_COMPILED, Backend, choose_precision
from MRIDenoiseLib.inference.batch import method_of
from MRIDenoiseLib.inference.device import KeepUp
from MRIDenoiseLib.inference.slices import Window
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.layers import LastConvolution

CPU = torch.device("cpu")
PLAIN = Backend(CPU, channels_last=False, inference_mode=False)
SLICES = (8, 10)


def with_backend(method: Method, backend: Backend) -> Method:
    def run(batch: SliceBatch, **options):
        return method.run(replace(batch, backend=backend), **options)

    return replace(method, run=run)


@pytest.fixture(scope="module")
def sample(small_sample):
    return io.read(small_sample / "head_T1w_noisy.nii.gz"), io.read(small_sample / "head_T1w_clean.nii.gz")


@pytest.fixture(scope="module")
def denoiser():
    return Denoiser(Bundle.load(bundled_model()), "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_batch_number_format_and_backend_change_no_image_beyond_the_gate(denoiser, sample, name, monkeypatch):
    noisy, clean = sample
    truth = clean.voxels[slice(*SLICES)]
    settings = Settings(method=name, steps=2 if name in ("fidelity-guided", "ddim") else None)
    method = method_of(settings.resolved(name, {}))

    def run(backend, batch_size):
        own = Settings(slices=SLICES, batch_size=batch_size)
        image = denoiser(noisy, own, method=with_backend(method, backend)).volume.voxels[slice(*SLICES)]
        return image, psnr(image, truth, data_range=float(truth.max()), mask=truth > 0.08 * truth.max())

    plain, before = run(PLAIN, 1)
    faster, now = run(Backend(CPU), 2)
    assert abs(now - before) < CHANGE / 10 and np.abs(faster - plain).max() < 1e-3 * truth.max()
    half, now = run(Backend(CPU, torch.bfloat16), 1)
    assert abs(now - before) < CHANGE
    assert np.abs(half - plain).max() > 0, "the format was asked for and not used"
    # The larger window of compiled networks, which run uncompiled here: compiling takes minutes.
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    own = Settings(slices=SLICES, batch_size=2, compiled=True)
    image = Denoiser(denoiser.bundle, "cpu")(noisy, own, method=method).volume.voxels[slice(*SLICES)]
    assert abs(psnr(image, truth, data_range=float(truth.max()), mask=truth > 0.08 * truth.max()) - before) < CHANGE


def test_on_processors_the_usual_number_format_is_the_same_for_all_of_them():
    assert choose_precision("auto", CPU) is torch.float32
    assert choose_precision("bfloat16", CPU) is torch.bfloat16


def test_the_settings_number_format_reaches_the_networks(models, volume):
    whole, half = (Denoiser(models, "cpu")(volume, Settings(precision=precision)).volume.voxels for precision in ("float32", "bfloat16"))
    assert 0 < np.abs(whole - half).max() < 0.02 * volume.voxels.max()


def test_in_half_precision_the_last_convolution_keeps_the_digits_of_an_image():
    last = LastConvolution(2, 1)
    torch.nn.init.constant_(last.weight, 0.05)
    torch.nn.init.constant_(last.bias, 1.0)
    ramp = torch.linspace(0, 0.01, 64).view(1, 1, 1, 64).expand(1, 2, 3, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        whole, half = last(ramp), torch.nn.functional.conv2d(ramp, last.weight, last.bias, padding=1)
    assert whole.dtype == torch.float32 and len(whole[0, 0, 1].unique()) > 32
    assert len(half[0, 0, 1].unique()) < 8, "what it is there for"


def test_double_precision_stays_double():
    assert LastConvolution(1, 1).double()(torch.zeros(1, 1, 4, 4, dtype=torch.float64)).dtype == torch.float64


def test_a_ready_network_is_differentiable_where_gradients_are_on_and_plain_elsewhere(models):
    network = Backend(CPU).ready(models.networks["restoration"])
    image = torch.zeros(1, 3, 32, 32)
    conditioning = conditioning_of(models)
    with torch.no_grad():
        answer = network(image, conditioning)
    assert answer.is_inference()
    leaf = image.clone().requires_grad_(True)
    with torch.enable_grad():
        assert torch.autograd.grad(network(leaf, conditioning).sum(), leaf)[0].abs().sum() > 0


def conditioning_of(models):
    from MRIDenoiseLib.models.conditioning import Conditioning

    text, mask = models.encode(["head"])
    one = torch.ones(1)
    return Conditioning(text, mask, one, 0.1 * one, 4 * one)


@pytest.mark.parametrize("kind", ["denoiser", "degradation", "restoration"])
def test_all_attention_runs_as_scaled_dot_product_attention(kind):
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0

    network = Bundle.load(bundled_model()).network(kind)
    found = [module for module in network.modules() if isinstance(module, Attention)]
    assert bool(found) == (kind == "denoiser")
    assert all(isinstance(module.processor, AttnProcessor2_0) for module in found)


# Compiled networks -------------------------------------------------------------------------------------------------------------------


def test_where_networks_cannot_be_compiled_they_run_as_they_are_and_the_report_says_so_once(models, volume, monkeypatch):
    def broken(network, **_):
        def call(*_):
            raise torch._dynamo.exc.TorchDynamoException("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    denoiser = Denoiser(models, "cpu")
    compiled = denoiser(volume, Settings(compiled=True, method="fidelity-guided", steps=2))
    plain = denoiser(volume, Settings(method="fidelity-guided", steps=2))
    assert compiled.report["warnings"].count(NOT_COMPILED) == 1 and NOT_COMPILED not in plain.report["warnings"]
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    expected = Denoiser(models, "cpu")(volume, Settings(compiled=True, method="fidelity-guided", steps=2))
    np.testing.assert_allclose(compiled.volume.voxels, expected.volume.voxels, atol=0.5)


def test_a_compiled_network_sees_whole_batches_only_and_rows_of_its_bucket(models, volume, monkeypatch):
    shapes = []

    def watching(network, **_):
        def call(image, *rest):
            shapes.append(tuple(image.shape))
            return network(image, *rest)

        return call

    monkeypatch.setattr(torch, "compile", watching)
    denoiser = Denoiser(models, "cpu")
    compiled = denoiser(volume, Settings(compiled=True, method="regression", batch_size=3)).volume.voxels
    assert {shape[0] for shape in shapes} == {3} and len(shapes) == 3, "seven slices: 3, 3 and one that is filled up"
    assert all(side % BUCKET == 0 or side == whole for side, whole in zip(shapes[0][2:], volume.voxels.shape[1:], strict=True))
    assert (compiled != volume.voxels).any()


def test_a_compiled_network_without_memory_gets_fewer_slices_from_then_on(models, volume, monkeypatch):
    sizes = []

    def narrow(network, **_):
        def call(image, *rest):
            sizes.append(len(image))
            if len(image) > 2:
                raise torch.OutOfMemoryError("out of memory")
            return network(image, *rest)

        return call

    monkeypatch.setattr(torch, "compile", narrow)
    denoiser = Denoiser(models, "cpu")
    narrowed = denoiser(volume, Settings(compiled=True, method="regression", batch_size=5)).volume.voxels
    assert sizes == [5, 2, 2, 2, 2], "the last of the seven is filled up to two and not to five"
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    expected = Denoiser(models, "cpu")(volume, Settings(compiled=True, method="regression", batch_size=5)).volume.voxels
    np.testing.assert_allclose(narrowed, expected, atol=0.5)


def test_a_small_volume_after_a_large_one_is_filled_up_to_its_own_batch_only(models, volume, monkeypatch):
    sizes = []

    def watching(network, **_):
        def call(image, *rest):
            sizes.append((len(image), image.shape[-1]))
            return network(image, *rest)

        return call

    monkeypatch.setattr(torch, "compile", watching)
    denoiser = Denoiser(models, "cpu")
    denoiser(volume, Settings(compiled=True, method="regression", batch_size=4))
    wider = replace(volume, voxels=np.tile(volume.voxels, (1, 1, 2)))
    before = len(sizes)
    denoiser(wider, Settings(compiled=True, method="regression", batch_size=1))
    assert {width for _, width in sizes[:before]}.isdisjoint(width for _, width in sizes[before:])
    assert {rows for rows, _ in sizes[before:]} == {1}


def test_float32_convolutions_keep_all_their_digits_on_a_gpu_too(models):
    # A GPU's library reads this switch, which is thus off while a network runs and as it was afterwards.
    before = torch.backends.cudnn.allow_tf32
    seen = []
    models.networks["restoration"].register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    with torch.no_grad():
        network = models.networks["restoration"]
        Backend(CPU).ready(network)(torch.zeros(1, network.config.in_channels, 16, 16), conditioning_of(models))
    assert seen == [False] and torch.backends.cudnn.allow_tf32 == before


REALLY = """
import torch
from MRIDenoiseLib.inference.backend import Backend
from MRIDenoiseLib.models.nbnet import NBNet

torch.manual_seed(0)
network = NBNet(channels=(4, 8), mid_channels=4, subspace_dim=2, conditioning="none", residual=False)
image = torch.randn(2, 1, 16, 16)
answers = []
for backend in (compiled := Backend(torch.device("cpu"), compiled=True), Backend(torch.device("cpu"))):
    leaf = image.clone().requires_grad_(True)
    with torch.enable_grad():
        answer = backend.ready(network)(leaf)
    answers.append((answer.detach(), torch.autograd.grad(answer.square().sum(), leaf)[0]))
for one, other in zip(*answers, strict=True):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
print("not compiled" if compiled.notes else "the same")
"""


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "cl"))), reason="torch compiles for processors with a C++ compiler")
def test_a_network_that_was_really_compiled_gives_the_same_image_and_gradient():
    # In a process of its own: torch's compiler starts others and changes how Python reports on modules of every kind.
    said = subprocess.run([sys.executable, "-W", "ignore", "-c", REALLY], capture_output=True, text=True, check=True).stdout.strip()
    if said == "not compiled":
        pytest.skip("torch could not compile here, which the user would be told")
    assert said == "the same"


# Around it ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(0, 40), (30, 70), (56, 96)])
def test_a_grown_window_holds_the_old_one_where_it_was(place):
    weight = np.random.default_rng(0).random((place[1] - place[0], 96)).astype(np.float32)
    window = Window(slice(*place), slice(0, 96), weight)
    grown = window.grown(64, (96, 96))
    assert grown.shape == (64, 96) and (grown.rows.stop - grown.rows.start, grown.columns) == (64, slice(0, 96))
    image = np.random.default_rng(1).random((96, 96)).astype(np.float32)
    out = image.copy()
    grown.of(out)[:] = grown.blend(grown.of(image), np.zeros(grown.shape, np.float32))
    expected = image.copy()
    window.of(expected)[:] = window.blend(window.of(image), np.zeros(window.shape, np.float32))
    np.testing.assert_array_equal(out, expected)


def test_a_window_of_the_right_size_does_not_grow():
    window = Window(slice(16, 80), slice(0, 64), np.ones((64, 64), np.float32))
    assert window.grown(64, (96, 96)).rows == window.rows


def test_the_processor_runs_one_call_ahead_of_a_gpu_and_alone_it_asks_no_gpu(monkeypatch):
    said = []

    class Event:
        def __init__(self):
            self.number = sum(word == "begun" for word, _ in said)
            said.append(("begun", self.number))

        def record(self, stream):
            said.append(("recorded", self.number))

        def synchronize(self):
            said.append(("waited for", self.number))

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    alone, ahead = KeepUp(CPU), KeepUp(torch.device("cuda"))
    for _ in range(3):
        alone()
    assert said == []
    for _ in range(3):
        ahead()
    assert [one for one in said if one[0] != "begun"] == [
        ("recorded", 0),
        ("recorded", 1),
        ("waited for", 0),
        ("recorded", 2),
        ("waited for", 1),
    ]
