"""Every program in examples/ runs and leaves behind what it promises."""

import subprocess
from pathlib import Path

import pytest
from page_blocks import ROOT

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data

LEFT_BEHIND = {
    "01_denoise.py": ("out.nii.gz", "residual_out.nii.gz"),
    "02_watch_the_estimate.py": ("watched.nii.gz",),
    "03_your_own_sampler.py": ("relaxed.nii.gz",),
    "04_compare.py": ("figures.json", "sharpened.nii.gz", "blur.nii.gz"),
    "05_train.py": ("model/card.json",),
    "06_reader_study.py": ("report.html", "STUDY/key/key.json"),
}
SAID = {
    "01_denoise.py": "noise found",
    "02_watch_the_estimate.py": "   4  200",
    "03_your_own_sampler.py": "relaxed {'steps': 4, 'part': 0.7}",
    "04_compare.py": "every figure",
    "05_train.py": "the new model runs: regression",
    "06_reader_study.py": "noisy scores lower than denoised",
}


def test_no_example_is_forgotten() -> None:
    assert sorted(LEFT_BEHIND) == sorted(SAID) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LEFT_BEHIND))
def test_it_runs(name: str, tmp_path: Path, python: list[str]) -> None:
    words = []
    if name == "01_denoise.py":
        # Two slices instead of sixteen.
        noisy = m.read(sample_data("head_T1w_noisy.nii.gz"))
        m.write(m.Volume(noisy.voxels[7:9], noisy.ijk_to_ras, noisy.pixel_type, acquired_axis=0), tmp_path / "head_T1w.nii.gz")
        words = ["head_T1w.nii.gz", "out.nii.gz"]
    done = subprocess.run([*python, str(ROOT / "examples" / name), *words], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout
    assert [place for place in LEFT_BEHIND[name] if not (tmp_path / place).is_file()] == []
