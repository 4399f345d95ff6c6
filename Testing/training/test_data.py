"""What a run draws from: clean volumes, prepared pairs or both, what of them is never seen, and what the card is told of it."""

import json
from dataclasses import replace

import pytest
import torch
from training_cases import clean_volumes, data_folder, record, record_folder

from MRIDenoiseLib.data.records import RecordStore
from MRIDenoiseLib.data.samples import PairSampler
from MRIDenoiseLib.errors import Cancelled, InputError, SettingsError
from MRIDenoiseLib.training.data import TrainingData, open_data
from MRIDenoiseLib.training.record_samples import MixedSampler, RecordSampler
from MRIDenoiseLib.volume import AcquisitionField


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    records = [record(), record(contrast="T2w"), record(contrast="T2w"), record("test"), record("validation"), record(gt_kind="inclusive")]
    return record_folder(tmp_path_factory.mktemp("pairs") / "pairs", *records)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return data_folder(tmp_path_factory.mktemp("clean") / "clean", size=96)


def test_folders_of_both_kinds_are_told_apart_and_joined(pairs, clean):
    read = []
    data = open_data([clean, pairs], lambda done, of: read.append((done, of)))
    assert [volume.row.subject for volume in data.volumes] == ["s0", "s1"] and read == [(1, 2), (2, 2)]
    assert [store.folder for store in data.stores] == [pairs]


def test_the_share_of_real_pairs_decides_what_is_drawn(pairs):
    both = TrainingData(clean_volumes(), [RecordStore(pairs)])
    mixed = both.batches(0.5, 64, 3)
    assert isinstance(mixed, MixedSampler)
    assert isinstance(replace(both, stores=[]).batches(0, 64, 0), PairSampler)
    assert isinstance(replace(both, volumes=[]).batches(1, 64, 0), RecordSampler)
    assert torch.equal(mixed.batch(4, 2).measured, both.batches(0.5, 64, 3).batch(4, 2).measured)
    assert not torch.equal(mixed.batch(4, 2).measured, both.batches(0.5, 64, 4).batch(4, 2).measured)


def test_networks_are_probed_on_patients_of_the_validation_split_where_there_are_such(pairs, clean, tmp_path):
    data = open_data([pairs])
    held_out = RecordSampler(data.stores, 64, 3, split="validation")
    assert torch.equal(data.probes(1, 64, 3).batch(4, 2).measured, held_out.batch(4, 2).measured)
    both = open_data([clean, pairs])
    assert torch.equal(both.probes(0.5, 64, 3).batch(4, 2).measured, both.batches(0.5, 64, 3).batch(4, 2).measured)
    without = open_data([record_folder(tmp_path / "pairs", record())])
    assert torch.equal(without.probes(1, 64, 3).batch(4, 2).measured, without.batches(1, 64, 3).batch(4, 2).measured)


@pytest.mark.parametrize(
    ("share", "with_pairs", "with_volumes", "complaint"),
    [
        (0.5, False, True, "name their folder with --data"),
        (0.5, True, False, "simulates 50% of its pairs"),
        (0.0, True, True, "never draws from prepared pairs"),
        (1.0, True, True, "never draws from clean volumes"),
    ],
)
def test_a_share_that_the_folders_cannot_give_or_that_leaves_one_unused_is_refused(pairs, share, with_pairs, with_volumes, complaint):
    data = TrainingData(clean_volumes() if with_volumes else [], [RecordStore(pairs)] if with_pairs else [])
    with pytest.raises(SettingsError, match=complaint):
        data.batches(share, 64, 0)


def test_the_card_is_told_files_with_licences_and_numbers_of_records_but_nobody(pairs, clean):
    account = open_data([clean, pairs]).account()
    files = [entry for entry in account["data"] if "file" in entry]
    assert [entry["subject"] for entry in files] == ["s0", "s1"] and all(entry["licence"] == "CC0" for entry in files)
    counted = {entry["contrast"]: entry["records"] for entry in account["data"] if "records" in entry}
    assert counted == {"PDw": 1, "T2w": 2}
    assert account["kept_out"]["records"] == {"inclusive reference": 1, "test": 1, "validation": 1}
    assert account["kept_out"]["subjects"] == ["ms12"] and account["left_out"] == []
    assert all((entry["own_noise"], entry["coarsening"]) == (0.005, 1) for entry in files)
    assert account["prompts"]["ge knee t2 plain sag 2x"] == 2
    assert all(prompt.endswith("2x") for prompt in account["prompts"]), "a volume without an acceleration counts as twofold"
    assert not [private for private in ("5ub", "3xa", "53r") if private in json.dumps(account)]
    assert json.loads(json.dumps(account)) == account


def test_other_pairs_of_the_same_kinds_and_number_are_told_apart(tmp_path):
    one, other = (record_folder(tmp_path / str(noise), record(noise_level=noise)) for noise in (40.0, 41.0))
    accounts = [open_data([folder]).account() for folder in (one, other, one)]
    assert accounts[0] == accounts[2] != accounts[1]


def test_an_acceleration_that_a_volume_tells_stays_in_its_prompt():
    volume = clean_volumes()[0]
    fast = replace(volume, acquisition=replace(volume.acquisition, acceleration=AcquisitionField(3.0)))
    assert list(TrainingData([fast], []).account()["prompts"]) == ["siemens head t1 unknown unknown 3x"]


def test_a_folder_that_is_neither_or_holds_nothing_to_train_on_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither a MANIFEST.csv"):
        open_data([tmp_path / "empty"])
    with pytest.raises(InputError, match="no prepared pair of the training split"):
        open_data([record_folder(tmp_path / "pairs", record("test"), record(gt_kind="inclusive"))])
    (tmp_path / "empty" / "MANIFEST.csv").write_text(
        "file,source,licence,organ,contrast,vendor,subject,split,own_noise\nvolumes/a.nii,x,y,head,T1w,GE,ms12,test,\n"
    )
    with pytest.raises(InputError, match="no volume that may be trained on"):
        open_data([tmp_path / "empty"])


def test_reading_stops_when_told_to(clean):
    with pytest.raises(Cancelled, match="nothing was trained"):
        open_data([clean], should_stop=lambda: True)
