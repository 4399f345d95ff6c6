"""Real noise, no simulation: single repeats of real measurements, denoised, against the mean of the others.

In the repeats of the data folder the same object was measured several times. Single measurements are denoised, and each is
compared with the mean of all others. So are the single measurement itself, its best Gaussian blur and, with --bm4d (extra
``peers``), BM4D at the best of several strengths. "Noise alone" means simulated repeats: the mean of many repeats with noise of
the same strength and spectrum. Measured repeats differ by noise, but also by motion, pulsation and drift, which no denoiser can
know. Where a denoiser does well on noise alone and not on the measured repeats, the difference is not noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.table import Table
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.data.repeats import read_repeat_sets
from MRIDenoiseLib.evaluation.claims.claim import Claim, Headline, Method, Numbers, Option
from MRIDenoiseLib.evaluation.claims.repeat_trial import LARGEST_BIAS, NOTE, Closeness, Peer, RepeatResult, measure_repeats
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.volume import Volume

WHAT = (
    "single repeats of real measurements against the mean of the others, in tissue: error with P99.5 = 1, PSNR in dB; true_: with "
    "the variance of that mean taken out; bias: mean of the residual in per cent of the mean signal; floor: what noise adds to a magnitude"
)

BM4D_STRENGTHS = (0.5, 0.65, 0.8, 1.0)
"""Times the spread of the repeats, which contains motion and pulsation in addition to the noise."""


SOFT = 2.0
"""Pixels over which tissue fades out where the noise's spectrum is measured."""
ENOUGH = 16
"""Repeats whose mean is clean enough to be used as the truth; with fewer, a denoiser would rightly remove noise from the truth."""


def measure(
    data: Annotated[Path, Option("folder with repeats/", variable="MRIDENOISE_DATA", counts=False)],
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    limit: Annotated[int | None, Option("denoise only so many repeats of each set", least=1)] = None,
    bm4d: Annotated[bool, Option("also compare with BM4D at its best strength; minutes a volume")] = False,
) -> Numbers:
    """Every set of repeats; sets with many repeats also with noise alone."""
    sets = read_repeat_sets(data)
    denoiser = Denoiser(model)

    def denoise(volume: Volume) -> Volume:
        return denoiser(volume, Settings(method=method)).volume

    others = {"BM4D": _bm4d_at_every_strength} if bm4d else {}
    figures: dict[str, Any] = {}
    for number, repeats in enumerate(sets):
        groups = [[io.read(data / repeats.file, volume=index + 1) for index in group] for group in repeats.groups]
        compared = {repeats.name: groups}
        if min(len(group) for group in groups) >= ENOUGH:
            compared[f"{repeats.name}, noise alone"] = [synthetic_repeats(group) for group in groups]
        for part, (name, volumes) in enumerate(compared.items()):

            def report(done: int, total: int, part: int = part, name: str = name, parts: int = len(compared), number: int = number) -> None:
                progress((number + (part + done / total) / parts) / len(sets), None, name)

            figures[name] = _numbers(measure_repeats(volumes, denoise, others=others, limit=limit, progress=report))
    return {"what": WHAT, "method": method or model.default_method, "note": NOTE, "sets": figures}


