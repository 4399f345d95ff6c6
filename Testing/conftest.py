"""Fixtures every test may use: where the real data are, and the one small model and small sample."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from MRIDenoiseLib.models.configs import Networks

# Before anything loads torch or ITK, and for the processes that tests start. The suite's images are too small for more threads to
# help, one is repeatable, and two test processes beside each other would fight for the cores.
for _threads in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_threads, "1")

SMALL_COLUMNS, SMALL_ROWS = slice(36, 132), slice(20, 116)
"""Where the small sample lies in the whole one."""


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real MR data (MRIDENOISE_DATA); tests that need it skip where it is not."""
    where = os.environ.get("MRIDENOISE_DATA")
    if not where:
        pytest.skip("real data not given: set MRIDENOISE_DATA or pass --data to scripts/test.py")
    folder = Path(where)
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"MRIDENOISE_DATA holds no MANIFEST.csv: {folder.name}")
    return folder


@pytest.fixture(scope="session")
def small_networks() -> Networks:
    """The one small model of the tests: networks of a few thousand random weights that change an image; read them, never change them."""
    import torch

    from MRIDenoiseLib.models.configs import build_networks, tiny

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        networks = build_networks(tiny())
        for network in (networks[name] for name in ("denoiser", "degradation", "restoration", "flow", "uncertainty")):
            for weights in network.eval().parameters():
                # Only what starts at zero, which would give back the input: wild weights turn rounding errors into visible ones.
                if not weights.any():
                    weights += 0.1 * torch.randn_like(weights)
    return networks


@pytest.fixture(scope="session")
def tiny_bundle(small_networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a complete bundle of the small model; read it, never change it."""
    from MRIDenoiseLib.models.bundle.writing import write_bundle

    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(
        folder,
        **vars(small_networks),
        card={
            "name": "tiny",
            "default_method": "posterior-mean",
            "default_settings": {"steps": 1},
            "intended_use": "tests of the code path",
            "uncertainty": {"levels": [0.03, 0.1], "factors": [2.0, 1.5]},
        },
    )
    return folder


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
    calibration: Any = None
    encoded: list[str] = field(default_factory=list)

    def network(self, name: str) -> Any:
        """One of them, or None."""
        return self.networks.get(name)

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """As many different tokens for every text, and their mask; the texts are kept in ``encoded``."""
        import torch

        self.encoded += texts
        return torch.linspace(-1, 1, 64).view(1, 4, 16).repeat(len(texts), 1, 1), torch.ones(len(texts), 4, dtype=torch.bool)


@pytest.fixture(scope="session")
def loaded() -> Callable[[Networks], LoadedModels]:
    """Makes of networks what a Denoiser takes for a bundle."""
    return lambda networks: LoadedModels(dict(networks), networks.scheduler)


@pytest.fixture(scope="session")
def small_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two files of the sample, cut down to 96 x 96 pixels, most of them the head; read it, never change it."""
    import SimpleITK as sitk

    from MRIDenoiseLib.card import sample_data

    folder = tmp_path_factory.mktemp("sample")
    for name in ("head_T1w_noisy.nii.gz", "head_T1w_clean.nii.gz"):
        image = sitk.ReadImage(str(sample_data(name)))
        sitk.WriteImage(image[SMALL_COLUMNS, SMALL_ROWS, :], str(folder / name))
    return folder
