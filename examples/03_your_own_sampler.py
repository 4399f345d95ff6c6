"""Bring a sampler of your own: a function from a batch of slices to their clean estimates.

Scaling, cropping, batches, the text, the noise level and the way back to a volume stay as they are. This one relaxes: at each of a few
noise levels it noises the image it has come to, asks the network for a clean one, and goes a part of the way there.
"""

from typing import Any

from torch import Tensor

import MRIDenoiseLib as m
from MRIDenoiseLib.card import sample_data
from MRIDenoiseLib.inference import Method, SliceBatch


def relax(batch: SliceBatch, *, steps: int, part: float) -> Tensor:
    """B x 1 x rows x columns, in the networks' units."""
    network, given = batch.network("denoiser"), batch.given("denoiser")
    measured, conditioning, schedule = given["measured"], given["conditioning"], given["schedule"]
    centre = measured.shape[1] // 2
    image = measured[:, centre : centre + 1].clone()
    for i, t in enumerate(schedule.timesteps(steps, t_min=300)):
        state = schedule.add_noise(image, batch.noise(i), t)
        estimate = network(state, measured, image.new_full((len(image),), t).long(), conditioning).clamp(*batch.limits)
        image = image + part * (estimate - image)
        event: dict[str, Any] = {"i": i, "steps": steps, "t": t, "x": image, "denoised": estimate}
        batch.callback(event)
    return image


noisy = m.read(sample_data("head_T1w_noisy.nii.gz"))
own = Method("relaxed", relax, {"steps": 4, "part": 0.7}, needs=("denoiser",))
result = m.open_denoiser()(noisy, m.Settings(slices=(8, 9)), method=own)
print(f"{result.report['method']} {own.options}: {result.report['noise_removed']:.0%} of the noise in flat tissue removed")
m.write(result.volume, "relaxed.nii.gz", overwrite=True)
