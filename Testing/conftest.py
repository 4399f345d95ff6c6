"""Fixtures every test may use: where the real data are, and a bundle small enough to run in a test."""

import os
from pathlib import Path

import pytest

# Before anything loads torch. The suite's images are too small for more threads to help, and one is repeatable.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a complete bundle with a few thousand random weights; read it, never change it."""
    import torch

    from MRIDenoiseLib.models.bundle.writing import write_bundle
    from MRIDenoiseLib.models.configs import build_networks, tiny

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = build_networks(tiny())
        for network in (networks[name] for name in ("denoiser", "degradation", "restoration", "flow")):
            for weights in network.parameters():
                # Their last layers start at zero, which would make the whole bundle return its input.
                weights.data += 0.02 * torch.randn_like(weights)
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(
        folder,
        **vars(networks),
        card={
            "name": "tiny",
            "default_method": "posterior-mean",
            "default_settings": {"steps": 1},
            "intended_use": "tests of the code path",
        },
    )
    return folder
