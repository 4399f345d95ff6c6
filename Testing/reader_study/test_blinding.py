"""The blinding holds, and every way in which it could break is noticed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from study_cases import ARMS, GRID, NOISE, configuration, make_study, phantom, write_images

from MRIDenoiseLib.errors import Cancelled, InputError, OutputError
from MRIDenoiseLib.io.images import read_image
from MRIDenoiseLib.reader_study.reading.folder import PLAN, VOLUMES, StudyFolder, read_plan, volume_path, write_plan
from MRIDenoiseLib.reader_study.running.audit import audit
from MRIDenoiseLib.reader_study.running.blinding import Key, blind, equalise_dates, read_key, write_key
from MRIDenoiseLib.reader_study.running.creation import create_study
from MRIDenoiseLib.reader_study.running.scores import unblinded


def found(study: StudyFolder) -> str:
    return "\n".join(map(str, audit(study.reading, read_key(study.key))))


def arm(study: StudyFolder, name: str) -> list[Path]:
    """The volumes of an arm."""
    key = read_key(study.key)
    return [volume_path(study.reading, volume) for volume, image in sorted(key.volumes.items()) if image.arm == name]


def test_a_study_as_it_is_made_has_no_leak(made_study):
    assert found(made_study) == ""


def test_no_word_of_the_arms_the_patients_or_the_seed_is_in_what_readers_get(made_study):
    files = [path for path in made_study.reading.rglob("*") if path.is_file()]
    assert {".json", ".nii"} <= {path.suffix for path in files}
    for path in files:
        words = re.findall(rb"[A-Za-z0-9_]+", path.read_bytes() if path.suffix != ".nii" else path.read_bytes()[:352])
        # Two letters turn up in binary headers by chance.
        told = {b"noisy", b"ours", b"reference"} | ({b"S0", b"P0", b"seed"} if path.suffix == ".json" else set())
        assert told.isdisjoint(words), path.name
        assert not any(word in path.name for word in (*ARMS, "S0"))


def test_all_arms_of_a_case_have_one_header_size_window_and_date(made_study):
    plan, key = read_plan(made_study.reading), read_key(made_study.key)
    for arms in key.cases().values():
        paths = [volume_path(made_study.reading, volume) for volume in arms.values()]
        assert len({path.read_bytes()[:352] for path in paths}) == 1
        assert len({path.stat().st_size for path in paths}) == 1
        assert len({plan.windows[volume] for volume in arms.values()}) == 1
    assert len({path.stat().st_mtime for path in (made_study.reading / VOLUMES).iterdir()}) == 1


def test_the_image_itself_is_kept_in_place_and_in_proportion(made_study):
    key = read_key(made_study.key)
    volume, image = next((volume, image) for volume, image in key.volumes.items() if (image.subject, image.arm) == ("S2", "ours"))
    blinded = read_image(volume_path(made_study.reading, volume))
    source = phantom(2, 8.0, "float32")
    assert blinded.pixel_type == "int16"
    np.testing.assert_allclose(blinded.ijk_to_ras, GRID, atol=1e-4)
    np.testing.assert_allclose(blinded.voxels / image.factor, source.voxels, atol=0.51 / image.factor)
    assert len({other.factor for other in key.volumes.values() if other.subject == "S2"}) == 1


def change_plan(study: StudyFolder, change: Callable[[dict, str], None]) -> None:
    """Change the plan's entry of one volume of our arm."""
    plan = json.loads((study.reading / PLAN).read_text())
    change(plan, arm(study, "ours")[0].stem)
    (study.reading / PLAN).write_text(json.dumps(plan))


def rewritten(path: Path, change: Callable[[sitk.Image], sitk.Image], compress: bool = False) -> None:
    before = path.stat()
    image = change(sitk.ReadImage(str(path)))
    sitk.WriteImage(image, str(path), useCompression=compress)
    os.utime(path, (before.st_mtime, before.st_mtime))


def patch(path: Path, at: int, content: bytes) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data)
    os.utime(path, (before.st_mtime, before.st_mtime))


def append(path: Path, content: bytes) -> None:
    before = path.stat()
    path.write_bytes(path.read_bytes() + content)
    os.utime(path, (before.st_mtime, before.st_mtime))


