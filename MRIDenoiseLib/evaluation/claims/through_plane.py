"""What reformats and projections of a denoised volume show.

Flicker: how much the error changes from slice to slice, compared with the anatomy, in middle slices of volumes of patients that
no training saw, with the noise of the comparisons. The model is compared with the noisy image, the blur that leaves as much noise
in flat tissue and, with --bm4d (extra ``peers``), BM4D in three dimensions, given the true noise.
Vessels: a slab of 3-D scans as they are is denoised, and the contrast of the brightest thin structures of its maximum-intensity
projection is compared before and after, and with the blur that removes as much fine grain. Look at the pictures, which show that
projection and reformats across the acquired plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import numpy as np
from rich.table import Table
from scipy import ndimage

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.evaluation.blur import equally_clean_blur
from MRIDenoiseLib.evaluation.claims.claim import (
    Claim,
    Data,
    Headline,
    Method,
    NoisyVolume,
    Numbers,
    Option,
    Samples,
    chosen,
    tracked,
    volumes_of,
)
from MRIDenoiseLib.evaluation.claims.native_noise import (
    BLURRED,
    BM4D,
    DENOISED,
    Denoise,
    ScanOutcome,
    denoise_with,
    filtered_slices,
    middle_slices,
    scan_trial,
)
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching
from MRIDenoiseLib.evaluation.figures import FOREGROUND_THRESHOLD, flicker_of_anatomy
from MRIDenoiseLib.evaluation.pictures import AMPLIFIED, Panel, display_window, draw_strip, framed, oriented_slice
from MRIDenoiseLib.image.body import body_mask
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS
from MRIDenoiseLib.volume import Volume

NOISY = "noisy"
BRIGHTEST = 99.8
"""Percentile that is drawn white in a projection: vessels shall not saturate there, while fat may in a slice."""

WHAT = (
    "flicker: variance of the slice-to-slice difference of (image - clean) over that of the clean slices, in tissue of middle slices "
    "with simulated noise; vessels: median part of the contrast of the brightest thin structures in the maximum-intensity projection "
    "of a slab of a real scan that is left (fine: part of the fine grain removed); equal blur: with as much noise left as the model"
)

SLAB = 60
"""Slices that a maximum-intensity projection is taken over; a 3-D scan has at least this number."""
ISOTROPIC = 1.2
"""The largest spacing of a 3-D scan may be at most this many times its smallest one."""
OPENING = 3
"""Pixels, radius of the disc that does not fit into a thin structure."""
SMOOTHING = 1.0
"""Pixels over which the projection is smoothed before structures are searched, so that they are not peaks of noise."""
APART = 7
"""Pixels: a structure is the brightest place within this window."""
INNER, OUTER = 4.0, 7.0
"""Pixels, of the ring that a structure's surroundings are measured in."""
RIM = 0.15
"""Relative to the body's half width: its outer part is left out, because fat of the skin is as bright and thin as a vessel."""
MOST = 40
LEAST = 0.3
"""Relative to the prominence of the strongest structure: weaker ones may be noise."""


@dataclass(frozen=True, eq=False)
class ThinStructures:
    """The brightest thin structures of a maximum-intensity projection, found once, on the noisy one.

    Args:
        places: (structures, 2) rows and columns, the most prominent first.
    """

    places: np.ndarray

    @classmethod
    def of(cls, projection: np.ndarray, body: np.ndarray) -> ThinStructures:
        """Find them in what an opening with a disc removes.

        Args:
            projection: (rows, columns), see :func:`maximum_projection`.
            body: bool, the same shape: where the projection shows the body.

        Raises:
            InputError: the body is too small to hold any.
        """
        depth = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1]
        inside = depth > max(RIM * depth.max(), OUTER)
        if not inside.any():
            raise InputError("the projection shows too little of the body to look for vessels in")
        smooth = ndimage.gaussian_filter(projection.astype(np.float64), SMOOTHING)
        rows, columns = np.ogrid[-OPENING : OPENING + 1, -OPENING : OPENING + 1]
        prominence = ndimage.white_tophat(smooth, footprint=np.hypot(rows, columns) <= OPENING)
        # A corner of something broad is prominent, too, but next to it there is something brighter.
        brightest = smooth == ndimage.maximum_filter(smooth, APART)
        peaks = inside & brightest & (prominence > LEAST * prominence[inside].max())
        places = np.argwhere(peaks)
        strongest = np.argsort(-prominence[peaks], kind="stable")[:MOST]
        return cls(places[strongest])

    def contrasts(self, projection: np.ndarray) -> np.ndarray:
        """For each structure: its peak (largest within a pixel of the place) minus the median of the ring around it."""
        reach = int(np.ceil(OUTER))
        rows, columns = np.ogrid[-reach : reach + 1, -reach : reach + 1]
        distance = np.hypot(rows, columns)
        ring = (distance >= INNER) & (distance <= OUTER)
        padded = np.pad(projection.astype(np.float64), reach, mode="edge")
        found = []
        for row, column in self.places.tolist():
            patch = padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
            found.append(patch[distance < 2].max() - np.median(patch[ring]))
        return np.array(found)

    def kept(self, before: np.ndarray, after: np.ndarray) -> float:
        """The median part of their contrast in the projection ``before`` that is left in ``after``; both (rows, columns).

        Noise makes single pixels of the noisy projection brighter, so that even a perfect denoiser keeps a little less than 1.

        Raises:
            InputError: there is none.
        """
        if not len(self.places):
            raise InputError("the projection shows no thin bright structure")
        return float(np.median(self.contrasts(after) / self.contrasts(before)))


