"""What readers disagree on is read again, blinded, and decided; the rest is what they said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from study_cases import Day, configuration, make_study

from MRIDenoiseLib.errors import InputError, OutputError, SettingsError
from MRIDenoiseLib.reader_study.reading.folder import StudyFolder, read_plan
from MRIDenoiseLib.reader_study.reading.reading import Presentation, Reading
from MRIDenoiseLib.reader_study.reading.scripted import read_with
from MRIDenoiseLib.reader_study.running.audit import audit
from MRIDenoiseLib.reader_study.running.blinding import read_key
from MRIDenoiseLib.reader_study.running.consensus import judgements, make_consensus_session
from MRIDenoiseLib.reader_study.running.scores import adjudicated, unblinded

FORMS = [
    {"kind": "findings", "field": "knee", "findings": ["tear", "effusion"]},
    {"kind": "fazekas"},
    {"kind": "likert", "field": "image_quality"},
]
WANTED = ["knee.tear", "knee.effusion", "fazekas.deep"]


def agreed(study_folder: Path) -> dict[tuple[str, str, str], float | str]:
    """(subject, arm, field) -> what all readers said, or what was decided where they did not."""
    firsts = {one.scores[0]: one for one in judgements(study_folder)}
    unanimous = {(score.subject, score.arm, score.field): one.value for score, one in firsts.items() if not one.discordant}
    return unanimous | {(score.subject, score.arm, score.field): score.value for score in adjudicated(study_folder)}


@pytest.fixture
def finished(tmp_path: Path) -> StudyFolder:
    """Two readers who agree, but for: a tear in S1 in our arm (present or absent), an effusion in S2 (3 or 4), and Fazekas in S3."""
    values = configuration(forms=FORMS, consensus=WANTED, washout_days=0, primary_outcome="image_quality", practice=[])
    study = make_study(tmp_path, values)
    images = read_key(study.key).volumes

    def answer(shown: Presentation, reader: str) -> dict[str, int]:
        image = images[shown.panels[0].path.stem]
        first = reader == "R1"
        tear = (2 if first else 3) if (image.subject, image.arm) == ("S1", "ours") else 1
        effusion = (3 if first else 4) if image.subject == "S2" else 4
        deep = (1 if first else 2) if image.subject == "S3" else 0
        return {
            "knee.tear": tear,
            "knee.effusion": effusion,
            "fazekas.deep": deep,
            "fazekas.periventricular": 0 if first else 3,
            "image_quality": 1 if first else 4,
        }

    for reader in ("R1", "R2"):
        read_with(Reading(study.root, reader, Day()), lambda shown, who=reader: answer(shown, who))
    return study


def test_only_what_matters_is_discordant(finished):
    found = judgements(finished.root)
    assert len(found) == 6 * 3 * 3
    discordant = Counter((one.scores[0].field, one.scores[0].subject) for one in found if one.discordant)
    assert discordant == {("knee.tear", "S1"): 1, ("fazekas.deep", "S3"): 3}, "two certainties on one side are no disagreement"


def test_discordant_images_are_read_again_blinded_with_their_questions_only(finished):
    assert make_consensus_session(finished.root) == 4
    plan = read_plan(finished.reading)
    assert audit(finished.reading, read_key(finished.key)) == []
    for session in plan.lists["consensus"]:
        subjects = [read_key(finished.key).volumes[item.volumes[0]].subject for item in session]
        assert len(set(subjects)) == len(subjects)
    items = {item.id for reader in plan.lists for item in plan.items_of(reader)}
    assert len(items) == 18 + 18 + 4
    reading = Reading(finished.reading, "consensus", Day())
    seen = []

    def decide(shown: Presentation) -> dict[str, int]:
        (field,) = shown.fields
        assert shown.opinions == {field.name: (2, 3) if field.name == "knee.tear" else (1, 2)}
        assert set(shown.opinions[field.name]).isdisjoint({"R1", "R2"})
        seen.append(field.name)
        return {field.name: 4 if field.name == "knee.tear" else 2}

    assert read_with(reading, decide) == 4 and sorted(seen) == ["fazekas.deep"] * 3 + ["knee.tear"]
    truth = agreed(finished.root)
    assert len(truth) == 6 * 3 * 3
    assert truth["S1", "ours", "knee.tear"] == 4 and truth["S1", "noisy", "knee.tear"] == 1
    assert truth["S2", "noisy", "knee.effusion"] == 3 and truth["S0", "noisy", "knee.effusion"] == 4
    assert truth["S3", "reference", "fazekas.deep"] == 2
    assert {score.reader for score in unblinded(finished.root)} == {"R1", "R2"}


def test_before_it_is_decided_the_discordant_is_left_out(finished):
    make_consensus_session(finished.root)
    truth = agreed(finished.root)
    assert len(truth) == 6 * 3 * 3 - 4 and ("S1", "ours", "knee.tear") not in truth
    with pytest.raises(OutputError, match="exists already"):
        make_consensus_session(finished.root)


def test_consensus_waits_until_all_have_finished_and_needs_two_readers(tmp_path):
    (tmp_path / "a").mkdir()
    study = make_study(tmp_path / "a", configuration(forms=FORMS, consensus=WANTED, practice=[]))
    with pytest.raises(InputError, match="R1 has 18 cases left to read"):
        judgements(study.root)
    (tmp_path / "b").mkdir()
    alone = make_study(tmp_path / "b", configuration(forms=FORMS, consensus=WANTED, readers=["R1"]))
    with pytest.raises(SettingsError, match="at least two readers"):
        judgements(alone.root)
    (tmp_path / "c").mkdir()
    with pytest.raises(SettingsError, match="names no fields for consensus"):
        judgements(make_study(tmp_path / "c").root)
