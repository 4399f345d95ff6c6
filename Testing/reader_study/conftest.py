"""One study made of phantoms, copied for every test that reads it."""

import shutil
from pathlib import Path

import pytest
from study_cases import Day, make_study

from MRIDenoiseLib.reader_study.reading.folder import StudyFolder


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Look at it, never change it."""
    return make_study(tmp_path_factory.mktemp("studies"))


@pytest.fixture
def study(made_study: StudyFolder, tmp_path: Path) -> StudyFolder:
    """A copy of one's own, dates of the files included."""
    return StudyFolder(Path(shutil.copytree(made_study.root, tmp_path / "study")))


@pytest.fixture
def day() -> Day:
    return Day()
