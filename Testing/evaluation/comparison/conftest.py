"""One folder of phantoms for all tests of comparisons."""

from pathlib import Path

import pytest
from comparison_cases import write_config, write_data

from MRIDenoiseLib.evaluation.comparison import config as configuration
from MRIDenoiseLib.evaluation.comparison import plots
from MRIDenoiseLib.evaluation.comparison.config import read_config
from MRIDenoiseLib.evaluation.comparison.plan import Plan


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """The data folder; read it, never change it."""
    return write_data(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch):
    """Fewer pixels than a page has: drawing takes longer than comparing."""
    monkeypatch.setattr(plots, "DPI", 25)


@pytest.fixture
def plan_of(phantoms, tiny_bundle, tmp_path, monkeypatch):
    """Gives the plan of a small configuration with values of its own; the bundled model is a tiny one that learned nothing."""
    monkeypatch.setattr(configuration, "bundled_model", lambda: tiny_bundle)

    def make(**values: object) -> Plan:
        return Plan.of(read_config(write_config(tmp_path / "comparison.yaml", **values)), phantoms)

    return make
