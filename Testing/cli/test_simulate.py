"""``mridenoise simulate`` on real files: what it writes has the geometry, type and scale of what it was given."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import typer
from typer.testing import CliRunner

from MRIDenoiseLib.cli.simulate import simulate
from MRIDenoiseLib.errors import Cancelled, InputError, OutputError, SettingsError
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.simulation.presets import benchmark_row
from MRIDenoiseLib.simulation.simulate import Simulation, simulate_volume
from MRIDenoiseLib.volume import Volume


def phantom() -> np.ndarray:
    z, y, x = np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 40), np.linspace(-1, 1, 36), indexing="ij")
    inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 < 1
    return (inside * (600 + 200 * np.cos(4 * x) * np.cos(3 * y) + 50 * z)).astype(np.int16)


def save(path: Path, voxels: np.ndarray, spacing: tuple[float, float, float] = (0.9, 1.1, 5.0)) -> Path:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin((-12.0, 7.0, 31.0))
    image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(path))
    return path


def run(*arguments: str | Path) -> None:
    app = typer.Typer()
    app.command()(simulate)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    assert "NOT FOR DIAGNOSTIC USE" in result.output


@pytest.mark.parametrize(
    "settings", [("--level", "0", "--sigma", "0.05"), ("--level", "1", "--acceleration", "2"), ("--acceleration", "3")]
)
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_output_keeps_geometry_pixel_type_and_scale(tmp_path: Path, settings: tuple[str, ...], ending: str):
    clean = save(tmp_path / f"clean{ending}", phantom())
    run(clean, tmp_path / f"noisy{ending}", *settings)
    before, after = sitk.ReadImage(str(clean)), sitk.ReadImage(str(tmp_path / f"noisy{ending}"))
    assert after.GetPixelID() == before.GetPixelID() and after.GetSize() == before.GetSize()
    for part in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert np.allclose(getattr(after, part)(), getattr(before, part)(), atol=1e-5)
    x, y = (sitk.GetArrayFromImage(i).astype(float) for i in (before, after))
    inner = x > 300
    assert np.median(y[inner] / x[inner]) == pytest.approx(1, abs=0.02)
    assert 0.01 < (y - x)[inner].std() / clean_scale(x) < 0.4


def test_the_file_says_that_and_how_it_was_simulated(tmp_path: Path):
    clean = save(tmp_path / "clean.nii", phantom())
    run(clean, tmp_path / "noisy.nii", "--acceleration", "3", "--seed", "7")
    told = sitk.ReadImage(str(tmp_path / "noisy.nii")).GetMetaData("descrip")
    assert "simulated acquisition level 2" in told
    assert "seed 7" in told
    account = Simulation(acceleration=3.0, seed=7).derivation()
    assert account.suffix == "simulated"
    assert account.settings["acceleration"] == 3.0
    assert account.description.count("seed") == 1


def test_noise_grows_with_the_acceleration_and_level_0_has_the_strength_asked_for():
    voxels = phantom().astype(np.float32)
    volume = Volume(voxels, np.diag([1.0, 1.0, 5.0, 1.0]))
    inner = voxels > 300

    def strength(simulation: Simulation) -> float:
        return float((simulate_volume(volume, simulation).voxels - voxels)[inner].std() / clean_scale(voxels))

    assert strength(Simulation(level=0, sigma=0.05)) == pytest.approx(0.05, rel=0.05)
    for level in (1, 2):
        once, twice, thrice = (strength(Simulation(level=level, acceleration=a)) for a in (1.0, 2.0, 3.0))
        assert thrice > 1.15 * twice > 1.15 * 1.15 * once


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path: Path):
    clean = save(tmp_path / "clean.nrrd", phantom())
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        run(clean, tmp_path / f"{name}.nrrd", "--acceleration", "2", "--seed", seed)
    a, b, c = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{n}.nrrd"))) for n in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_level_2_is_the_row_of_the_benchmark_along_the_acquired_plane():
    voxels = np.ascontiguousarray(np.moveaxis(phantom().astype(np.float32), 0, 2))
    volume = Volume(voxels, np.diag([5.0, 1.0, 1.0, 1.0]))
    assert volume.slice_axis == 2
    noisy = simulate_volume(volume, Simulation(acceleration=3.0, seed=11))
    scale = clean_scale(voxels)
    row = benchmark_row("L2-3", torch.from_numpy(np.moveaxis(voxels, 2, 0).copy()) / scale)
    assert np.allclose(np.moveaxis(noisy.voxels, 2, 0), row.numpy() * scale, rtol=1e-5)


def test_an_acceleration_between_the_patterns_makes_up_the_rest_with_averages():
    simulation = Simulation(acceleration=2.2)
    model = simulation.model()
    assert model.reduction == pytest.approx(2.25)
    assert model.image_sigma == pytest.approx(0.04 * np.sqrt(2.2 / 2))


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("--level", "0"),
        ("--level", "0", "--sigma", "0.05", "--acceleration", "2"),
        ("--level", "3", "--acceleration", "2"),
        ("--acceleration", "0.5"),
        ("--acceleration", "9"),
        ("--acceleration", "nan"),
        ("--level", "0", "--sigma", "-1"),
    ],
)
def test_settings_that_cannot_work_are_refused_and_nothing_is_written(tmp_path: Path, settings: tuple[str, ...]):
    clean = save(tmp_path / "clean.nrrd", phantom())
    with pytest.raises(SettingsError):
        run(clean, tmp_path / "noisy.nrrd", *settings)
    assert [p.name for p in tmp_path.iterdir()] == ["clean.nrrd"]


def test_an_existing_file_is_kept_unless_overwrite_is_given_and_the_input_always(tmp_path: Path):
    clean = save(tmp_path / "clean.nrrd", phantom())
    noisy = save(tmp_path / "noisy.nrrd", phantom() + 1)
    before = noisy.read_bytes()
    with pytest.raises(OutputError):
        run(clean, noisy, "--acceleration", "2")
    assert noisy.read_bytes() == before
    with pytest.raises(OutputError):
        run(clean, clean, "--acceleration", "2", "--overwrite")
    run(clean, noisy, "--acceleration", "2", "--overwrite")
    assert noisy.read_bytes() != before


def test_images_that_are_no_magnitude_are_refused():
    for wrong in (np.full((2, 4, 4), -1, np.float32), np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 4, 4)):
        with pytest.raises(InputError):
            clean_scale(wrong)
    with pytest.raises(InputError):
        clean_scale(np.full((2, 4, 4), np.nan, np.float32))


def test_a_request_to_stop_stops_before_the_next_slice():
    volume = Volume(phantom().astype(np.float32), np.diag([1.0, 1.0, 5.0, 1.0]))
    done: list[float] = []
    with pytest.raises(Cancelled):
        simulate_volume(volume, Simulation(acceleration=2.0), done.append, lambda: len(done) >= 2)
    assert len(done) == 2
