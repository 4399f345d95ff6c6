"""From what a reader found to a folder of records, with an account of all that came in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from MRIDenoiseLib.data.cases import Case, Check, Dropped, Pair, Say, anonymous, group
from MRIDenoiseLib.data.manifest import folded
from MRIDenoiseLib.data.preparation import Made, Refused, make
from MRIDenoiseLib.data.records import DROPPED, REPORT, Pseudonyms, Record, RecordMeta, RecordWriter, is_store
from MRIDenoiseLib.data.registration import Registration
from MRIDenoiseLib.data.report import Picture, Summary, WorstPictures, alignment_png, write_report
from MRIDenoiseLib.data.split import HASHED_MATRIX, Split, near_duplicates, split_of
from MRIDenoiseLib.data.zero_fill import resize
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.io import replacing
from MRIDenoiseLib.progress import Pace, Progress, ShouldStop
from MRIDenoiseLib.prompt.headers import positive
from MRIDenoiseLib.volume import Acquisition, Volume

Find = Callable[[Say], Sequence[Case | Dropped]]
"""A reader: lists what there is, without reading voxels."""

PICTURES = 6
"""Shown in the report of the accepted pairs, and of the refused ones."""
HELD_OUT: tuple[Split, ...] = ("train", "validation", "test")
"""From the least to the most protected split."""


def prepare(
    find: Find,
    out: Path,
    *,
    site: str,
    external: bool = False,
    train_on_all: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Summary:
    """Make a folder of records and a report of what became of everything; in the end the folder is complete or not there.

    Args:
        find: lists the cases, see :mod:`.pairs`, :mod:`.repeats`, :mod:`.m4raw` and :mod:`.fastmri`.
        out: the folder to be made.
        site: what the hospital or data set is called; patients of two sites are never taken for one.
        external: whether the site is kept out of training as a whole.
        train_on_all: whether every patient goes to the training split, as a handful must; others are needed to measure on.
        seed: of the registration.
        overwrite: whether an earlier folder of records there may be replaced.
        progress: called with (fraction, seconds left or None, what is being done).
        should_stop: called before every file that is listed, every volume, slice or coil that is read and every step of an alignment.

    Raises:
        InputError: there is nothing to prepare, or it cannot be read.
        SettingsError: a site is to be kept out of training and to be trained on.
        OutputError: the folder exists and may not be replaced, or cannot be written.
        Cancelled: when a stop is requested; nothing is left behind.
    """
    if external and train_on_all:
        raise SettingsError("a site is either kept out of training or trained on as a whole: choose one of --external and --train-on-all")
    with replacing(out, overwrite, is_store) as temporary:
        try:
            cases = find(Pace(1, progress, should_stop).say)
        except OSError as error:
            raise InputError(f"what is to be prepared cannot be read: {error.strerror or 'the system refused'}") from error
        work = _Work(RecordWriter(temporary), site, external, train_on_all, seed)
        pace = Pace(len(cases), progress, should_stop)
        pace.start()
        for number, case in enumerate(cases, 1):
            work.add(case, pace.check)
            pace.reached(number, "Preparing pairs")
        summary = work.finish(pace.check)
        lines = [json.dumps(asdict(dropped)) for dropped in summary.dropped]
        (temporary / DROPPED).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        write_report(temporary / REPORT, summary)
        pace.check()
    return summary


class _Work:
    """A preparation under way."""

    def __init__(self, writer: RecordWriter, site: str, external: bool, train_on_all: bool, seed: int) -> None:
        self._writer = writer
        self._site = site
        self._external = (site,) if external else ()
        self._train_on_all = train_on_all
        self._seed = seed
        self._pseudonyms = Pseudonyms()
        self._dropped: list[Dropped] = []
        self._notes: list[tuple[str, str]] = []
        self._views: dict[str, tuple[str, np.ndarray]] = {}
        self._accepted, self._refused = WorstPictures(PICTURES), WorstPictures(PICTURES)

    def add(self, case: Case | Dropped, check: Check) -> None:
        """Write the records of one case, or note why there are none."""
        if isinstance(case, Dropped):
            self._dropped.append(case)
            return
        try:
            split = self._split(case)
            for number, pair in enumerate(case.pairs(check), 1):
                check()
                label = f"{case.label}, repeat {number}" if pair.gt_kind == "leave_one_out" else case.label
                self._add_pair(case, pair, split, label, check)
        except InputError as error:
            self._dropped.append(Dropped(case.label, "reading", anonymous(str(error), case.names)))

    def finish(self, check: Check) -> Summary:
        """Write the index, with patients who share an image in one split, and sum up."""
        moved = self._reunite(check)
        self._writer.finish()
        slices = list(self._writer.slices)
        pictures = self._accepted.pictures, self._refused.pictures
        return Summary(self._site, self._writer.metas, slices, self._dropped, moved, *pictures, self._notes)

    def _split(self, case: Case) -> Split:
        if case.held_out:
            return "test"
        if self._train_on_all:
            return "train"
        return split_of(case.subject, self._site, case.study, self._external)

    def _add_pair(self, case: Case, pair: Pair, split: Split, label: str, check: Check) -> None:
        def look(noisy: Volume, clean: np.ndarray, mask: np.ndarray, registration: Registration) -> None:
            def draw() -> Picture:
                return Picture(label, registration.flow_p95, registration.reason, alignment_png(noisy, clean, mask))

            if mask.any() and clean[mask].any():
                (self._accepted if registration.accepted else self._refused).offer(registration.flow_p95, draw)

        try:
            word = group(pair.acceleration.ratio)
            if word is None:
                ratio, source = pair.acceleration.ratio, pair.acceleration.source or "given"
                raise Refused(
                    "acceleration", f"it is only {ratio:.2g} times as fast as the full scan ({source}); if not, give --acceleration"
                )
            made = make(pair, self._seed, look, check)
        except Refused as refused:
            self._dropped.append(Dropped(label, refused.step, refused.reason))
            return
        self._notes += [(label, anonymous(note, case.names)) for note in made.notes]
        meta = self._meta(case, pair, made, split, word)
        self._writer.add(Record(made.noisy, made.clean, made.mask, meta))
        # One view a case: its repeats show the same.
        shown = np.flatnonzero(made.mask.any(axis=(1, 2)))
        if case.label not in self._views and shown.size:
            middle = made.clean[shown[shown.size // 2]]
            self._views[case.label] = meta.subject, resize(middle, (HASHED_MATRIX, HASHED_MATRIX))

    def _meta(self, case: Case, pair: Pair, made: Made, split: Split, word: str) -> RecordMeta:
        across = pair.noisy.slice_axis
        rows, columns = (pair.noisy.spacing[axis] for axis in range(3) if axis != across)
        subject, study = folded(case.subject), folded(case.study)
        return RecordMeta(
            subject=self._pseudonyms.of("subject", self._site, subject or study),
            exam=self._pseudonyms.of("exam", self._site, study or subject),
            series=self._pseudonyms.of("series", self._site, subject, case.series),
            site=self._site,
            **_words(pair.noisy.acquisition),
            model=re.sub(r"[^A-Za-z0-9 ._+-]", "", case.model)[:40],
            field_strength=positive(pair.noisy.acquisition.field_strength.value),
            acceleration=pair.acceleration.ratio,
            acceleration_group=word,
            nex_fast=pair.acceleration.nex_fast,
            nex_full=pair.acceleration.nex_full,
            parallel_fast=pair.acceleration.parallel_fast,
            parallel_full=pair.acceleration.parallel_full,
            spacing=(rows, columns),
            slice_spacing=pair.noisy.spacing[across],
            slice_thickness=case.slice_thickness,
            gt_kind=made.gt_kind,
            repeats=pair.repeats,
            noise=pair.noise,
            gain=made.gain,
            scale=made.scale,
            noise_level=made.noise_level,
            reference_noise=None if pair.reference_noise is None else pair.reference_noise / made.gain,
            alignment=made.alignment,
            fill_factor=made.fill_factor,
            split=split,
            source=case.source,
            licence=case.licence,
            own_noise=made.own_noise,
        )

    def _reunite(self, check: Check) -> int:
        """Put patients who share an image into one split, the most protected of theirs; returns how many were moved.

        The same images under two numbers are one patient twice, and would be on both sides of the split.
        """
        splits: dict[str, Split] = {}
        for meta in self._writer.metas:
            # A manifest may hold one image of a patient out and not another.
            splits[meta.subject] = max(splits.get(meta.subject, "train"), meta.split, key=HELD_OUT.index)
        before = dict(splits)
        alike = near_duplicates({label: view for label, (_, view) in self._views.items()})
        patients = {(self._views[one][0], self._views[other][0]) for one, other in alike}
        apart = True
        while apart:  # a chain of copies takes several rounds
            check()
            apart = False
            for one, other in patients:
                if splits[one] != splits[other]:
                    splits[one] = splits[other] = max(splits[one], splits[other], key=HELD_OUT.index)
                    apart = True
        self._writer.metas[:] = [replace(meta, split=splits[meta.subject]) for meta in self._writer.metas]
        return sum(splits[subject] != before[subject] for subject in splits)


def _words(acquisition: Acquisition) -> dict[str, str]:
    names = ("vendor", "organ", "contrast", "fat_suppression", "plane")
    values = ((name, getattr(acquisition, name).value) for name in names)
    return {name: value if isinstance(value, str) else "" for name, value in values}
