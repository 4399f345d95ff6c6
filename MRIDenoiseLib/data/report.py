"""The page with the results of a preparation: one HTML file with everything in it, and nobody's name.

Pictures to judge an alignment by: noisy, clean laid on it, their difference, and the clean edges drawn over the noisy.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from MRIDenoiseLib.data.cases import Dropped
from MRIDenoiseLib.data.records import RecordMeta
from MRIDenoiseLib.data.references import counts
from MRIDenoiseLib.image.body import intensity_scale
from MRIDenoiseLib.io.images import sitk_image
from MRIDenoiseLib.page import figure, heading, page, paragraph, table
from MRIDenoiseLib.prompt.acquisition import plane_of_geometry
from MRIDenoiseLib.volume import Volume

PANEL = 300
"""Pixels, the longer side of one image."""
DIFFERENCE_WINDOW = 0.2
"""Of the grey window: black and white in the difference."""
EDGE_BLUR = 1.5
EDGE_SHARE = 0.08
"""Part of the pixels, those of the steepest gradients, that are drawn as edges."""
EDGE_COLOUR = (255, 96, 0)
_GAP = 4

_HANGING = {"axial": "LPS", "sagittal": "PIL", "coronal": "LIP"}
"""Plane -> patient directions of increasing column, row and slice, as radiologists hang it."""


@dataclass(frozen=True)
class Picture:
    """One alignment for a person to judge.

    Args:
        label: of the case; free of names.
        flow_p95: pixels of movement that is left.
        verdict: why the pair was refused, empty where it was accepted.
        png: the four images side by side.
    """

    label: str
    flow_p95: float
    verdict: str
    png: bytes = field(repr=False)


class WorstPictures:
    """Keeps the pictures of the pairs with the most movement left, and draws no others.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.pictures: list[Picture] = []

    def offer(self, flow_p95: float, draw: Callable[[], Picture]) -> None:
        """Draw and keep a picture if it is among the worst so far."""
        if len(self.pictures) == self._count and flow_p95 <= self.pictures[-1].flow_p95:
            return
        kept = sorted([*self.pictures, draw()], key=lambda picture: -picture.flow_p95)
        self.pictures = kept[: self._count]


def alignment_png(noisy: Volume, clean: np.ndarray, mask: np.ndarray) -> bytes:
    """A PNG of the slice that shows most of the body, four times; the grey windows end at each image's P99.5 inside the body.

    Args:
        noisy: the noisy volume.
        clean: float array, the shape of its voxels.
        mask: bool, the same shape: where both show the body.
    """
    scales = [intensity_scale(noisy.stacked(image), noisy.stacked(mask)) for image in (noisy.voxels, clean)]
    plane = str(plane_of_geometry(noisy.ijk_to_ras, noisy.slice_axis).value)
    images = [_hung(image, noisy.ijk_to_ras, plane) for image in (noisy.voxels / scales[0], clean / scales[1], mask.astype(np.float32))]
    index = int(np.argmax(images[2].sum(axis=(1, 2))))
    one, other = (image[index] for image in images[:2])
    difference = (one - other) / (2 * DIFFERENCE_WINDOW) + 0.5
    panels = [_enlarged(_grey(panel)) for panel in (one, other, difference)] + [_enlarged(_with_edges(one, other))]
    gap = np.zeros((panels[0].shape[0], _GAP, 3), np.uint8)
    return _png(np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1))


