"""The list of repeats is read as it stands, and a line that makes no sense is named."""

from pathlib import Path

import pytest

from MRIDenoiseLib.data.repeats import RepeatSet, read_repeat_sets
from MRIDenoiseLib.errors import InputError

HEAD = "name,file,group,volumes\n"


def written(folder: Path, text: str) -> Path:
    (folder / "repeats.csv").write_text(text, encoding="utf-8")
    return folder


def test_groups_of_one_name_are_one_set_in_the_order_of_the_list(tmp_path):
    text = HEAD + "ASL,r/asl.nii.gz,0,0 12 24\nEPI,r/epi.nii.gz,0,0 1 2\nASL,r/asl.nii.gz,1,1 13 25\n"
    assert read_repeat_sets(written(tmp_path, text)) == [
        RepeatSet("ASL", "r/asl.nii.gz", ((0, 12, 24), (1, 13, 25))),
        RepeatSet("EPI", "r/epi.nii.gz", ((0, 1, 2),)),
    ]


@pytest.mark.parametrize("volumes", ["", "3", "3 3", "1 two", "-1 2"])
def test_a_line_without_two_different_volumes_is_named(tmp_path, volumes):
    with pytest.raises(InputError, match="line 2 of .*repeats.csv"):
        read_repeat_sets(written(tmp_path, HEAD + f"ASL,r/asl.nii.gz,0,{volumes}\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD.replace(",volumes", "") + "ASL,f,0\n", "column volumes"),
        (HEAD + "ASL,a.nii,0,0 1\nASL,b.nii,0,0 1\n", "one name to repeats of two files"),
    ],
)
def test_a_list_that_cannot_be_is_refused(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_repeat_sets(written(tmp_path, text))


def test_a_folder_without_the_list_is_told_so(tmp_path):
    with pytest.raises(InputError, match=r"holds no repeats\.csv"):
        read_repeat_sets(tmp_path)