def maximum_projection(slices: np.ndarray) -> np.ndarray:
    """The brightest value along the slices: (slices, rows, columns) to (rows, columns)."""
    brightest: np.ndarray = np.max(slices, axis=0)
    return brightest


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    samples: Samples = None,
    rows: Annotated[str, Option("noises of the flicker, with commas between")] = "R,L2-2",
    subjects: Annotated[str, Option("whose volumes the flicker is measured on; by default the test patients'")] = "",
    limit: Annotated[int, Option("middle slices of the flicker", least=2)] = 6,
    scans: Annotated[
        str, Option("3-D scans for vessels and reformats: file names without endings; by default the manifest's as-scanned ones")
    ] = "",
    slab: Annotated[int, Option("middle slices of these scans", least=2)] = SLAB,
    bm4d: Annotated[bool, Option("also BM4D in three dimensions; seconds a slice")] = False,
    pictures: Annotated[Path | None, Option("folder for pictures of reformats and projections", counts=False)] = None,
) -> Numbers:
    """The flicker on every volume and noise, and the vessels of the 3-D scans."""
    cases = list(product(volumes_of(data, subjects), chosen(rows, BENCHMARK_ROWS, "noise")))
    three_dimensional = _named(read_manifest(data), scans) if scans else three_dimensional_scans(data)
    denoise = denoise_with(model, method, samples)
    peer = block_matching if bm4d else None

    flicker: list[dict[str, Any]] = []
    for source, noise in tracked(cases, progress, "volumes and noises"):
        row = NoisyVolume.read(data, source, noise)
        images = _images(row, middle_slices(len(row.clean), limit), denoise, bm4d)
        clean = images.pop("clean")
        numbers = {name: round(flicker_of_anatomy(image, clean, clean > FOREGROUND_THRESHOLD), 5) for name, image in images.items()}
        flicker.append({"volume": source.name, "noise": noise, "flicker": numbers})
    vessels: list[dict[str, Any]] = []
    for source in tracked(three_dimensional, progress, "3-D scans"):
        scan = io.read(data / source.file)
        outcome = scan_trial(scan, denoise, limit=slab, peer=peer)
        vessels.append({"scan": source.name, "slices": list(outcome.slices), **_vessels(outcome)})
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            _draw(scan, outcome, pictures, source.name)
    facts = {"what": WHAT, "method": method or model.default_method, "limit": limit, "slab": slab}
    return {**facts, "flicker": flicker, "vessels": vessels}


def three_dimensional_scans(data: Path) -> list[ManifestRow]:
    """The scans as they are (the split ``as-scanned``) with voxels nearly as deep as wide, and enough slices for a projection.

    Args:
        data: with a ``MANIFEST.csv``.
    """
    found = []
    for row in read_manifest(data, split="as-scanned"):
        scan = io.read(data / row.file)
        if max(scan.spacing) <= ISOTROPIC * min(scan.spacing) and len(scan.stack) >= SLAB:
            found.append(row)
    return found


def _named(rows: list[ManifestRow], names: str) -> list[ManifestRow]:
    wanted = [name for name in names.split(",") if name]
    found = [row for row in rows if row.name in wanted]
    missing = set(wanted) - {row.name for row in found}
    if missing:
        raise SettingsError(f"the manifest has no scan '{min(missing)}'")
    return found


def _images(row: NoisyVolume, chosen_slices: tuple[int, int], denoise: Denoise, bm4d: bool) -> dict[str, np.ndarray]:
    """The chosen slices: clean, noisy and after every method."""
    first, last = chosen_slices
    whole = row.volume.stack
    clean, noisy = row.clean[first:last], whole[first:last]
    denoised = denoise(row.volume, chosen_slices)[0].stack[first:last]
    tissue = row.clean > FOREGROUND_THRESHOLD
    images = {"clean": clean, NOISY: noisy, DENOISED: denoised}
    if bm4d:
        images[BM4D] = filtered_slices(whole, tissue, chosen_slices, row.noise_level, block_matching)
    images[BLURRED] = equally_clean_blur(noisy, denoised, clean, tissue[first:last])(noisy)
    return images


