"""Every figure of merit of one image against a reference, with its definition. Ranges, masks and slices are chosen only here.

Two data ranges are in use and both are named: the maximum of the reference volume (the fastMRI challenge's), which one bright
vessel decides, and the P99.5 of its positive voxels, which the comparisons here use. Both come from the whole reference volume,
never from a slice, and so does the foreground: where the reference is brighter than 8 % of its P99.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.evaluation import figures as metrics
from MRIDenoiseLib.evaluation.figures import FASTMRI, FOREGROUND_THRESHOLD, WANG, Edges
from MRIDenoiseLib.evaluation.figures.residual import detail_taken, edge_correlation
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.image.noise import reference_noise

Better = Literal["higher", "lower", "nearer 0", "nearer 1", "nearer the noise's", "to compare with"]


class Definition(NamedTuple):
    """What a figure means.

    Args:
        title: for the head of a column.
        sentence: the definition.
        unit: of the figure; empty for a plain number.
        better: which direction is better. The figure ``residual_*`` of a perfect denoiser is ``noise_*``.
        digits: after the decimal point.
    """

    title: str
    sentence: str
    unit: str
    better: Better
    digits: int


_MAX, _P995 = "L = the reference volume's maximum", "L = P99.5 of the reference volume's positive voxels"
_TAKEN = "noisy - image, what was removed"

DEFINITIONS: Mapping[str, Definition] = {
    "psnr": Definition("PSNR", f"10 log10(L^2 / MSE), {_MAX}, squared error pooled over whole slices", "dB", "higher", 2),
    "psnr_p995": Definition("PSNR (P99.5)", f"the same with {_P995}", "dB", "higher", 2),
    "psnr_slices": Definition("PSNR by slice", f"mean over slices of each slice's PSNR, {_MAX}", "dB", "higher", 2),
    "psnr_foreground": Definition("foreground PSNR", f"PSNR inside the mask only, {_P995}", "dB", "higher", 2),
    "psnr_corrected": Definition(
        "corrected PSNR",
        "foreground PSNR with the reference's own noise taken out; for a noisy image that was made by adding noise to the reference",
        "dB",
        "higher",
        2,
    ),
    "ssim": Definition(
        "SSIM", f"Wang's convention: 11 x 11 Gaussian of 1.5 px, population covariance, whole slices, {_P995}", "", "higher", 4
    ),
    "ssim_foreground": Definition("foreground SSIM", "the same map averaged inside the mask only", "", "higher", 4),
    "ssim_fastmri": Definition(
        "SSIM (fastMRI)", f"fastMRI's convention: 7 x 7 uniform, sample covariance, whole slices, {_MAX}", "", "higher", 4
    ),
    "ssim_fastmri_foreground": Definition("foreground SSIM (fastMRI)", "the same map averaged inside the mask only", "", "higher", 4),
    "lpips": Definition(
        "LPIPS",
        f"v0.1, VGG16, slices cut to the mask's box, [0, L] to [-1, 1], {_P995}; a score of sharpness, not of fidelity",
        "",
        "lower",
        4,
    ),
    "edge_width": Definition(
        "edge width",
        "10-90 % width of the mean edge profile at the steeper half of the reference's clean edges",
        "mm",
        "to compare with",
        2,
    ),
    "edge_width_ratio": Definition("edge width ratio", "the image's edge width relative to the reference's", "", "nearer 1", 3),
    "bias": Definition("bias", "mean of image - reference inside the mask, of the mean reference there", "%", "nearer 0", 2),
    "bias_dark": Definition("bias, dark", "the same in the darkest third of the mask (by the smoothed reference)", "%", "nearer 0", 2),
    "bias_middle": Definition("bias, middle", "the same in the third between", "%", "nearer 0", 2),
    "bias_bright": Definition("bias, bright", "the same in the brightest third", "%", "nearer 0", 2),
    "residual_autocorrelation": Definition(
        "residual autocorrelation",
        f"of {_TAKEN}, evened to one local strength: root mean square correlation with neighbours up to 5 px in the mask; 0 is white",
        "",
        "nearer the noise's",
        3,
    ),
    "noise_autocorrelation": Definition("noise autocorrelation", "the same of noisy - reference", "", "to compare with", 3),
    "residual_edges": Definition(
        "residual on edges",
        f"correlation of the size of {_TAKEN} with the reference's gradient inside the mask",
        "",
        "nearer the noise's",
        3,
    ),
    "noise_edges": Definition("noise on edges", "the same of noisy - reference", "", "to compare with", 3),
    "detail_taken": Definition(
        "detail taken", "part of the reference's fine detail (between Gaussians of 1 and 2 px) that went with the noise", "", "nearer 0", 3
    ),
    "slice_flicker": Definition(
        "slice flicker",
        "variance of the slice-to-slice difference of image - reference, relative to that of noisy - reference",
        "",
        "lower",
        3,
    ),
    "ssim_across": Definition("SSIM across", f"foreground SSIM (Wang) of the two planes across the slices, {_P995}", "", "higher", 4),
}
"""Name of a figure -> what it means, in the order of tables."""


def shortfall(name: str, figures: Mapping[str, float]) -> float:
    """How far a figure is from its best value, for ranking: smaller is better. NaN for a figure without a better or worse.

    Args:
        name: a key of :data:`DEFINITIONS`.
        figures: of one image; for ``residual_*`` the figure ``noise_*`` is needed as well.
    """
    value = figures[name]
    match DEFINITIONS[name].better:
        case "higher":
            return -value
        case "lower":
            return value
        case "nearer 0":
            return abs(value)
        case "nearer 1":
            return abs(value - 1)
        case "nearer the noise's":
            return abs(value - figures[name.replace("residual", "noise")])
        case _:
            return math.nan


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A reference with everything that is computed from it once, for any number of images.

    Args:
        reference: float (slices, rows, columns), the whole volume.
        mask: bool, the same shape: what counts as foreground.
        spacing: mm along (slices, rows, columns).
        scored: the slices that count, of the whole volume's.
        maximum: of the reference, the one data range.
        p995: of its positive voxels, the other.
    """

    reference: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]
    scored: range
    maximum: float
    p995: float

    @classmethod
    def of(
        cls, reference: np.ndarray, *, spacing: tuple[float, float, float], mask: np.ndarray | None = None, scored: range | None = None
    ) -> Yardstick:
        """Find ranges and foreground in a reference.

        Args:
            reference: float (slices, rows, columns), the whole volume, magnitudes in any unit.
            spacing: mm along (slices, rows, columns).
            mask: bool, the same shape; where the reference is brighter than 8 % of its P99.5 when None.
            scored: neighbouring slices that count; all when None.

        Raises:
            InputError: a reference without signal or with tiny slices, slices outside the volume, a mask of another shape, or a
                mask that is empty in the slices scored.
        """
        p995 = clean_scale(reference)
        where = reference > FOREGROUND_THRESHOLD * p995 if mask is None else mask
        wanted = range(len(reference)) if scored is None else scored
        if where.shape != reference.shape:
            raise InputError("the mask has another shape than the reference; draw it on the reference's own grid")
        if wanted.step != 1 or not wanted or wanted.start < 0 or wanted.stop > len(reference):
            raise InputError(f"slices {wanted.start} to {wanted.stop} are not all there; the volume has {len(reference)}")
        if min(reference.shape[1:]) < WANG.window:
            raise InputError(
                f"slices of {reference.shape[1]} x {reference.shape[2]} pixels are too small to be compared; SSIM needs {WANG.window}"
            )
        if where[wanted.start : wanted.stop].sum() < 3:
            raise InputError("the mask holds nothing in the slices that are to be scored")
        return cls(reference, where, spacing, wanted, float(reference.max()), p995)

    def assess(
        self,
        image: np.ndarray,
        *,
        noisy: np.ndarray | None = None,
        simulated: bool = False,
        perceptual: bool = False,
    ) -> dict[str, float]:
        """Every figure that can be computed for an image; keys of :data:`DEFINITIONS`, in their order.

        Left out are figures that need the noisy image where none is given, figures of the residual where it is zero, figures that
        need neighbours (flicker: two slices, SSIM across: eleven), and edge widths where the reference has too few clean edges.

        Args:
            image: (slices, rows, columns) in the reference's units, whole like the reference; only scored slices are read.
            noisy: what the image was made from, the same shape and units.
            simulated: whether ``noisy`` was made by adding noise to the reference; ``psnr_corrected`` is meaningful only then.
            perceptual: whether to compute LPIPS, which needs a package and weights of its own.

        Raises:
            InputError: another shape than the reference's.
            SettingsError: scikit-image is not installed; or LPIPS is requested and not available.
        """
        if image.shape != self.reference.shape or (noisy is not None and noisy.shape != self.reference.shape):
            raise InputError("the image and the reference differ in shape; compare images of one grid")
        ours, truth, inside = self._cut(image), self._truth, self._inside
        found = {
            "psnr": metrics.psnr(ours, truth, data_range=self.maximum),
            "psnr_p995": metrics.psnr(ours, truth, data_range=self.p995),
            "psnr_slices": metrics.mean_slice_psnr(ours, truth, data_range=self.maximum),
            "psnr_foreground": metrics.psnr(ours, truth, data_range=self.p995, mask=inside),
        }
        found |= self._similarity(ours)
        if perceptual:
            found["lpips"] = metrics.lpips_vgg(ours, truth, data_range=self.p995, mask=inside)
        width = self._edges.width(ours)
        if math.isfinite(width):
            found |= {"edge_width": width, "edge_width_ratio": width / self._edge_width}
        shares = metrics.bias(ours, truth, inside)
        found |= {"bias": shares.overall, "bias_dark": shares.dark, "bias_middle": shares.middle, "bias_bright": shares.bright}
        if noisy is not None:
            found |= self._of_residual(ours, self._cut(noisy), simulated=simulated)
        return {name: found[name] for name in DEFINITIONS if not math.isnan(found.get(name, math.nan))}

    def _similarity(self, ours: np.ndarray) -> dict[str, float]:
        found = {}
        for name, convention, data_range in (("ssim", WANG, self.p995), ("ssim_fastmri", FASTMRI, self.maximum)):
            for suffix, mask in (("", None), ("_foreground", self._inside)):
                found[name + suffix] = metrics.ssim(ours, self._truth, data_range=data_range, mask=mask, convention=convention)
        if len(ours) >= WANG.window:
            found["ssim_across"] = metrics.reformatted_ssim(ours, self._truth, data_range=self.p995, mask=self._inside)
        return found

    def _of_residual(self, ours: np.ndarray, noisy: np.ndarray, *, simulated: bool) -> dict[str, float]:
        truth, inside = self._truth, self._inside
        taken, noise = noisy - ours, noisy - truth
        seen = [z for z in range(len(truth)) if inside[z].any()]
        found = {}
        for name, residual in (("residual", taken), ("noise", noise)):
            # Nothing was removed from the noisy image itself, so there is no residual to measure.
            if residual.any():
                found[f"{name}_autocorrelation"] = metrics.neighbour_correlation(residual, inside)
                found[f"{name}_edges"] = float(np.mean([edge_correlation(residual[z], truth[z], inside[z]) for z in seen]))
        if taken.any():
            found["detail_taken"] = float(np.mean([detail_taken(taken[z], truth[z], inside[z]) for z in seen]))
        if noise.any():
            if (inside[1:] & inside[:-1]).any():
                found["slice_flicker"] = metrics.slice_flicker(ours, truth, noisy, inside)
            if simulated:
                own = reference_noise(truth, inside)
                found["psnr_corrected"] = metrics.noise_corrected_psnr(
                    ours, truth, noisy, data_range=self.p995, reference_noise=own, mask=inside
                )
        return found

    def _cut(self, slices: np.ndarray) -> np.ndarray:
        return slices[self.scored.start : self.scored.stop]

    @cached_property
    def _truth(self) -> np.ndarray:
        return self._cut(self.reference)

    @cached_property
    def _inside(self) -> np.ndarray:
        return self._cut(self.mask)

    @cached_property
    def _edges(self) -> Edges:
        return Edges.of(self._truth, self._inside, self.spacing[1:])

    @cached_property
    def _edge_width(self) -> float:
        return self._edges.width(self._truth)
