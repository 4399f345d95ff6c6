"""``import MRIDenoiseLib as m``: what a user of the library meets first."""

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.errors import BundleError

FACE = ("Acquisition", "Settings", "Volume", "open_denoiser", "read", "write")


def test_the_face_is_what_is_promised() -> None:
    assert tuple(m.__all__) == FACE
    assert set(FACE) <= set(dir(m))


def test_a_name_that_is_not_there_is_missing_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'denoise_everything'"):
        _ = m.denoise_everything


@pytest.mark.parametrize("names", [(), ("read", "write"), ("Volume", "Acquisition", "Settings")])
def test_what_opens_no_model_loads_no_torch(names: tuple[str, ...]) -> None:
    code = f"import sys, MRIDenoiseLib as m; [getattr(m, name) for name in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", FACE)
def test_the_example_of_each_name_does_what_it_shows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    documented = inspect.getdoc(getattr(m, name)) or ""
    example = doctest.DocTestParser().get_doctest(documented, {}, name, None, None)
    assert example.examples, f"{name} shows no example"
    said: list[str] = []
    failed, _ = doctest.DocTestRunner().run(example, out=said.append)
    assert not failed, "".join(said)


def test_one_line_denoises_a_file_nearer_to_the_clean_one(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = m.read(sample_data("head_T1w_noisy.nii.gz"))
    middle = slice(7, 9)
    part = m.Volume(noisy.voxels[middle], noisy.ijk_to_ras, noisy.pixel_type, noisy.acquisition, acquired_axis=0)
    clean = m.read(sample_data("head_T1w_clean.nii.gz")).voxels[middle]
    denoised = m.open_denoiser(device="cpu")(part).volume.voxels

    def error(voxels: np.ndarray) -> float:
        # The sample's clean background is zero, so only the head counts.
        return float(np.mean((voxels - clean)[clean > 0.08 * np.percentile(clean, 99.5)] ** 2))

    assert error(denoised) < error(part.voxels) / 2


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        m.open_denoiser(tmp_path)


def test_another_model_may_be_named_by_its_folder(tiny_bundle: Path) -> None:
    assert m.open_denoiser(str(tiny_bundle)).bundle.default_method == "posterior-mean"


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert (Path(m.__file__).parent / "py.typed").is_file()