def rename(study: StudyFolder, names: dict[str, str]) -> None:
    """Give blinded volumes other names everywhere, as a program with that idea would have."""
    for old, new in names.items():
        volume_path(study.reading, old).rename(volume_path(study.reading, new))
    for path in (study.reading / PLAN, study.key / "key.json"):
        text = path.read_text()
        for old, new in names.items():
            text = text.replace(old, new)
        path.write_text(text)


def by_arm(study: StudyFolder, of: Callable[[int, int], str]) -> dict[str, str]:
    key = read_key(study.key)
    return {volume: of(ARMS.index(name), number) for number, arms in enumerate(key.cases().values()) for name, volume in arms.items()}


def sort_lists(study: StudyFolder, order: str) -> None:
    key, plan = read_key(study.key), read_plan(study.reading)

    def sort(session):
        places = {name: 0 for name in ARMS}
        ranks = {}
        for item in session:
            name = key.volumes[item.volumes[0]].arm
            ranks[item.id] = (ARMS.index(name), 0) if order == "blocks" else (places[name], ARMS.index(name))
            places[name] += 1
        return tuple(sorted(session, key=lambda item: ranks[item.id]))

    lists = {reader: tuple(sort(session) for session in sessions) for reader, sessions in plan.lists.items()}
    (study.reading / PLAN).unlink()
    write_plan(study.reading, replace(plan, lists=lists))


