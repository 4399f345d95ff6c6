"""Small networks with random weights, and a volume with a body in it."""

import copy

import numpy as np
import pytest
import torch

from MRIDenoiseLib.models.configs import build_networks, tiny
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small run fastest on one thread, above all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def models(small_networks, loaded):
    """Networks that change the image, this test's own: it may hook into them and change them."""
    return loaded(copy.deepcopy(small_networks))


@pytest.fixture
def identity_models(loaded):
    """Freshly built networks: their last layers are zero, so each returns the slice it was given."""
    return loaded(build_networks(tiny()))


@pytest.fixture
def volume() -> Volume:
    """Seven slices (96 x 112) of a textured ellipse in Rician noise, off the centre, air around it, thick slices."""
    generator = np.random.default_rng(0)
    z, y, x = np.mgrid[0:7, 0:96, 0:112]
    inside = ((y - 40) / 24) ** 2 + ((x - 48) / 20) ** 2 < 1
    body = np.where(inside, 600 + 200 * np.sin(x / 12) * np.cos(y / 15 + z), 0)
    noise = generator.normal(0, 40, (2, *body.shape))
    voxels = np.hypot(body + noise[0], noise[1]).astype(np.float32)
    known = AcquisitionField("head", "user", "high")
    acquisition = Acquisition(
        organ=known, contrast=AcquisitionField("T1w", "user", "high"), acceleration=AcquisitionField(3.0, "user", "high")
    )
    return Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0]), "uint16", acquisition, name="PATIENT^NAME")
