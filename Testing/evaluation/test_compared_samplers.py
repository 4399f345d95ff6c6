"""The samplers of the paper's comparison on a volume: everything around them is as for the program's own methods."""

import numpy as np
import pytest

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.denoisers.samplers import SAMPLERS, sampler
from MRIDenoiseLib.inference import Settings, method_of, watched


@pytest.fixture(scope="module")
def options():
    return {
        "ddpm": {"steps": 3},
        "red-diff": {"steps": 3},
        "dps": {"steps": 2, "guidance": 9.0},
        "blind-dps": {"steps": 2, "guidance": 9.0},
    }


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_result_is_the_same_for_any_batch_size_and_any_choice_of_slices(small_denoiser, options, row, name):
    method = sampler(name, **options[name])
    many = small_denoiser(row.volume, Settings(slices=(8, 12), batch_size=4, guarantee=0, strength=1.0), method=method).volume.voxels
    one = small_denoiser(row.volume, Settings(slices=(9, 11), batch_size=1, guarantee=0, strength=1.0), method=method).volume.voxels
    axis = row.volume.slice_axis
    many, one = (np.moveaxis(voxels, axis, 0)[9:11] for voxels in (many, one))
    noisy = np.moveaxis(row.volume.voxels, axis, 0)[9:11]
    assert np.abs(many - one).max() < 1e-3
    assert np.abs(many - noisy).max() > 0.05


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_report_repeats_the_sampler_with_its_options(small_denoiser, options, row, name):
    told = []
    settings = Settings(slices=(10, 12), seed=5, strength=0.5, batch_size=1)
    result = small_denoiser(row.volume, settings, lambda *report: told.append(report[0]), method=sampler(name, **options[name]))
    assert result.report["method"] == name and result.report["strength"] == 0.5 and result.report["seed"] == 5
    assert options[name].items() <= result.report.items()
    assert told[-1] == 1.0 and told == sorted(told)


def test_samplers_differ_from_each_other_and_the_seed_decides(small_denoiser, options, row):
    images = {}
    for name in SAMPLERS:
        for seed in (0, 1):
            method = sampler(name, **options[name])
            images[name, seed] = small_denoiser(row.volume, Settings(slices=(10, 11), seed=seed), method=method).volume.voxels
    assert len(images) == 2 * len(SAMPLERS) > 2
    for first in images:
        for second in images:
            assert first == second or np.abs(images[first] - images[second]).max() > 1e-4


def test_a_method_of_its_own_brings_its_own_options(small_denoiser, row):
    for settings in (Settings(steps=3), Settings(method="ddim"), Settings(fidelity=0.1)):
        with pytest.raises(SettingsError, match="brings its own"):
            small_denoiser(row.volume, settings, method=sampler("ddpm"))
    with pytest.raises(SettingsError, match="no sampler 'dpm'"):
        sampler("dpm")


def test_watching_a_method_shows_every_step_and_changes_nothing(small_denoiser, row):
    seen = []
    chosen = Settings(method="ddim", steps=3).resolved("posterior-mean", {})
    for method in (sampler("ddpm", steps=3), method_of(chosen)):
        seen.clear()
        shown = watched(method, lambda batch, event: seen.append((batch.indices, event["i"], event["denoised"].clone())))
        around = Settings(slices=(9, 12), batch_size=2, guarantee=0, strength=1.0)
        result = small_denoiser(row.volume, around, method=shown)
        assert [(tuple(indices), i) for indices, i, _ in seen] == [
            ((9, 10), 0),
            ((9, 10), 1),
            ((9, 10), 2),
            ((11,), 0),
            ((11,), 1),
            ((11,), 2),
        ]
        assert np.array_equal(result.volume.voxels, small_denoiser(row.volume, around, method=method).volume.voxels)
    # The last estimate of DDIM is what the volume gets.
    last = float(seen[2][2].max())
    assert np.moveaxis(result.volume.voxels, row.volume.slice_axis, 0)[9:11].max() == pytest.approx(
        (last + 1) / 2 * result.report["intensity_scale"], rel=1e-4
    )
