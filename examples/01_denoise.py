"""Denoise one volume: python examples/01_denoise.py [IN [OUT]]

Without arguments it takes the sample volume. Research use only.
"""

import sys
from pathlib import Path

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data

source = sys.argv[1] if len(sys.argv) > 1 else sample_data("head_T1w_noisy.nii.gz")
target = Path(sys.argv[2] if len(sys.argv) > 2 else "denoised.nii.gz")

noisy = m.read(source)
for field in ("organ", "contrast", "vendor", "acceleration"):
    fact = getattr(noisy.acquisition, field)
    print(f"{field}: {fact.value} ({fact.source})")

# The model is loaded once and denoises as many volumes as you like.
denoise = m.open_denoiser()
result = denoise(noisy)

m.write(result.volume, target, overwrite=True)
m.write(result.residual, target.with_name(f"residual_{target.name}"), overwrite=True)

print(f"method: {result.report['method']}")
removed = result.report["noise_removed"]
print(f"noise found: {result.noise_level:.3g}" + ("" if removed is None else f", of which {removed:.0%} was removed in flat tissue"))
for warning in result.report["warnings"]:
    print(f"note: {warning}")
print(f"written: {target}")