def _bm4d_at_every_strength(noisy: np.ndarray, spread: float) -> Iterator[tuple[str, np.ndarray]]:
    for strength in BM4D_STRENGTHS:
        yield f"{strength:g} x the spread of the repeats", block_matching(noisy, strength * spread)


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per set, and the settings of its best blur and of the others."""
    results: dict[str, dict[str, Any]] = numbers["sets"]
    others = next(iter(results.values()))["others"]
    title = "PSNR of single repeats against the mean of the others / against the truth (reference noise taken out), dB"
    table = Table(
        "set",
        "images",
        "noisy",
        "best blur",
        *others,
        "denoised",
        f"closer than {', '.join(('noisy', 'blur', *others))}",
        "mean residual",
        "worst",
        "floor",
        "holds",
        title=title,
    )
    for name, result in results.items():
        peers = (result["best_blur"], *result["others"].values())
        decibels = (f"{version['psnr']:.2f} / {version['true_psnr']:.2f}" for version in (result["noisy"], *peers, result["denoised"]))
        closer = (result["closer_than_noisy"], *(peer["beaten"] for peer in peers))
        wins = f"{', '.join(str(number) for number in closer)} of {result['repeats']}"
        bias = f"{result['bias_percent']:+.2f} %", f"{result['worst_bias_percent']:+.2f} %", f"{result['floor_percent']:.2f} %"
        table.add_row(name, str(result["repeats"]), *decibels, wins, *bias, "yes" if result["holds"] else "NO")
    yield table
    for name, result in results.items():
        settings = {"best blur": result["best_blur"], **{f"best {other}": peer for other, peer in result["others"].items()}}
        chosen = ", ".join(f"{other} {peer['setting']}" for other, peer in settings.items())
        yield f"{name}: {chosen}; noise of the reference {result['reference_sigma']:.4f} of P99.5"
    yield (
        f"It holds where the denoised image is closer than both, and its mean residual at most {LARGEST_BIAS:g} % below zero or above "
        f"the floor: what noise adds to a magnitude, which the mean of the others keeps. {numbers['note']}"
    )


def _numbers(result: RepeatResult) -> dict[str, Any]:
    def of(version: Closeness) -> dict[str, float]:
        return {"mse": version.mse, "psnr": version.psnr, "true_mse": version.true_mse, "true_psnr": version.true_psnr}

    def at_its_best(peer: Peer) -> dict[str, Any]:
        return of(peer.closeness) | {"setting": peer.setting, "beaten": peer.beaten}

    return {
        "repeats": result.repeats,
        "reference_sigma": result.reference_sigma,
        "noisy": of(result.noisy),
        "denoised": of(result.denoised),
        "best_blur": at_its_best(result.blur),
        "others": {name: at_its_best(peer) for name, peer in result.others.items()},
        "closer_than_noisy": result.closer_than_noisy,
        "bias_percent": result.bias,
        "worst_bias_percent": result.worst_bias,
        "floor_percent": result.floor_percent,
        "holds": result.holds,
    }


def headline(numbers: Numbers) -> Headline:
    """How many single repeats come closer to the mean of the others, and by how much in each set."""
    sets = numbers["sets"]
    closer, of = (sum(one[name] for one in sets.values()) for name in ("closer_than_noisy", "repeats"))
    gains = {f"{name}: gain, dB": round(one["denoised"]["psnr"] - one["noisy"]["psnr"], 2) for name, one in sets.items()}
    return Headline(f"{closer} of {of} single repeats come closer to the mean of the others.", {"repeats": of, "closer": closer, **gains})


CLAIM = Claim("repeats", measure, show, headline, width=160)


def synthetic_repeats(repeats: Sequence[Volume], seed: int = 0) -> list[Volume]:
    """The same number of magnitude images of the repeats' mean, each with independent complex Gaussian noise.

    The noise has the power spectrum within slices that the differences of successive repeats have inside tissue, and their
    strength there, everywhere.

    Args:
        repeats: of one condition, three or more on one grid.
        seed: of the noise.
    """
    first = repeats[0]
    stack = np.stack([first.stacked(volume.voxels) for volume in repeats]).astype(np.float64)
    mean = stack.mean(axis=0)
    tissue = body_mask(mean)
    # A soft border: a hard one would spread the spectrum's low frequencies over all others.
    window = ndimage.gaussian_filter(tissue.astype(np.float64), (0, SOFT, SOFT))
    differences = np.diff(stack, axis=0) / np.sqrt(2) * window
    power = (np.abs(np.fft.fft2(differences)) ** 2).mean(axis=(0, 1))
    sigma = float(np.sqrt(stack.var(axis=0, ddof=1)[tissue].mean()))
    grain = np.sqrt(power / power.mean())
    generator = np.random.default_rng(seed)

    def noise() -> np.ndarray:
        white = generator.normal(0, sigma, mean.shape)
        return np.fft.ifft2(np.fft.fft2(white) * grain).real

    return [volume.with_voxels(first.unstacked(np.hypot(mean + noise(), noise()))) for volume in repeats]