def _vessels(outcome: ScanOutcome) -> dict[str, Any]:
    noisy = outcome.images[NOISY]
    before = maximum_projection(noisy)
    structures = ThinStructures.of(before, np.any(body_mask(noisy), axis=0))
    methods = {name: image for name, image in outcome.images.items() if name != NOISY}
    return {
        "structures": len(structures.places),
        "kept": {name: round(structures.kept(before, maximum_projection(image)), 4) for name, image in methods.items()},
        "fine": {name: round(outcome.removals[name].fine, 4) for name in methods},
    }


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Flicker by volume and noise, whether it is at most BM4D's, and what is left of vessels."""
    flicker, vessels = numbers["flicker"], numbers["vessels"]
    names = list(flicker[0]["flicker"])
    table = Table("volume", "noise", *names, title="Flicker between slices, per cent of what the anatomy changes")
    means = {name: float(np.mean([row["flicker"][name] for row in flicker])) for name in names}
    for row in [*flicker, {"volume": "mean", "noise": "", "flicker": means}]:
        table.add_row(row["volume"], row["noise"], *(f"{100 * row['flicker'][name]:.2f}" for name in names))
    yield table
    if BM4D in names:
        fewer = sum(row["flicker"][DENOISED] <= row["flicker"][BM4D] for row in flicker)
        answer = "holds" if fewer == len(flicker) else "does not hold"
        yield f"Wanted: at most BM4D's. It {answer}: so on {fewer} of {len(flicker)} rows."
    table = Table("scan", "structures", "method", "contrast kept", "fine grain removed", title="Thin bright structures in the projection")
    for row in vessels:
        for name, kept in row["kept"].items():
            head = (row["scan"], str(row["structures"])) if name == DENOISED else ("", "")
            table.add_row(*head, name, f"{100 * kept:.0f} %", f"{100 * row['fine'][name]:.0f} %")
    if vessels:
        yield table


def _draw(scan: Volume, outcome: ScanOutcome, folder: Path, name: str) -> None:
    """Reformats through the middle of the slab in both planes across the acquired one, and its maximum-intensity projection."""
    denoised, noisy = (outcome.images[which] for which in (DENOISED, NOISY))
    # Only the direction of the axes matters here, so a slab may be used in place of the scan.
    slabs = [scan.with_stack(image) for image in (noisy, denoised)]
    for number, across in enumerate(other for other in range(3) if other != scan.slice_axis):
        (before, aspect), (after, _) = (oriented_slice(replace(each, acquired_axis=across)) for each in slabs)
        window = display_window(before)
        _strip(folder / f"{name}_reformat{number + 1}.png", f"{name}, across the acquired plane", before, after, aspect, window)
    (before, aspect), (after, _) = (oriented_slice(scan.with_stack(maximum_projection(image)[None]), 0) for image in (noisy, denoised))
    window = float(np.percentile(before, BRIGHTEST))
    _strip(folder / f"{name}_projection.png", f"{name}, maximum-intensity projection of {len(noisy)} slices", before, after, aspect, window)


def _strip(path: Path, title: str, noisy: np.ndarray, denoised: np.ndarray, aspect: float, window: float) -> None:
    frame, low = framed(noisy, window), window / AMPLIFIED
    panels = [Panel("noisy", noisy, 0, window), Panel("denoised", denoised, 0, window)]
    panels.append(Panel(f"noisy - denoised, {AMPLIFIED} x", noisy - denoised, -low, low))
    draw_strip(path, [panel._replace(image=panel.image[frame]) for panel in panels], title, aspect=aspect)


def headline(numbers: Numbers) -> Headline:
    """The flicker before and after, and what is left of vessels."""
    figures: dict[str, float] = {"volumes and noises": len(numbers["flicker"])}
    after, before = (round(mean(row["flicker"][name] for row in numbers["flicker"]), 4) for name in (DENOISED, NOISY))
    figures |= {"flicker, part of what the anatomy changes": after, "flicker of the noisy images": before}
    says = f"Flicker is {100 * after:.1f} % of what the anatomy changes (noisy {100 * before:.1f} %)"
    if numbers["vessels"]:
        kept = figures["contrast left of small vessels"] = round(mean(scan["kept"][DENOISED] for scan in numbers["vessels"]), 3)
        says += f"; vessels keep {100 * kept:.0f} %"
    return Headline(f"{says}.", figures)


CLAIM = Claim("through-plane", measure, show, headline)
