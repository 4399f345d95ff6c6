"""Watch how the estimate of a diffusion method evolves from step to step, on the middle slice of the sample.

The paper's method starts from the noisy slice. At every step the network gives an estimate of the clean slice, and the slice moves a
little towards it.
"""

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.inference import SliceBatch, method_of, watched

noisy = m.read(sample_data("head_T1w_noisy.nii.gz"))
denoise = m.open_denoiser()
seen: list[tuple[int, float, float]] = []


def observe(batch: SliceBatch, event: dict) -> None:
    """Called after every network call with the step, the noise level t, the image so far and the estimate of the clean one."""
    measured = batch.seen_by("denoiser")
    start = measured[:, measured.shape[1] // 2]
    moved = (event["x"][:, 0] - start).square().mean().sqrt().item()
    apart = (event["x"] - event["denoised"]).square().mean().sqrt().item()
    seen.append((event["t"], moved, apart))


settings = m.Settings(method="fidelity-guided", steps=4, fidelity=0.1)
method = method_of(settings.resolved(denoise.bundle.default_method, denoise.bundle.default_settings))
result = denoise(noisy, m.Settings(slices=(8, 9)), method=watched(method, observe))

print("step    t   moved from the noisy slice   from the network's estimate")
for step, (t, moved, apart) in enumerate(seen, start=1):
    print(f"{step:4} {t:4}   {moved:.4f}                       {apart:.4f}")
m.write(result.volume, "watched.nii.gz", overwrite=True)
