"""A small bundle with every part, written once, and a copy of it to change."""

import shutil
from pathlib import Path

import pytest
from bundle_cases import CACHED, CARD, MEASURED

from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.configs import Networks


@pytest.fixture(scope="session")
def networks(small_networks: Networks) -> Networks:
    """Read them, never change them."""
    return small_networks


@pytest.fixture(scope="session")
def written(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "model"
    write_bundle(path, **vars(networks), prompt_embeddings=[CACHED], card=CARD, measured=MEASURED)
    return path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))
