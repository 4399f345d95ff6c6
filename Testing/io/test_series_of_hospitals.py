"""Series as hospitals really have them: cut short, mixed, under shared identifiers, without a file header."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dicom_factory as factory
import numpy as np
import pytest

from MRIDenoiseLib import io
from MRIDenoiseLib.errors import AmbiguousInputError, InputError

Place = tuple[float, dict[str, Any]]


def put(folder: Path, slices: list[Place]) -> Path:
    """Slices at places (multiples of the spacing), each with a picture of its own number."""
    for number, (place, changes) in enumerate(slices, 1):
        at = [round(float(x), 6) for x in factory.ORIGIN + place * factory.SPACING * factory.NORMAL]
        ds = factory.slice_header(0, number, ImagePositionPatient=at)
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        factory.save(factory.put_pixels(ds, factory.picture(number)), folder / f"{number:03d}.dcm")
    return folder


def pictures(*numbers: int) -> np.ndarray:
    return np.stack([factory.picture(number) for number in numbers])


STOPPED: dict[str, list[dict[str, Any]]] = {
    "time": [{"TemporalPositionIdentifier": time} for time in (1, 2, 3)],
    "b": [{"DiffusionBValue": float(b)} for b in (0, 500, 1000)],
    "trigger time": [{"TriggerTime": time} for time in (10, 60, 110)],
}


@pytest.mark.parametrize("slices", [1, 2, 4])
@pytest.mark.parametrize("what", STOPPED)
def test_an_examination_that_was_stopped_keeps_its_whole_volumes(what: str, slices: int, tmp_path: Path) -> None:
    put(tmp_path, [(k, changes) for n, changes in enumerate(STOPPED[what]) for k in range(slices if n == 2 else 5)])
    with pytest.raises(AmbiguousInputError, match=rf"3 volumes, not each.*3 \({what}.*, {slices} of 5 slices\)"):
        io.read(tmp_path)
    assert np.array_equal(io.read(tmp_path, volume=2).voxels, pictures(*range(6, 11)))
    assert any(f"{slices} of the 5 places" in note for note in io.read(tmp_path, volume=3).notes)
    together = io.read_all(tmp_path)
    assert [member.volume for member in together.members] == [1, 2] and "lacks slices: volume 3" in together.notes[-1]


BETWEEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "echoes": ({"EchoTime": 10}, {"EchoTime": 80}, "echo"),
    "components": ({"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "volume"),
    "b-values": ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}, "volume"),
}


@pytest.mark.parametrize("off", [0.5, 4.0])
@pytest.mark.parametrize("what", BETWEEN)
def test_slices_of_two_kinds_between_or_behind_each_other_are_never_one_volume(what: str, off: float, tmp_path: Path) -> None:
    one, other, option = BETWEEN[what]
    put(tmp_path, [(k, one) for k in range(4)] + [(k + off, other) for k in range(4)])
    with pytest.raises(AmbiguousInputError, match=rf"holds 2 .*{option}=N"):
        io.read(tmp_path)
    assert np.array_equal(io.read(tmp_path, **{option: 2}).voxels, pictures(5, 6, 7, 8))


def test_echo_times_that_hardly_differ_from_slice_to_slice_are_one_echo(tmp_path: Path) -> None:
    put(tmp_path, [(k, {"EchoTime": 90 + 0.3 * k}) for k in range(4)])
    assert io.read(tmp_path).voxels.shape[0] == 4


def test_the_sum_of_several_echoes_can_be_chosen(tmp_path: Path) -> None:
    put(tmp_path, [(k, {"EchoTime": time}) for time in (10, 20, "") for k in range(3)])
    with pytest.raises(AmbiguousInputError, match=r"3 \(no echo time\)"):
        io.read(tmp_path)
    assert np.array_equal(io.read(tmp_path, echo=3).voxels, pictures(7, 8, 9))


@pytest.mark.parametrize("word", ["PROJECTION IMAGE", "MIP", "MPR", "REFORMATTED"])
def test_what_was_made_of_a_stack_and_lies_in_it_is_no_slice_of_it(word: str, tmp_path: Path) -> None:
    put(tmp_path, [(k, {}) for k in range(5)] + [(place, {"ImageType": ["DERIVED", "SECONDARY", word]}) for place in (2, 2.4)])
    found = io.read(tmp_path)
    assert np.array_equal(found.voxels, pictures(1, 2, 3, 4, 5)) and "left out stack 2" in found.notes[0]


@pytest.mark.parametrize("keyword", ["TemporalPositionIdentifier", "AcquisitionNumber"])
@pytest.mark.parametrize("off", [0.02, 0.1, 0.3])
def test_times_that_follow_the_head_are_stacks_of_their_own(keyword: str, off: float, tmp_path: Path) -> None:
    put(tmp_path, [(k + off * time, {keyword: time + 1}) for time in (0, 1) for k in range(4)])
    with pytest.raises(AmbiguousInputError, match="2 stacks.*4 mm apart.*4 mm apart"):
        io.read(tmp_path)
    assert np.array_equal(io.read(tmp_path, stack=2).voxels, pictures(5, 6, 7, 8))


def test_positions_that_were_rounded_lie_on_an_even_grid(tmp_path: Path) -> None:
    put(tmp_path / "rounded", [(round(0.8333 * k, 1) / factory.SPACING, {}) for k in range(12)])
    found = io.read(tmp_path / "rounded")
    assert abs(np.linalg.norm(found.ijk_to_ras[:3, 0]) - 0.7) < 1e-6 and "evenly spaced by 0.836" in found.notes[0]
    put(tmp_path / "uneven", [(place, {}) for place in (0, 1, 2, 3.3, 4.3, 5.3)])
    with pytest.raises(InputError, match="uneven"):
        io.read(tmp_path / "uneven")


def test_patients_under_one_series_identifier_are_never_put_together(tmp_path: Path) -> None:
    put(tmp_path, [(k, {"PatientID": "1 " if k % 2 else "1"}) for k in range(4)] + [(k, {"PatientID": "2"}) for k in range(4, 8)])
    with pytest.raises(AmbiguousInputError, match="2 series"):
        io.read(tmp_path)
    assert [io.read(tmp_path, series=n).voxels.shape[0] for n in (1, 2)] == [4, 4]


def test_images_that_all_name_no_series_are_one_and_a_single_such_is_damaged(tmp_path: Path) -> None:
    put(tmp_path / "all", [(k, {}) for k in range(4)])
    put(tmp_path / "one", [(k, {}) for k in range(4)])
    for path in [*(tmp_path / "all").iterdir(), tmp_path / "one" / "002.dcm"]:
        path.write_bytes(path.read_bytes().replace(b"UI\x08\x001.2.3.4\0", b"UI\x08\x00\0\0\0\0\0\0\0\0"))
    assert io.read(tmp_path / "all").voxels.shape[0] == 4
    with pytest.raises(InputError, match="does not name its series"):
        io.read(tmp_path / "one")


def bare(data: bytes) -> bytes:
    """A file from its data set on."""
    return data[144 + int.from_bytes(data[140:144], "little") :]


BEGINNINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "no preamble": ("1.2.840.10008.1.2.1", lambda data: data[132:]),
    "no preamble, implicit": ("1.2.840.10008.1.2", lambda data: data[132:]),
    "no file header": ("1.2.840.10008.1.2.1", bare),
    "no file header, implicit": ("1.2.840.10008.1.2", bare),
    "no file header, big endian": ("1.2.840.10008.1.2.2", bare),
    "a mark and no file header": ("1.2.840.10008.1.2", lambda data: data[:132] + bare(data)),
}


@pytest.mark.parametrize("how", BEGINNINGS)
def test_old_archives_begin_their_files_in_many_ways(how: str, tmp_path: Path) -> None:
    syntax, cut = BEGINNINGS[how]
    for place in range(3):
        ds = factory.slice_header(place)
        if syntax.endswith(".2.2"):
            ds["PixelData"].value = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        path = factory.save(ds, tmp_path / f"{place}", syntax)
        path.write_bytes(cut(path.read_bytes()))
    assert np.array_equal(io.read(tmp_path).voxels, pictures(0, 1, 2))


CONTRADICTED: dict[str, tuple[dict[str, Any], str]] = {
    "every second slice": ({"SpacingBetweenSlices": 2.0}, "4 mm apart by their positions.*2 mm by the header"),
    "what is free between slices": ({"SpacingBetweenSlices": 1.0, "SliceThickness": 3}, ""),
    "the truth": ({"SpacingBetweenSlices": 4.0}, ""),
}


@pytest.mark.parametrize("what", CONTRADICTED)
def test_a_spacing_that_contradicts_the_positions_is_said(what: str, tmp_path: Path) -> None:
    changes, said = CONTRADICTED[what]
    notes = io.read(put(tmp_path, [(k, changes) for k in range(4)])).notes
    assert (len(notes) == 1) == bool(said)
    if said:
        assert re.search(said, notes[0])


def test_two_frames_of_reference_in_one_series_are_said(tmp_path: Path) -> None:
    put(tmp_path, [(k, {"FrameOfReferenceUID": f"1.2.3.{k // 2}"}) for k in range(4)])
    assert any("2 frames of reference" in note for note in io.read(tmp_path).notes)


def test_directions_of_diffusion_are_named(tmp_path: Path) -> None:
    put(
        tmp_path, [(k, {"DiffusionBValue": 800.0, "DiffusionGradientOrientation": xyz}) for xyz in ([1, 0, 0], [0, 0, 1]) for k in range(3)]
    )
    with pytest.raises(AmbiguousInputError, match=r"1 \(direction 0.00 0.00 1.00\), 2 \(direction 1.00 0.00 0.00\)"):
        io.read(tmp_path)


def test_spectra_are_no_images(tmp_path: Path) -> None:
    put(tmp_path, [(k, {}) for k in range(3)] + [(0, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.2"})])
    assert io.read(tmp_path).voxels.shape[0] == 3
