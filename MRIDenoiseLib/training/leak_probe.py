"""Is a degradation network useful? Does it rebuild hidden noise, and does it contain more than the clean slice itself?

Trained end to end, the multi-cycle chain rewards its restoration network for hiding the noise in the restored image, too
faint to be seen, where the degradation network finds it (the "steganography" of Chu et al., "CycleGAN, a master of
steganography", 2017). Such a degradation network is useless on a truly clean image, which hides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.models.conditioning import Conditioning

ImageNetwork = Callable[[Tensor, Conditioning], Tensor]

EIGHT_BIT_STEP = 2 / 255
"""Distance of two grey levels in network units."""
NO_ERROR = 1e-9
SMALLEST_GAIN = 0.005
"""Nats a pixel, about half a percent of the error: less than that does not count as a gain."""
LARGEST_REBUILT = 0.1
"""Share of the noise that may be in the degraded image beyond what the restored one visibly kept."""
LARGEST_CHANGE = 0.02
"""Relative change of the degradation network's error that rounding its input may make."""
TOO_NOISY = 0.9
"""A restoration network that leaves more of the noise than this hides none of it."""


@torch.no_grad()
def leak_probe(restoration: ImageNetwork, degradation: ImageNetwork, batch: Batch, conditioning: Conditioning) -> dict[str, float]:
    """Measure both questions on pairs, best of patients that the networks were not trained on.

    With x clean, y measured, psi the restoration and phi the degradation network:

    - ``crops``: how many pairs that were;
    - ``correlation``: of phi(psi(y)) - x with y - x in the body, the mean over slices;
    - ``noise_kept``: the share of the noise y - phi(x) that is in psi(y) - x, by least squares in the body of each slice, the
      mean over slices; phi(x) and not x, because blur or a noise floor that phi predicts from the clean slice is nothing hidden;
    - ``noise_rebuilt``: the share of it that is in phi(psi(y)) - phi(x); much more than was kept was hidden;
    - ``error_from_clean``: mean absolute error of phi(x) against y in units of the noise level; Gaussian noise has 0.80;
    - ``error_from_estimate``: the same for phi(psi(y)); far below the first means a leak;
    - ``rounding_change``: relative change of the mean absolute error of phi(psi(y)) when psi(y) is rounded to 8 bit; in
      network units, so that slices with hardly any noise, where rounding matters to anyone, do not decide;
    - ``error_of_identity``: mean absolute error of x itself in units of the noise level;
    - ``likelihood_gain``: how much more likely, in nats a pixel, y is around phi(x) than around x, if errors have a Laplace
      distribution whose scale is fitted to each slice for phi and for the identity;
    - ``likelihood_gain_body``: the same in the body alone, where the network is to guide a denoiser;
    - ``beats_identity``: 1 where ``likelihood_gain`` is worth the name, else 0.

    Args:
        restoration: psi, of B x 1 x H x W.
        degradation: phi, of B x 1 x H x W.
        batch: the pairs; of ``measured`` the centre slice counts.
        conditioning: of the batch.
    """
    centre = batch.measured.shape[1] // 2
    measured = batch.measured[:, centre : centre + 1]
    difference = measured - batch.clean
    level = batch.noise_level.view(-1, 1, 1, 1)
    body = batch.body > 0.5

    from_clean = degradation(batch.clean, conditioning).float()
    estimate = restoration(measured, conditioning).float()
    from_estimate = degradation(estimate, conditioning).float()
    from_rounded = degradation((estimate / EIGHT_BIT_STEP).round() * EIGHT_BIT_STEP, conditioning).float()
    error = (from_clean - measured).abs()
    error_from_estimate = (from_estimate - measured).abs()
    change = (from_rounded - measured).abs().mean() / error_from_estimate.mean().clamp_min(NO_ERROR) - 1
    gain = _likelihood_gain(error, difference.abs(), torch.ones_like(body))
    return {
        "crops": float(len(batch.clean)),
        "correlation": _correlation(from_estimate - batch.clean, difference, body),
        "noise_kept": _share(estimate - batch.clean, measured - from_clean, body),
        "noise_rebuilt": _share(from_estimate - from_clean, measured - from_clean, body),
        "error_from_clean": float((error / level).mean()),
        "error_from_estimate": float((error_from_estimate / level).mean()),
        "rounding_change": float(change),
        "error_of_identity": float((difference.abs() / level).mean()),
        "likelihood_gain": gain,
        "likelihood_gain_body": _likelihood_gain(error, difference.abs(), body),
        "beats_identity": float(gain > SMALLEST_GAIN),
    }


