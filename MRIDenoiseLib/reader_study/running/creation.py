"""Create a study from its configuration: draw the lists, blind the volumes, separate key and reading folder, audit the blinding."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import Cancelled, InputError, MRIDenoiseError
from MRIDenoiseLib.io.atomic import check_target, replacing
from MRIDenoiseLib.progress import Progress, ShouldStop
from MRIDenoiseLib.reader_study.reading.folder import VOLUMES, Item, ReadingPlan, StudyFolder, Window, volume_path, write_plan
from MRIDenoiseLib.reader_study.reading.store import RatingStore
from MRIDenoiseLib.reader_study.running.audit import audit
from MRIDenoiseLib.reader_study.running.blinding import Image, Key, blind, equalise_dates, write_blinded, write_key
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration, self_contained
from MRIDenoiseLib.reader_study.running.design import Case, CaseName, Entry, reading_lists

CONFIGURATION = "study.yaml"
"""In the key's folder, with every case and file named in full."""


def create_study(
    configuration: Path, out: Path, progress: Progress = lambda *_: None, should_stop: ShouldStop = lambda: False
) -> StudyFolder:
    """Make a study in a new folder, all of it or nothing.

    Args:
        configuration: the YAML file.
        out: the study's folder; must not exist yet.
        progress: called before every case; the remaining time is not estimated.
        should_stop: called between cases.

    Raises:
        SettingsError: the configuration is wrong, or no reading lists can fulfil it.
        InputError: an image is missing or unfit, or arms of a case could be distinguished by more than the image.
        OutputError: ``out`` exists, or cannot be written.
        Cancelled: ``should_stop`` returned true.
    """
    study = StudyConfiguration.read(configuration)
    lists = reading_lists(study.design)
    cases = [*study.cases, *study.practice]
    _check_files(cases)
    check_target(out, overwrite=False)
    # The order on the disk must not be the order of the configuration either.
    secrets.SystemRandom().shuffle(cases)
    with replacing(out, overwrite=False) as temporary:
        folder = StudyFolder(temporary)
        (folder.reading / VOLUMES).mkdir(parents=True)
        folder.key.mkdir(mode=0o700)
        names: dict[tuple[CaseName, str], str] = {}
        images: dict[str, Image] = {}
        windows: dict[str, Window] = {}
        for number, case in enumerate(cases):
            if should_stop():
                raise Cancelled("stopped; nothing was written")
            progress(number / (len(cases) + 1), None, f"Blinding case {number + 1} of {len(cases)}")
            for volume, arm, window, factor in _blinded(case, study, folder.reading):
                names[case.name, arm] = volume
                images[volume] = Image(case.name.subject, case.name.group, arm, factor)
                windows[volume] = window
        progress(len(cases) / (len(cases) + 1), None, "Auditing the blinding")
        equalise_dates(volume_path(folder.reading, volume) for volume in windows)
        plan = ReadingPlan(
            study=secrets.token_hex(8),
            name=study.name,
            readers=study.readers,
            washout_days=study.washout_days,
            bundle=study.bundle,
            shared_drive=study.shared_drive,
            forms=study.forms,
            # By name: the order in which they were made shows what belongs together.
            windows=dict(sorted(windows.items())),
            lists={reader: tuple(tuple(_item(entry, names) for entry in one) for one in sessions) for reader, sessions in lists.items()},
        )
        key = Key(plan.study, images)
        write_plan(folder.reading, plan)
        write_key(folder.key, key)
        (folder.key / CONFIGURATION).write_text(self_contained(configuration), encoding="utf-8")
        RatingStore.open(folder.reading, plan)
        leaks = audit(folder.reading, key)
        if leaks:
            raise InputError(f"the blinding would not hold ({leaks[0]}), so no study was made")
        progress(1.0, None, "Done")
    return StudyFolder(out)


def _check_files(cases: list[Case]) -> None:
    for case in cases:
        for arm, path in case.files.items():
            if not path.exists():
                raise InputError(f"{case.name.subject} ({case.name.group}), arm '{arm}': {path} does not exist")


def _blinded(case: Case, study: StudyConfiguration, reading: Path) -> list[tuple[str, str, Window, float]]:
    """Write the arms of a case; (blinded id, arm, window, factor) of each."""
    called = f"{case.name.subject} ({case.name.group})"
    arms = {}
    for arm, path in case.files.items():
        try:
            arms[arm] = io.read(path)
        except MRIDenoiseError as error:
            raise type(error)(f"{called}, arm '{arm}': {error}") from error
    blinded = blind(arms, called, study.window_percentiles, match=study.brightness == "matched")
    drawn = {secrets.token_hex(8): arm for arm in arms}
    for volume in sorted(drawn):
        write_blinded(blinded.volumes[drawn[volume]], volume_path(reading, volume))
    return [(volume, arm, blinded.window, blinded.factors[arm]) for volume, arm in drawn.items()]


def _item(entry: Entry, names: Mapping[tuple[CaseName, str], str]) -> Item:
    volumes = tuple(names[entry.case, arm] for arm in entry.arms)
    return Item(secrets.token_hex(8), volumes, entry.case.group, entry.practice)
