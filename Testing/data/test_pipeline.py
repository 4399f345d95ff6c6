"""A preparation from files to a folder: whole or not at all, every patient on one side, nobody named, everything accounted for."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pair_files import body, dicom, nifti, rician, volume

from MRIDenoiseLib.data.cases import Acceleration, Case, Dropped, Pair
from MRIDenoiseLib.data.pairs import find_pairs
from MRIDenoiseLib.data.pipeline import Find, prepare
from MRIDenoiseLib.data.records import DROPPED, REPORT, RecordStore
from MRIDenoiseLib.data.repeats import find_repeats
from MRIDenoiseLib.data.split import split_of
from MRIDenoiseLib.errors import Cancelled, InputError, OutputError, SettingsError

SIZE = 48


def simulated(seed: int, sigma: float = 25, ratio: float = 2.0) -> Pair:
    """A pair that needs no alignment, which is what takes time."""
    clean = body(4, SIZE, seed)
    noisy = volume(rician(clean, sigma, seed))
    return Pair(noisy, volume(clean), "independent", 1, Acceleration(ratio), noise="simulated")


def case(number: int, subject: str, seed: int | None = None, pairs: Sequence[Pair] | None = None) -> Case:
    chosen = [simulated(number if seed is None else seed)] if pairs is None else pairs
    return Case(f"scan {number}", subject, f"study {number}", f"series {number}", lambda check: iter(chosen))


def finding(*cases: Case | Dropped) -> Find:
    return lambda say: list(cases)


def test_real_files_become_records_on_the_noisy_grid_with_their_account(tmp_path: Path) -> None:
    truth = body(8, 80)
    dicom(
        tmp_path / "fast" / "Doe", rician(truth, 25, 1), "1.2.77", NumberOfAverages=1, PatientID="Doe-4711", ManufacturerModelName="Signa"
    )
    dicom(tmp_path / "full" / "Doe", 1.6 * truth, "1.2.78", NumberOfAverages=3, PatientID="Doe-4711")
    out = tmp_path / "out"
    summary = prepare(partial(find_pairs, tmp_path / "fast", tmp_path / "full", None, None), out, site="St. Elsewhere")
    (found,) = RecordStore(out)
    meta = found.meta
    assert np.allclose(found.noisy, np.rint(rician(truth, 25, 1)))
    assert np.allclose(found.clean, truth, rtol=0.02, atol=2) and meta.gain == pytest.approx(1.6, rel=0.02)
    assert (meta.organ, meta.contrast, meta.plane, meta.model, meta.site) == ("knee", "PDw", "sagittal", "Signa", "St. Elsewhere")
    assert (meta.acceleration, meta.acceleration_group, meta.nex_fast, meta.nex_full) == (3, "3x", 1, 3)
    assert meta.spacing == pytest.approx((0.9, 0.7)) and meta.slice_spacing == pytest.approx(4) and meta.slice_thickness == 3
    assert meta.split == split_of("Doe-4711", "St. Elsewhere") and meta.alignment is not None
    assert summary.records == [meta] and summary.slices == [8] and len(summary.accepted) == 1


def test_nothing_written_names_a_patient_a_study_or_a_place_on_disk(tmp_path: Path) -> None:
    truth = body(6, SIZE)
    told = {"PatientID": "Doe-4711", "PatientName": "Doe^Jane", "StudyInstanceUID": "1.2.840.77.1", "SeriesDescription": "pd Janes knee"}
    dicom(tmp_path / "fast" / "Doe", rician(truth, 25, 1), "1.2.840.77", **told)
    dicom(tmp_path / "full" / "Doe", truth, "1.2.840.78", **told)
    (tmp_path / "fast" / "Doe_broken").mkdir()
    (tmp_path / "fast" / "Doe_broken" / "Doe.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\x00\x05\x00CS\xff\xff")
    nifti(tmp_path / "fast" / "JaneDoe.nii", truth)
    prepare(partial(find_pairs, tmp_path / "fast", tmp_path / "full", 2.0, None), tmp_path / "out", site="here")
    written = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").iterdir()))
    for private in (b"Doe", b"Jane", b"4711", b"1.2.840", b"20200101", str(tmp_path).encode()):
        assert private not in written, private
    assert len((tmp_path / "out" / DROPPED).read_text().splitlines()) == 2


def test_all_images_of_a_patient_are_on_one_side_and_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    cases = [case(number, f"patient {number % 6}") for number in range(12)]
    splits = []
    for name, order in (("a", cases), ("b", cases[::-1])):
        prepare(finding(*order), tmp_path / name, site="here")
        metas = RecordStore(tmp_path / name).metas
        assert len({(meta.subject, meta.split) for meta in metas}) == len({meta.subject for meta in metas}) == 6
        splits.append([meta.split for meta in metas])
    assert splits[0] == splits[1][::-1] and len(set(splits[0])) > 1


def test_a_patient_under_two_numbers_is_put_on_the_more_protected_side(tmp_path: Path) -> None:
    names = {split: next(f"p{k}" for k in range(99) if split_of(f"p{k}", "here") == split) for split in ("train", "validation", "test")}
    cases = [
        case(1, names["train"], seed=1),
        case(2, names["test"], seed=1),
        case(3, names["train"], seed=3),
        case(4, names["validation"], seed=4),
    ]
    summary = prepare(finding(*cases), tmp_path / "out", site="here")
    assert [meta.split for meta in RecordStore(tmp_path / "out").metas] == ["test", "test", "test", "validation"]
    assert summary.reunited == 1 and "share an image" in (tmp_path / "out" / REPORT).read_text()


def test_an_external_site_and_what_its_source_holds_out_are_never_trained_on_and_no_name_decides(tmp_path: Path) -> None:
    names = [f"p{k}" for k in range(99) if split_of(f"p{k}", "here") == "train"][:2]
    prepare(finding(*(case(k, name) for k, name in enumerate(names))), tmp_path / "a", site="here", external=True)
    cases = [replace(case(1, names[0]), held_out=True), case(2, names[1]), case(3, "ms12")]
    prepare(finding(*cases), tmp_path / "b", site="ms12's own")
    assert [meta.split for meta in RecordStore(tmp_path / "a").metas] == ["test", "test"]
    splits = [split_of(subject, "ms12's own") for subject in (names[1], "ms12")]
    assert [meta.split for meta in RecordStore(tmp_path / "b").metas] == ["test", *splits]


def test_of_a_patient_with_one_image_held_out_nothing_is_trained_on(tmp_path: Path) -> None:
    cases = [replace(case(1, "a"), held_out=True), case(2, "a"), case(3, "b")]
    prepare(finding(*cases), tmp_path / "out", site="here", train_on_all=True)
    assert [meta.split for meta in RecordStore(tmp_path / "out").metas] == ["test", "test", "train"]


def test_patients_are_recognised_however_their_numbers_are_written(tmp_path: Path) -> None:
    cases = [replace(case(1, "Roe"), held_out=True), case(2, " ROE\0"), case(3, "Doe"), case(4, "DOE ")]
    prepare(finding(*cases), tmp_path / "out", site="here", train_on_all=True)
    metas = RecordStore(tmp_path / "out").metas
    assert [meta.split for meta in metas] == ["test", "test", "train", "train"]
    assert metas[2].subject == metas[3].subject and len({meta.subject for meta in metas}) == 2


def test_slices_that_show_nothing_make_no_two_patients_one(tmp_path: Path) -> None:
    names = {split: next(f"p{k}" for k in range(99) if split_of(f"p{k}", "here") == split) for split in ("train", "test")}

    def hollow(seed: int) -> Pair:
        found = simulated(seed)
        return replace(found, clean=volume(found.clean.voxels * np.array([1, 1, 0, 0])[:, None, None]))

    cases = [case(number, name, pairs=[hollow(number)]) for number, name in enumerate(names.values())]
    summary = prepare(finding(*cases), tmp_path / "out", site="here")
    assert [meta.split for meta in summary.records] == ["train", "test"] and summary.reunited == 0
    copies = [case(number, name, pairs=[hollow(7)]) for number, name in enumerate(names.values())]
    assert prepare(finding(*copies), tmp_path / "copies", site="here").reunited == 1, "by a slice that shows something"


def test_a_chain_of_copies_ends_in_one_split(tmp_path: Path) -> None:
    trained = [f"p{k}" for k in range(99) if split_of(f"p{k}", "here") == "train"][:7]
    chain = [*trained, next(f"p{k}" for k in range(99) if split_of(f"p{k}", "here") == "test")]
    # Each shares an image with the next.
    shared = [(name, image) for image, pair in enumerate(pairwise(chain)) for name in pair]
    summary = prepare(finding(*(case(k, name, seed=image) for k, (name, image) in enumerate(shared))), tmp_path / "out", site="here")
    assert {meta.split for meta in summary.records} == {"test"} and summary.reunited == len(trained)


def test_what_the_system_refuses_to_read_is_not_called_a_fault_of_the_folder_to_be_written(tmp_path: Path) -> None:
    def refused(check: object) -> Iterator[Pair]:
        raise PermissionError(13, "Permission denied", "/x/secret.nii")
        yield

    def unlisted(say: object) -> list[Case | Dropped]:
        raise PermissionError(13, "Permission denied", "/x")

    summary = prepare(finding(Case("scan 1", "b", "", "", refused), case(2, "a")), tmp_path / "out", site="here")
    assert [one.reason for one in summary.dropped] == ["it cannot be read: Permission denied"] and len(summary.records) == 1
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        prepare(unlisted, tmp_path / "other", site="here")


def test_few_patients_may_all_be_trained_on_but_never_those_that_their_source_holds_out(tmp_path: Path) -> None:
    name = next(f"p{k}" for k in range(99) if split_of(f"p{k}", "here") == "test")
    prepare(finding(case(1, name), replace(case(2, "b"), held_out=True)), tmp_path / "a", site="here", train_on_all=True)
    assert [meta.split for meta in RecordStore(tmp_path / "a").metas] == ["train", "test"]
    with pytest.raises(SettingsError, match="choose one"):
        prepare(finding(case(1, name)), tmp_path / "b", site="here", external=True, train_on_all=True)
    assert not (tmp_path / "b").exists()


def test_what_falls_out_is_written_down_with_step_and_reason(tmp_path: Path) -> None:
    def broken(check: object) -> Iterator[Pair]:
        yield simulated(2)
        raise InputError("secret.nii has no voxels")

    cases = [
        Dropped("fast 1", "matching", "no partner"),
        case(2, "a", pairs=[simulated(1, ratio=1.05)]),
        Case("scan 3", "b", "", "", broken, names=("/x/secret.nii",)),
        Case("scan 4", "", "", "", lambda check: iter([simulated(4)])),
    ]
    summary = prepare(finding(*cases), tmp_path / "out", site="here")
    dropped = [json.loads(line) for line in (tmp_path / "out" / DROPPED).read_text().splitlines()]
    assert [(one["label"], one["step"]) for one in dropped] == [
        *(("fast 1", "matching"), ("scan 2", "acceleration"), ("scan 3", "reading"), ("scan 4", "reading")),
    ]
    # A pair whose voxels cannot be read was found all the same.
    assert summary.pairs_dropped == 3 and summary.drop_rate == 0.75
    assert "1.1 times as fast" in dropped[1]["reason"] and dropped[2]["reason"] == "a file has no voxels"
    assert len(summary.records) == 1


def test_when_told_to_stop_or_when_it_fails_nothing_is_left(tmp_path: Path) -> None:
    cases = [case(number, "a") for number in range(4)]
    told: list[float] = []
    with pytest.raises(Cancelled):
        prepare(
            finding(*cases),
            tmp_path / "out",
            site="here",
            progress=lambda done, left, what: told.append(done),
            should_stop=lambda: len(told) > 2,
        )
    assert 0 < max(told) < 1 and list(tmp_path.iterdir()) == []

    def fails(check: object) -> Iterator[Pair]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        prepare(finding(cases[0], Case("x", "a", "", "", fails)), tmp_path / "out", site="here")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_folder_is_replaced_only_when_allowed_and_a_foreign_one_never(tmp_path: Path) -> None:
    run: Callable[..., object] = partial(prepare, site="here")
    run(finding(case(1, "a")), tmp_path / "out")
    with pytest.raises(OutputError, match="exists already"):
        run(finding(case(2, "a")), tmp_path / "out")
    run(finding(case(2, "a"), case(3, "b")), tmp_path / "out", overwrite=True)
    assert len(RecordStore(tmp_path / "out")) == 2
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not an earlier result"):
        run(finding(case(2, "a")), tmp_path / "out", overwrite=True)


def test_the_same_files_give_the_same_voxels_under_other_pseudonyms(tmp_path: Path) -> None:
    truth = body(6, SIZE)
    moved = Pair(volume(rician(truth, 25, 1)), volume(np.roll(truth, 1, axis=2)), "independent", 1, Acceleration(2.0))
    for name in "ab":
        prepare(finding(case(1, "a", pairs=[moved])), tmp_path / name, site="here", seed=3)
    first, second = (RecordStore(tmp_path / name).read(0) for name in "ab")
    assert np.array_equal(first.clean, second.clean) and first.meta.alignment == second.meta.alignment
    assert first.meta.subject != second.meta.subject and first.meta.split == second.meta.split


def test_the_model_name_is_kept_to_what_a_model_is_called(tmp_path: Path) -> None:
    named = Case("scan 1", "a", "", "", lambda check: iter([simulated(1)]), model="Prisma_fit <b>3T</b>\n" + "x" * 90)
    prepare(finding(named), tmp_path / "out", site="here")
    model = RecordStore(tmp_path / "out").metas[0].model
    assert model.startswith("Prisma_fit b3Tb") and len(model) == 40


def test_true_repeats_of_a_real_scan_become_records_that_lie_on_each_other(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / "cspine_DWI.nii.gz").symlink_to(data_dir / "repeats" / "cspine_DWI_sct-single.nii.gz")
    summary = prepare(partial(find_repeats, tmp_path, "1,32-35", None), tmp_path / "out", site="here")
    assert len(summary.records) == 5 and not summary.dropped
    for meta in summary.records:
        assert (meta.organ, meta.contrast, meta.plane, meta.repeats) == ("cervical spine", "DWI", "axial", 5)
        assert meta.alignment is not None and meta.alignment.flow_p95 < 0.5 and 0.9 < meta.gain < 1.1