LEAKS: dict[str, tuple[Callable[[StudyFolder], object], str]] = {
    "arm in a file's name": (lambda s: rename(s, {arm(s, "ours")[0].stem: "ours_0123456789a"}), "is not a random name"),
    "numbered names": (lambda s: rename(s, by_arm(s, lambda a, n: f"{3 * n + a:03}")), "is not a random name"),
    "names that sort by arm": (lambda s: rename(s, by_arm(s, lambda a, n: f"{a}{n:015x}")), "the order of the names"),
    "a copy of the key": (lambda s: shutil.copy(s.key / "key.json", s.reading / "key.json"), "key.json: does not belong"),
    "a file beside the volumes": (lambda s: (s.reading / VOLUMES / "noisy.txt").write_text(""), "noisy.txt: does not belong"),
    "arm in the header": (lambda s: patch(arm(s, "ours")[0], 148, b"denoised"), "additional text"),
    "arm in another header text": (lambda s: patch(arm(s, "ours")[0], 228, b"ours.nii"), "additional text"),
    "arm in every header": (lambda s: [patch(p, 328, b"by AI") for p in (s.reading / VOLUMES).iterdir()], "additional text"),
    "history after the voxels": (lambda s: append(arm(s, "ours")[0], b"history"), "differ in size"),
    "another pixel type": (lambda s: rewritten(arm(s, "ours")[0], lambda i: sitk.Cast(i, sitk.sitkFloat32)), "pixel type"),
    "another pixel type of the same size": (lambda s: rewritten(arm(s, "noisy")[1], lambda i: sitk.Cast(i, sitk.sitkUInt16)), "pixel type"),
    "another geometry": (lambda s: rewritten(arm(s, "ours")[0], lambda i: i[:, :, ::-1]), "headers of its case differ"),
    "another size": (lambda s: rewritten(arm(s, "ours")[0], lambda i: i[:-1]), "differ in size"),
    "another scale": (lambda s: patch_voxels(arm(s, "ours")[0], lambda v: v * 1.3), "differ in brightness"),
    "other steps": (lambda s: patch_voxels(arm(s, "ours")[0], lambda v: v // 4 * 4), "different steps"),
    "another window": (
        lambda s: change_plan(s, lambda plan, volume: plan["windows"][volume].update(width=99.0)),
        "different windows",
    ),
    "arm in the plan": (lambda s: change_plan(s, lambda plan, volume: plan["windows"][volume].update(arm="ours")), "damaged"),
    "arms in the plan": (lambda s: change_plan(s, lambda plan, volume: plan.update(arms=["ours"])), "do not belong in a plan"),
    "another date": (lambda s: os.utime(arm(s, "ours")[0], (1, 1)), "different dates"),
    "other permissions": (lambda s: arm(s, "ours")[0].chmod(0o600), "different permissions"),
    "a missing volume": (lambda s: arm(s, "ours")[0].unlink(), "is missing"),
}


def patch_voxels(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    voxels = np.frombuffer(path.read_bytes(), "<i2", offset=352)
    patch(path, 352, change(voxels.astype(np.float64)).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def large_study(tmp_path_factory) -> StudyFolder:
    """Enough cases that an order is no accident."""
    return make_study(tmp_path_factory.mktemp("large"), configuration(27))


@pytest.mark.parametrize(("plant", "said"), LEAKS.values(), ids=LEAKS)
def test_a_planted_leak_is_found(plant, said, large_study, tmp_path):
    study = StudyFolder(Path(shutil.copytree(large_study.root, tmp_path / "study")))
    assert found(study) == ""
    plant(study)
    try:
        assert said in found(study)
    except InputError as error:
        assert said in str(error)


@pytest.mark.parametrize("order", ["blocks", "turns"])
def test_a_reading_list_in_the_order_of_the_arms_is_found(order, large_study, tmp_path):
    study = StudyFolder(Path(shutil.copytree(large_study.root, tmp_path / "study")))
    sort_lists(study, order)
    assert "the order of the cases reveals the arm" in found(study)


def test_side_by_side_panels_in_one_order_are_found(tmp_path):
    forms = [{"kind": "preference"}]
    study = make_study(tmp_path, configuration(24, presentation="side-by-side", sessions=1, forms=forms, primary_outcome="preference"))
    assert found(study) == ""
    key, plan = read_key(study.key), read_plan(study.reading)
    sort = {
        reader: tuple(
            tuple(replace(item, volumes=tuple(sorted(item.volumes, key=lambda v: key.volumes[v].arm))) for item in session)
            for session in sessions
        )
        for reader, sessions in plan.lists.items()
    }
    (study.reading / PLAN).unlink()
    write_plan(study.reading, replace(plan, lists=sort))
    assert "the place of a panel reveals the arm" in found(study)


def test_two_keys_of_one_study_do_not_repeat_names(tmp_path, made_study):
    again = make_study(tmp_path)
    assert set(read_key(again.key).volumes).isdisjoint(read_key(made_study.key).volumes), "names must not follow from seed and arm"
    lists = []
    for study in (again, made_study):
        key, plan = read_key(study.key), read_plan(study.reading)
        lists.append([key.volumes[item.volumes[0]] for reader in plan.readers for item in plan.items_of(reader)])
    assert lists[0] == lists[1], "the lists do follow from the seed"


def arms(**changes):
    return {name: changes.get(name) or phantom(1, noise) for name, noise in (("noisy", 30.0), ("ours", 8.0))}


def test_another_grid_is_refused_and_the_same_points_in_another_order_are_not():
    shifted = replace(phantom(1, 8.0), ijk_to_ras=GRID + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]))
    with pytest.raises(InputError, match="S1: the arm 'ours' does not lie on the voxel grid of 'noisy'"):
        blind(arms(ours=shifted), "S1")
    flip = np.diag([1.0, -1, 1, 1])
    flip[1, 3] = 23
    turned = replace(phantom(1, 8.0), voxels=phantom(1, 8.0).voxels[:, ::-1].copy(), ijk_to_ras=GRID @ flip)
    straight, back = blind(arms(), "S1").volumes["ours"], blind(arms(ours=turned), "S1").volumes["ours"]
    np.testing.assert_array_equal(back.voxels, straight.voxels)
    np.testing.assert_array_equal(back.ijk_to_ras, straight.ijk_to_ras)


def test_unequal_brightness_is_refused_or_matched():
    brighter = phantom(1, 8.0, "float32", gain=1.5)
    with pytest.raises(InputError, match=r"'ours' is 1\.\d+ times as bright as 'noisy'.*brightness: matched"):
        blind(arms(ours=brighter), "S1")
    matched = blind(arms(ours=brighter), "S1", match=True)
    core = (slice(2, 6), slice(10, 14), slice(8, 12))
    ours, noisy = (float(matched.volumes[name].voxels[core].mean()) for name in ("ours", "noisy"))
    assert abs(ours / noisy - 1) < 0.02
    assert abs(matched.factors["noisy"] / matched.factors["ours"] - 1.5) < 0.02


def test_whole_numbers_beside_fractions_get_the_same_steps():
    blinded = blind({"noisy": phantom(1, 30.0), "ours": phantom(1, 8.0, "float32")}, "S1")
    for volume in blinded.volumes.values():
        values = np.unique(volume.voxels).astype(int)
        assert np.gcd.reduce(values) == 1 and volume.pixel_type == "int16"
    # A step finer than the whole numbers would show in one arm only.
    assert blinded.factors["noisy"] == 1.0


def test_fractions_between_0_and_1_keep_4096_grey_levels_and_bright_outliers_fit():
    small = {name: replace(phantom(1, noise, "float32"), voxels=phantom(1, noise, "float32").voxels / 800) for name, noise in NOISE.items()}
    blinded = blind(small, "S1")
    assert 4000 < blinded.window.width < 4200
    small["ours"].voxels[0, 0, 0] = 40.0
    blinded = blind(small, "S1")
    assert 32000 < blinded.volumes["ours"].voxels.max() <= 32767


def test_no_study_is_made_over_another_or_without_its_images(tmp_path):
    study = make_study(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        make_study(tmp_path)
    shutil.rmtree(study.root)
    (tmp_path / "images" / "S3" / "ours.nii.gz").unlink()
    with pytest.raises(InputError, match=r"S3 \(head\), arm 'ours': .* does not exist"):
        make_study(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "study.yaml"]


def test_who_stops_the_making_of_a_study_finds_nothing_left(tmp_path):
    write_images(tmp_path / "images", [f"S{n}" for n in range(6)] + ["P0"])
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(configuration()), encoding="utf-8")
    said: list[str] = []
    with pytest.raises(Cancelled, match="nothing was written"):
        create_study(tmp_path / "study.yaml", tmp_path / "study", lambda done, left, what: said.append(what), lambda: len(said) == 3)
    assert said == [f"Blinding case {n} of 7" for n in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "study.yaml"]


def test_an_image_of_another_size_stops_the_study_and_leaves_nothing(tmp_path):
    images = write_images(tmp_path / "images", [f"S{n}" for n in range(6)] + ["P0"])
    image = sitk.ReadImage(str(images / "S4" / "ours.nii.gz"))
    sitk.WriteImage(image[:, :-2], str(images / "S4" / "ours.nii.gz"))
    with pytest.raises(InputError, match=r"S4 \(head\): the arm 'ours' does not lie on the voxel grid"):
        make_study(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "study.yaml"]


GUARDED = """
import sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event in ("open", "sqlite3.connect", "os.listdir") else None)
from MRIDenoiseLib.reader_study.reading.reading import Reading
folder = Path(sys.argv[1])
reading = Reading(folder, "R1")
while (shown := reading.next()) is not None:
    [panel.path.read_bytes() for panel in shown.panels]
    reading.pause(); reading.resume()
    reading.save({field.name: field.choices[0].value for field in shown.fields if field.kind == "choice"})
    reading.revise(reading.rated()[-1])
    reading.save({field.name: field.choices[1].value for field in shown.fields if field.kind == "choice"})
print(reading.status().sentence)
print([name for name in opened if str(folder) in name and not name.startswith(str(folder / "reading"))])
print([name for name in opened if "ratings" in name][:1])
print([name for name in sys.modules if name == "torch" or name.startswith("MRIDenoiseLib.reader_study.running")])
"""


def test_reading_opens_nothing_outside_its_folder_and_works_without_the_key(study):
    shutil.rmtree(study.key)
    done = subprocess.run([sys.executable, "-c", GUARDED, str(study.root)], capture_output=True, text=True, check=True)
    said, outside, inside, modules = done.stdout.splitlines()
    assert said.startswith("Session 2 of 3 opens on")
    assert outside == "[]" and modules == "[]"
    assert "ratings.sqlite" in inside, "the guard must have been told of what was opened"


def test_a_key_of_another_study_does_not_lift_the_blinding(study):
    (study.key / "key.json").unlink()
    write_key(study.key, Key("another", {}))
    with pytest.raises(InputError, match="do not belong"):
        unblinded(study.root)


def test_dates_are_equal_after_a_copy_too(study):
    files = list((study.reading / VOLUMES).iterdir())
    os.utime(files[0], None)
    assert "different dates" in found(study)
    equalise_dates(files)
    assert found(study) == ""
