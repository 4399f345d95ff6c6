"""The analysis of a study on disk: here the blinding is lifted."""

from __future__ import annotations

from pathlib import Path

from MRIDenoiseLib.reader_study.analysis.analyse import Analysis, analyse
from MRIDenoiseLib.reader_study.analysis.plan import plan_of
from MRIDenoiseLib.reader_study.reading.folder import StudyFolder
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration
from MRIDenoiseLib.reader_study.running.creation import CONFIGURATION
from MRIDenoiseLib.reader_study.running.scores import adjudicated, unblinded


def analyse_study(folder: Path) -> Analysis:
    """Unblind and analyse.

    Args:
        folder: the study's, with its key.

    Raises:
        InputError: there is no study or no key, they do not belong together, or nothing has been rated.
        SettingsError: the configuration in the key's folder was damaged.
    """
    plan = plan_of(StudyConfiguration.read(StudyFolder.of(folder).key / CONFIGURATION))
    return analyse(unblinded(folder), plan, adjudicated(folder))
