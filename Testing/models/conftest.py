"""A small bundle with every part, written once for a module, and a copy of it to change."""

import shutil
from pathlib import Path

import pytest
import torch
from bundle_cases import CACHED, CARD, MEASURED

from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.configs import Networks, build_networks, tiny


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    built = build_networks(tiny())
    for part in built.values():
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return built


@pytest.fixture(scope="module")
def written(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "model"
    write_bundle(path, **vars(networks), prompt_embeddings=[CACHED], card=CARD, measured=MEASURED)
    return path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))
