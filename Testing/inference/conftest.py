"""Small networks with random weights, and a volume with a body in it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from MRIDenoiseLib.models.configs import Networks, build_networks, tiny
from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Volume


@dataclass
class LoadedModels:
    """What inference asks of a bundle, without a folder behind it."""

    networks: dict[str, Any]
    scheduler: Any
    hash: str = "0" * 64
    default_method: str = "posterior-mean"
    default_settings: dict[str, Any] = field(default_factory=dict)
    trained_on: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    encoded: list[str] = field(default_factory=list)

    def network(self, name: str) -> Any:
        return self.networks.get(name)

    def encode(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        self.encoded += texts
        return torch.linspace(-1, 1, 64).view(1, 4, 16).repeat(len(texts), 1, 1), torch.ones(len(texts), 4, dtype=torch.bool)


def models_of(networks: Networks) -> LoadedModels:
    return LoadedModels(dict(networks), networks.scheduler)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small run fastest on one thread, above all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def models() -> LoadedModels:
    """Networks that change the image."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = build_networks(tiny())
        for network in (networks[name] for name in ("denoiser", "degradation", "restoration", "flow")):
            with torch.no_grad():
                # Only what starts at zero: a network of wild weights turns rounding errors into visible ones.
                for parameter in network.parameters():
                    if not parameter.any():
                        parameter += 0.1 * torch.randn_like(parameter)
    return models_of(networks)


@pytest.fixture
def identity_models() -> LoadedModels:
    """Freshly built networks: their last layers are zero, so each returns the slice it was given."""
    return models_of(build_networks(tiny()))


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