def _hung(voxels: np.ndarray, ijk_to_ras: np.ndarray, plane: str) -> np.ndarray:
    """The voxels as slices of a plane, turned as radiologists hang them."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk_image(voxels, ijk_to_ras), _HANGING.get(plane, "LPS")))


def _grey(image: np.ndarray) -> np.ndarray:
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _with_edges(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    drawn = _grey(noisy)
    steepness = ndimage.gaussian_gradient_magnitude(clean, EDGE_BLUR)
    ridge = steepness >= ndimage.maximum_filter(steepness, 3) * 0.95
    drawn[ridge & (steepness > np.quantile(steepness, 1 - EDGE_SHARE))] = EDGE_COLOUR
    return drawn


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Every pixel drawn as a block, so that nothing is smoothed."""
    times = max(PANEL // max(image.shape[:2]), 1)
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _png(image: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        sitk.WriteImage(sitk.GetImageFromArray(image, isVector=True), str(path), useCompression=True)
        return path.read_bytes()


PAIR_STEPS = ("reading", "acceleration", "alignment", "brightness", "reference")
"""Steps at which a pair that was found is given up; the other steps concern what never became a pair."""
_LABELS_SHOWN = 12
_PAIRS_SHOWN = 40
_HOW = (
    "Measured by the spectrum of flat tissue, like the noisy image's. In a nearly clean volume it takes texture for noise, so these "
    "figures are upper bounds; mridenoise own-noise measures the noise alone."
)


@dataclass(frozen=True)
class Summary:
    """What a preparation has come to.

    Args:
        site: the name the user gave.
        records: what was written, in order.
        slices: how many each of them has.
        dropped: what was not.
        reunited: patients who were put into another split because they share an image with a patient there.
        accepted: pictures of the records that lie worst on each other, the worst first.
        refused: the same of pairs that were given up.
        notes: a pair's label, and what is to be said about its images.
    """

    site: str
    records: Sequence[RecordMeta]
    slices: Sequence[int]
    dropped: Sequence[Dropped]
    reunited: int
    accepted: Sequence[Picture]
    refused: Sequence[Picture]
    notes: Sequence[tuple[str, str]] = ()

    @property
    def pairs_dropped(self) -> int:
        """Pairs that were found and given up."""
        return sum(dropped.step in PAIR_STEPS for dropped in self.dropped)

    @property
    def drop_rate(self) -> float:
        """Their part of all pairs found, 0 to 1."""
        return self.pairs_dropped / max(len(self.records) + self.pairs_dropped, 1)


def write_report(path: Path, summary: Summary) -> None:
    """Write the page.

    Args:
        path: an HTML file that does not exist yet.
        summary: of the preparation.
    """
    body = [
        *_overview(summary),
        *_dropped(summary.dropped),
        *_contents(summary),
        *_measured(summary.records),
        *_own_noise(summary.records),
        *_pictures("The records with the worst alignment", summary.accepted),
        *_pictures("Pairs given up", summary.refused),
    ]
    note = "The pictures show patients: keep this page where the images may be kept."
    path.write_text(page("Prepared pairs", note, body), encoding="utf-8")


def _overview(summary: Summary) -> list[str]:
    patients = len({meta.subject for meta in summary.records})
    pairs = len(summary.records) + summary.pairs_dropped
    rows: list[tuple[object, ...]] = [
        ("site", summary.site),
        ("pairs found", pairs),
        ("pairs written", f"{len(summary.records)} ({sum(summary.slices)} slices of {patients} patients)"),
        ("pairs given up", f"{summary.pairs_dropped} ({summary.drop_rate:.0%} at this site)"),
        ("images that are in no pair", len(summary.dropped) - summary.pairs_dropped),
    ]
    if summary.reunited:
        rows.append(("patients moved to another split, because they share an image with a patient there", summary.reunited))
    parts = [table((), rows)]
    if any(meta.gt_kind == "inclusive" for meta in summary.records):
        parts.append(
            paragraph(
                "Some clean volumes contain the noise of their noisy partner, as an average does that the fast scan is part of. They are "
                "marked inclusive and not trained on.",
                "warning",
            )
        )
    return parts


def _dropped(dropped: Sequence[Dropped]) -> list[str]:
    if not dropped:
        return ["<h2>Dropped</h2><p>Nothing.</p>"]
    labels: dict[tuple[str, str], list[str]] = {}
    for one in dropped:
        labels.setdefault((one.step, one.reason), []).append(one.label)
    rows = [
        (step, reason, len(names), ", ".join(names[:_LABELS_SHOWN]) + (" ..." if len(names) > _LABELS_SHOWN else ""))
        for (step, reason), names in sorted(labels.items(), key=lambda item: -len(item[1]))
    ]
    note = paragraph("Numbers count images, folders (the one that was given is the first) and files in the order of their names.", "note")
    return [heading("Dropped"), table(("at", "why", "how many", "which"), rows), note]


def _contents(summary: Summary) -> list[str]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, meta in enumerate(summary.records):
        groups.setdefault((meta.split, meta.organ or "unknown", meta.contrast or "unknown", meta.acceleration_group), []).append(number)
    rows = [
        (*key, len({summary.records[k].subject for k in found}), len(found), sum(summary.slices[k] for k in found))
        for key, found in sorted(groups.items())
    ]
    return [heading("Written"), table(("split", "organ", "contrast", "acceleration", "patients", "pairs", "slices"), rows)]


def _measured(records: Sequence[RecordMeta]) -> list[str]:
    aligned = [meta.alignment for meta in records if meta.alignment is not None]
    measures: list[tuple[str, Iterable[float | None], str]] = [
        ("acceleration", (meta.acceleration for meta in records), ".2f"),
        ("noise level, part of the bright tissue", (meta.noise_level / meta.scale or None for meta in records), ".1%"),
        ("clean image's own noise, part of the bright tissue", ((meta.own_noise or 0) / meta.scale or None for meta in records), ".1%"),
        ("brightness of clean against noisy", (meta.gain for meta in records), ".3f"),
        ("movement undone, mm", (float(np.linalg.norm(a.translation)) for a in aligned), ".2f"),
        ("rotation undone, degrees", (float(np.linalg.norm(a.rotation)) for a in aligned), ".2f"),
        ("movement left (95th percentile), pixels", (a.flow_p95 for a in aligned), ".2f"),
        ("agreement of edges before", (a.ncc_before for a in aligned), ".2f"),
        ("agreement of edges after", (a.ncc_after for a in aligned), ".2f"),
    ]
    rows = []
    for name, values, form in measures:
        known = [value for value in values if value is not None]
        if known:
            rows.append((name, *(format(value, form) for value in (min(known), float(np.median(known)), max(known))), len(known)))
    kinds = Counter((meta.gt_kind.replace("_", " "), meta.noise) for meta in records)
    return [
        heading("Measured"),
        table(("", "least", "median", "most", "pairs"), rows),
        table(("reference", "noise", "pairs"), [(*key, count) for key, count in sorted(kinds.items())]),
    ]


def _own_noise(records: Sequence[RecordMeta]) -> list[str]:
    """Each pair whose clean volume was measured, the noisiest against its partner first, and in words what that means."""
    shares = [
        (meta.own_noise / meta.noise_level, number, meta)
        for number, meta in enumerate(records, 1)
        if meta.own_noise is not None and meta.noise_level > 0
    ]
    if not shares:
        return []
    shares.sort(key=lambda share: -share[0])
    apart = [number for _, number, meta in shares if not counts(meta.own_noise or 0.0, meta.noise_level)]
    rows = [
        (number, meta.split, meta.contrast or "unknown", f"{(meta.own_noise or 0) / meta.scale:.1%}", f"{share:.0%}")
        for share, number, meta in shares[:_PAIRS_SHOWN]
    ]
    parts = [heading("Noise of the clean volumes"), paragraph(_HOW, "note")]
    if apart:
        named = ", ".join(map(str, sorted(apart)[:_PAIRS_SHOWN])) + (" ..." if len(apart) > _PAIRS_SHOWN else "")
        parts.append(
            paragraph(
                f"In {len(apart)} of {len(shares)} pairs the clean volume's own noise may be more than a third of the noisy image's: "
                f"figures measured against it would reward keeping noise. Pairs {named}.",
                "warning",
            )
        )
    if len(shares) > _PAIRS_SHOWN:
        parts.append(paragraph(f"The {_PAIRS_SHOWN} noisiest of {len(shares)} pairs.", "note"))
    return [*parts, table(("pair", "split", "contrast", "own noise, part of the bright tissue", "part of the noisy image's"), rows)]


def _pictures(title: str, pictures: Sequence[Picture]) -> list[str]:
    if not pictures:
        return []
    parts = [heading(title), paragraph("Noisy; clean, aligned; noisy minus clean; edges of the clean on the noisy image.", "note")]
    for picture in pictures:
        verdict = f"; {picture.verdict}" if picture.verdict else ""
        parts.append(figure(picture.png, f"{picture.label}: {picture.flow_p95:.2f} pixels of movement left{verdict}"))
    return parts