def verdict(probe: Mapping[str, float]) -> list[str]:
    """What the values of :func:`leak_probe` mean, in sentences for a model's card; empty values were never measured."""
    if "likelihood_gain" not in probe:
        return ["The degradation network was not probed for hidden noise."]
    gain, in_body = probe["likelihood_gain"], probe["likelihood_gain_body"]
    compared = f"on {probe['crops']:.0f} crops ({gain:+.3f} nats a pixel over all, {in_body:+.3f} in the body)"
    if not probe["beats_identity"]:
        lines = [f"The degradation network does not beat the identity {compared}: it is of no use."]
    elif in_body <= SMALLEST_GAIN:
        lines = [f"The degradation network beats the identity by the noise floor of air alone {compared}: in the body it is of no use."]
    else:
        lines = [f"The degradation network beats the identity {compared}."]
    kept, rebuilt = probe["noise_kept"], probe["noise_rebuilt"]
    if kept > TOO_NOISY:
        return [
            *lines,
            f"The restoration network it was trained with leaves {kept:.0%} of the noise: it is unknown whether any is hidden.",
        ]
    hidden = rebuilt - kept > LARGEST_REBUILT
    if hidden:
        lines.append(
            f"The degradation network rebuilds {rebuilt:.0%} of the noise from restored images that keep {kept:.0%} of it: "
            "it was trained on hidden noise, which no clean image holds."
        )
    if probe["rounding_change"] > LARGEST_CHANGE:
        lines.append(
            f"Rounding the restored image to 8 bit raises the degradation network's error by {probe['rounding_change']:.0%}: "
            "it reads what is too faint to be seen."
        )
    elif not hidden:
        lines.append(f"No hidden noise was found: {rebuilt:.0%} of the noise is in its output where {kept:.0%} was in its input.")
    return lines


def _share(error: Tensor, noise: Tensor, body: Tensor) -> float:
    """The factor by which the noise is found in an error."""
    error, noise = _centred(error, body), _centred(noise, body)
    return float(((error * noise).sum(dim=1) / noise.square().sum(dim=1).clamp_min(NO_ERROR)).mean())


def _correlation(first: Tensor, second: Tensor, body: Tensor) -> float:
    first, second = _centred(first, body), _centred(second, body)
    return float(functional.cosine_similarity(first, second, dim=1).mean())


def _centred(image: Tensor, body: Tensor) -> Tensor:
    """B x pixels: each slice less its mean in the body, and zero outside."""
    mean = (image * body).sum(dim=(1, 2, 3), keepdim=True) / body.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    return ((image - mean) * body).flatten(1)


def _likelihood_gain(errors: Tensor, of_identity: Tensor, where: Tensor) -> float:
    """Mean over slices of log(scale of the identity / scale of the network), the scale of a Laplace distribution being its MAE.

    The log-likelihood a pixel at the fitted scale b is -log(2 b) - 1.
    """
    scales = [(image * where).sum(dim=(1, 2, 3)) / where.sum(dim=(1, 2, 3)).clamp_min(1) for image in (errors, of_identity)]
    network, identity = (scale.clamp_min(NO_ERROR) for scale in scales)
    return float((identity / network).log().mean())
