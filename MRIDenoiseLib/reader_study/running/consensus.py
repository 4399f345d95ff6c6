"""Where readers disagree: found when all have finished, read again by all together, still blinded, and decided."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.reader_study.reading.folder import CONSENSUS, CONSENSUS_PLAN, Item, ReadingPlan, StudyFolder, read_plan, write_list
from MRIDenoiseLib.reader_study.reading.forms import PRESENT
from MRIDenoiseLib.reader_study.reading.store import RatingStore
from MRIDenoiseLib.reader_study.running.balance import FairDraw, deal
from MRIDenoiseLib.reader_study.running.configuration import StudyConfiguration
from MRIDenoiseLib.reader_study.running.creation import CONFIGURATION
from MRIDenoiseLib.reader_study.running.scores import Score, unblinded


@dataclass(frozen=True)
class Judgement:
    """What the readers answered to one question of one image.

    Args:
        scores: of each reader at their first reading.
        discordant: whether it has to be read again: on a certainty scale when one calls the finding present (3 or 4) and another
            absent (1 or 2), on other scales when two values differ.
    """

    scores: tuple[Score, ...]
    discordant: bool

    @property
    def value(self) -> float:
        """The value in the middle (the lower one of two), which is the consensus where nothing is discordant."""
        return median_low(float(score.value) for score in self.scores)


def judgements(study_folder: Path) -> list[Judgement]:
    """Every image and question that needs a consensus (``consensus`` in the study's configuration).

    Raises:
        InputError: the folder holds no study with its key, or a reader has not finished.
        SettingsError: the study is configured without consensus, or has only one reader.
    """
    folder = StudyFolder.of(study_folder)
    plan = read_plan(folder.reading)
    study = StudyConfiguration.read(folder.key / CONFIGURATION)
    if not study.consensus:
        raise SettingsError("this study's configuration names no fields for consensus")
    if len(plan.readers) < 2:
        raise SettingsError("a consensus needs at least two readers")
    _require_all_read(folder.reading, plan)
    certainty = {one.name for form in plan.forms if form.kind == "findings" for one in form.fields}
    found: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for score in unblinded(study_folder):
        if score.field in study.consensus and score.repeat == 0:
            found[score.blinded_id, score.field].append(score)
    return [Judgement(tuple(scores), _differ(scores, certain=field in certainty)) for (_, field), scores in sorted(found.items())]


def make_consensus_session(study_folder: Path) -> int:
    """Write the reading list of the consensus session; returns the number of images to be read again.

    Each image bears the discordant questions only, and the readers' answers without their names. The reader is called
    ``consensus``. No patient comes twice in a session, so that there may be several sessions.

    Raises:
        InputError, SettingsError: see :func:`judgements`.
        OutputError: there is a consensus session already.
    """
    folder = StudyFolder.of(study_folder)
    plan = read_plan(folder.reading)
    seed = StudyConfiguration.read(folder.key / CONFIGURATION).seed
    discordant: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements(study_folder):
        if judgement.discordant:
            discordant[judgement.scores[0].blinded_id].append(judgement)
    if not discordant:
        return 0
    draw = FairDraw(seed, CONSENSUS)
    images = draw.shuffled(list(discordant.values()))
    readings = [(image[0].scores[0].subject, image[0].scores[0].arm) for image in images]
    sessions = max(Counter(subject for subject, _ in readings).values())
    dealt = deal(readings, sessions, draw)
    lists = tuple(tuple(_item(image) for image, session in zip(images, dealt, strict=True) if session == n) for n in range(sessions))
    write_list(folder.reading / CONSENSUS_PLAN, plan.study, lists)
    return len(images)


def _differ(scores: list[Score], *, certain: bool) -> bool:
    values = [float(score.value) for score in scores]
    return len({value >= PRESENT for value in values} if certain else set(values)) > 1


def _item(image: list[Judgement]) -> Item:
    first = image[0].scores[0]
    # In the order of values: the order of the readers would reveal who answered what.
    opinions = {one.scores[0].field: tuple(sorted(int(score.value) for score in one.scores)) for one in image}
    return Item(secrets.token_hex(8), (first.blinded_id,), first.group, fields=tuple(opinions), opinions=opinions)


def _require_all_read(reading: Path, plan: ReadingPlan) -> None:
    latest = RatingStore.open(reading, plan).latest()
    for reader in plan.readers:
        open_items = sum((reader, item.id) not in latest for item in plan.items_of(reader))
        if open_items:
            raise InputError(f"{reader} has {open_items} cases left to read; consensus comes after all have finished")
