"""Real scans as they are: how much grain is removed, and whether clean ones stay as they are.

Nothing is simulated. Measured are the grain in flat tissue, fine and coarse, before and after; how much more was removed on steep
edges than in flat tissue; and how much clean scans were changed; see :mod:`MRIDenoiseLib.image.native_noise`. Texture of the anatomy
counts as grain, too, so no method removes all. The model is compared with the Gaussian blur that removes as much fine grain and,
with --bm4d (extra ``peers``), with BM4D that is given the fine grain. Scans are those of the manifest's split ``as-scanned``, and
those of its split ``test`` that are grainy or clean by their own noise. Look at the pictures, first of all at what was removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import numpy as np
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import CLEAN_ENOUGH, ManifestRow, read_manifest
from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.evaluation.claims.claim import Claim, Data, Headline, Method, Numbers, Option, Samples, tracked
from MRIDenoiseLib.evaluation.denoisers.peers import block_matching
from MRIDenoiseLib.evaluation.pictures import AMPLIFIED, Panel, display_window, draw_strip, framed, oriented_slice
from MRIDenoiseLib.image.body import body_mask, intensity_scale
from MRIDenoiseLib.image.native_noise import LARGEST_CHANGE, Grain, Places, Removal, equal_blur, verdict
from MRIDenoiseLib.inference import Denoiser, ModelSet, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.volume import Volume

DENOISED, BM4D, BLURRED = "denoised", "BM4D", "equal blur"
MARGIN = 3
"""Slices on either side that a three-dimensional filter may use."""
BORDER = 16
"""Pixels around the body that it may use; air farther away is left out to save time."""

Filter = Callable[[np.ndarray, float], np.ndarray]
"""(Noisy (slices, rows, columns), standard deviation of its noise) -> filtered."""
Denoise = Callable[[Volume, tuple[int, int]], tuple[Volume, float]]
"""(Scan, half-open range of slices) -> the scan with these slices denoised, and the standard deviation of its noise as reported,
in its units."""


AS_SCANNED = "as-scanned"
GRAINY = 0.020
"""Own noise, relative to P99.5, above which a scan of a test patient counts as grainy. One below :data:`CLEAN_ENOUGH`, the limit for
training data, has almost no noise and shall stay as it is; scans between the two belong to neither group."""
WHAT = (
    "real scans as they are, middle slices: grain in flat tissue (fine: 1.48 median |I - G1.5 I|; coarse: 1.48 median |G1.5 I - G4 I|), "
    "part of P99.5, and the part of it removed; edge_ratio: rms removed in steep places over that in flat ones; change: rms removed in "
    "the body; BM4D is given the fine grain, equal blur removes as much fine grain as the model"
)


@dataclass(frozen=True, eq=False)
class ScanOutcome:
    """The result for a scan.

    Args:
        name: of the scan.
        slices: half-open range that is measured, across the acquired plane.
        scale: P99.5 of the body, in the scan's units.
        grain: of the scan, relative to the scale.
        estimated: the noise that the model reports, relative to the scale.
        blur: standard deviation in pixels of the Gaussian that removes as much fine grain as the model.
        removals: name of the method -> what it removed; rms values are relative to the scale.
        images: the noisy slices and those of every method, (slices, rows, columns), in the scan's units.
    """

    name: str
    slices: tuple[int, int]
    scale: float
    grain: Grain
    estimated: float
    blur: float
    removals: dict[str, Removal]
    images: dict[str, np.ndarray]

    @property
    def of_estimated(self) -> float:
        """Root mean square of what the model removed in flat tissue, relative to the noise it reports; 0 where it reports none.

        The shift by which it removes the noise floor in dark tissue counts, too; :attr:`Removal.fine` does not include it.
        """
        return self.removals[DENOISED].flat_rms / self.estimated if self.estimated > 0 else 0.0


def middle_slices(count: int, limit: int) -> tuple[int, int]:
    """Half-open range of the ``limit`` middle slices of ``count``, or of all where there are fewer."""
    first = max(0, count // 2 - limit // 2)
    return first, min(count, first + limit)


def denoise_with(model: ModelSet, method: str | None = None, samples: int | None = None) -> Denoise:
    """A denoiser as users have it, from a model with a method and a number of views or samples."""
    denoiser = Denoiser(model)

    def denoise(scan: Volume, slices: tuple[int, int]) -> tuple[Volume, float]:
        result = denoiser(scan, Settings(method=method, samples=samples, slices=slices))
        return result.volume, result.noise_level

    return denoise


def scan_trial(scan: Volume, denoise: Denoise, *, limit: int, peer: Filter | None = None) -> ScanOutcome:
    """Denoise the middle slices of a scan and measure what was removed.

    Args:
        scan: as it came from the scanner.
        denoise: see :func:`denoise_with`.
        limit: how many middle slices.
        peer: BM4D or a similar filter; it is given the fine grain as the standard deviation of the noise.

    Raises:
        InputError: the scan or its middle slices show no body.
    """
    slices = scan.stack
    body = body_mask(slices)
    scale = intensity_scale(slices, body)
    first, last = middle_slices(len(slices), limit)
    noisy = np.ascontiguousarray(slices[first:last] / scale)
    places = Places.of(noisy, body[first:last])
    grain = Grain.of(noisy, places.flat)
    denoised, estimated = denoise(scan, (first, last))
    results = {DENOISED: denoised.stack[first:last] / scale}
    if peer is not None:
        results[BM4D] = filtered_slices(slices / scale, body, (first, last), grain.fine, peer)
    removals = {name: Removal.of(noisy, image, places) for name, image in results.items()}
    blur, results[BLURRED] = equal_blur(noisy, places, removals[DENOISED].fine)
    removals[BLURRED] = Removal.of(noisy, results[BLURRED], places)
    images = {name: image * scale for name, image in ({"noisy": noisy} | results).items()}
    return ScanOutcome(scan.name, (first, last), scale, grain, estimated / scale, blur, removals, images)


def filtered_slices(slices: np.ndarray, body: np.ndarray, chosen: tuple[int, int], level: float, peer: Filter) -> np.ndarray:
    """Some slices after a filter, which sees their neighbours, and air only near the body.

    Args:
        slices: the whole volume (slices, rows, columns), in units of which P99.5 is about 1.
        body: bool, the same shape, with some body in the chosen slices.
        chosen: half-open range of slices.
        level: the standard deviation that the filter is given.
        peer: the filter.

    Returns:
        The chosen slices; far from the body they are unchanged.
    """
    first, last = max(0, chosen[0] - MARGIN), min(len(slices), chosen[1] + MARGIN)
    seen: np.ndarray = np.any(body[first:last], axis=0)
    places = (np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0)))
    frame = tuple(slice(max(0, int(found[0]) - BORDER), int(found[-1]) + BORDER + 1) for found in places)
    filtered = peer(np.ascontiguousarray(slices[(slice(first, last), *frame)], dtype=np.float32), level)
    result = slices[chosen[0] : chosen[1]].copy()
    result[(slice(None), *frame)] = filtered[chosen[0] - first : chosen[1] - first]
    return result


def measure(
    data: Data,
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    samples: Samples = None,
    limit: Annotated[int, Option("middle slices of each scan", least=1)] = 5,
    scans: Annotated[str | None, Option("file names without endings, commas between; all by default")] = None,
    bm4d: Annotated[bool, Option("also BM4D, given the grain; seconds a slice")] = False,
    pictures: Annotated[Path | None, Option("folder for pictures of the middle slices", counts=False)] = None,
) -> Numbers:
    """Denoise every scan as it is."""
    grainy, clean = _chosen(read_manifest(data), scans)
    denoise = denoise_with(model, method, samples)
    outcomes: dict[str, ScanOutcome] = {}
    for row in tracked([*grainy, *clean], progress, "scans"):
        scan = io.read(data / row.file)
        outcome = scan_trial(scan, denoise, limit=limit, peer=block_matching if bm4d else None)
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            _draw(scan, outcome, pictures / f"{row.name}.png", row.name)
        outcomes[row.name] = replace(outcome, images={})
    of_grainy, of_clean = ({row.name: outcomes[row.name] for row in rows} for rows in (grainy, clean))
    facts = {"method": method or model.default_method, "limit": limit}
    return {"what": WHAT, **facts, "scans": _numbers(of_grainy), "clean": _numbers(of_clean)}


def _chosen(rows: Sequence[ManifestRow], names: str | None) -> tuple[list[ManifestRow], list[ManifestRow]]:
    """The grainy scans and the clean ones, of those named.

    Raises:
        SettingsError: there is none, or a name is not among them.
    """
    of_tests = [row for row in rows if row.split == "test" and row.own_noise is not None]
    noisy = {row.name for row in of_tests if (row.own_noise or 0.0) > GRAINY}
    grainy = [row for row in rows if row.split == AS_SCANNED or row.name in noisy]
    clean = [row for row in of_tests if (row.own_noise or 0.0) < CLEAN_ENOUGH]
    known = [row.name for row in (*grainy, *clean)]
    wanted = known if names is None else names.split(",")
    wrong = [name for name in wanted if name not in known]
    if wrong or not known:
        missing = f"'{wrong[0]}'" if wrong else f"of the split {AS_SCANNED}, and no grainy or clean one of the split test,"
        raise SettingsError(f"the manifest has no scan {missing} to be measured as it is; there are: {', '.join(known) or 'none'}")
    grainy, clean = ([row for row in group if row.name in wanted] for group in (grainy, clean))
    return grainy, clean


def show(numbers: Numbers) -> Iterator[Table | str]:
    """Grain removed from grainy scans, change of clean ones, and whether both meet the limits."""
    if numbers["scans"]:
        table = Table(
            "scan", "method", "fine grain", "coarse", "fine removed", "coarse removed", "edge ratio", "noise estimated", "of it removed"
        )
        table.title = "Grain in flat tissue of real scans as they are, per mille of P99.5"
        for scan in numbers["scans"]:
            for method, removal in _removals(scan).items():
                before = [f"{1000 * scan['grain'][name]:.1f}" for name in ("fine", "coarse")]
                of_noise = [f"{1000 * scan['estimated']:.1f}", f"{100 * scan['of_estimated']:.0f} %"]
                head, tail = ([scan["scan"], method, *before], of_noise) if method == DENOISED else (["", method, "", ""], ["", ""])
                table.add_row(*head, *_cells(removal), *tail)
        yield table
        compared = [(found[DENOISED], found[BM4D]) for found in map(_removals, numbers["scans"]) if BM4D in found]
        if compared:
            holds, numbers_in_words = verdict(compared)
            yield f"Wanted: at least what BM4D given the grain removes. It {'holds' if holds else 'does not hold'}: {numbers_in_words}."
    if numbers["clean"]:
        table = Table("clean scan", "method", "rms change", "fine removed", "edge ratio", title="Clean scans, per mille of P99.5")
        for scan in numbers["clean"]:
            for method, removal in _removals(scan).items():
                fine, _, edges = _cells(removal)
                table.add_row(scan["scan"] if method == DENOISED else "", method, f"{1000 * removal.change:.2f}", fine, edges)
        yield table
        most = max(_removals(scan)[DENOISED].change for scan in numbers["clean"])
        answer = "holds" if most < LARGEST_CHANGE else "does not hold"
        wanted = f"clean scans changed by less than {1000 * LARGEST_CHANGE:.0f} per mille"
        yield f"Wanted: {wanted}. It {answer}: {1000 * most:.2f} at most."


def _removals(scan: dict[str, Any]) -> dict[str, Removal]:
    return {method: Removal(**figures) for method, figures in scan["removed"].items()}


def _cells(removal: Removal) -> list[str]:
    edges = "-" if removal.edge_ratio is None else f"{removal.edge_ratio:.2f}"
    return [f"{100 * removal.fine:.0f} %", f"{100 * removal.coarse:.0f} %", edges]


def _numbers(outcomes: dict[str, ScanOutcome]) -> list[dict[str, Any]]:
    return [
        {
            "scan": name,
            "grain": _rounded(asdict(outcome.grain)),
            "estimated": round(outcome.estimated, 5),
            "of_estimated": round(outcome.of_estimated, 4),
            "equal_blur": round(outcome.blur, 3),
            "removed": {method: _rounded(asdict(removal)) for method, removal in outcome.removals.items()},
        }
        for name, outcome in outcomes.items()
    ]


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 5) for name, value in values.items()}


def _draw(scan: Volume, outcome: ScanOutcome, path: Path, title: str) -> None:
    """The middle slice: noisy, denoised, what was removed, and what BM4D (without it, the blur) removed."""
    first, last = outcome.slices
    middle = (first + last) // 2

    def shown(image: np.ndarray) -> tuple[np.ndarray, float]:
        voxels = scan.stack.copy()
        voxels[first:last] = image
        return oriented_slice(scan.with_stack(voxels), middle)

    noisy, aspect = shown(outcome.images["noisy"])
    window = display_window(noisy)
    frame, low = framed(noisy, window), window / AMPLIFIED
    denoised = shown(outcome.images[DENOISED])[0]
    control = BM4D if BM4D in outcome.images else BLURRED
    panels = [Panel("noisy", noisy, 0, window), Panel("denoised", denoised, 0, window)]
    panels += [Panel(f"removed, {AMPLIFIED} x", noisy - denoised, -low, low)]
    panels += [Panel(f"{control} removed, {AMPLIFIED} x", noisy - shown(outcome.images[control])[0], -low, low)]
    draw_strip(path, [panel._replace(image=panel.image[frame]) for panel in panels], title, aspect=aspect)


def headline(numbers: Numbers) -> Headline:
    """Fine grain removed by the model and by BM4D, and the largest change of a clean scan."""
    of_scans, of_clean = ([_removals(scan) for scan in numbers[which]] for which in ("scans", "clean"))
    figures: dict[str, float] = {"grainy scans": len(of_scans), "clean scans": len(of_clean)}
    says = []
    if of_scans:
        ours = figures["part of the fine grain removed, mean"] = round(mean(one[DENOISED].fine for one in of_scans), 3)
        says.append(f"Takes {100 * ours:.0f} % of the grain of {len(of_scans)} real scans")
        if all(BM4D in one for one in of_scans):
            theirs = figures["the same by BM4D given the grain"] = round(mean(one[BM4D].fine for one in of_scans), 3)
            says[-1] += f" (BM4D {100 * theirs:.0f} %)"
    if of_clean:
        most = figures["largest change of a clean scan, part of P99.5"] = round(max(one[DENOISED].change for one in of_clean), 5)
        says.append(f"clean ones change by {100 * most:.2f} %")
    return Headline(f"{'; '.join(says)}.", figures)


CLAIM = Claim("native-noise", measure, show, headline, width=150)
