"""Sheets to look at, one per volume.

Every organ and contrast of the patients that no training saw with the noise of a benchmark row, and two echoes of their DICOM
series both with that noise and as they were scanned. The printed numbers show how the residual relates to the anatomy,
compared with the true noise and with a blur; see :mod:`MRIDenoiseLib.evaluation.figures.residual`. The pictures show patients:
keep them in a folder that is never committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.table import Table

from MRIDenoiseLib import io
from MRIDenoiseLib.data.manifest import ManifestRow, read_manifest
from MRIDenoiseLib.evaluation.claims.claim import Claim, Headline, Method, Numbers, Option, Subjects, chosen, volumes_of
from MRIDenoiseLib.evaluation.figures.residual import ResidualCheck
from MRIDenoiseLib.evaluation.pictures import draw_sheet
from MRIDenoiseLib.image.body import clean_scale
from MRIDenoiseLib.inference import Denoiser, Settings
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.progress import Progress
from MRIDenoiseLib.simulation.presets import BENCHMARK_ROWS, with_noise
from MRIDenoiseLib.volume import Volume

WHAT = (
    "what the residual of one slice has to do with the anatomy; edges: correlation of its size with the clean image's gradient; "
    "detail: part of the fine detail of the clean image that is in it"
)
PICTURES = "runs/sheets, a folder that is not committed: most volumes may not be published"
ECHOES = (1, 4)
"""Echoes of the DICOM series of test patients: one nearly as bright as the first, one much darker."""
AS_SCANNED = "as scanned"


def measure(
    data: Annotated[Path, Option("folder with MANIFEST.csv, volumes/ and dicom/", variable="MRIDENOISE_DATA", counts=False)],
    model: Bundle,
    progress: Progress,
    *,
    method: Method = None,
    noise: Annotated[str, Option(f"a benchmark row: {', '.join(BENCHMARK_ROWS)}")] = "L2-2",
    subjects: Subjects = "",
    out: Annotated[Path, Option("folder for the pictures", counts=False)] = Path("runs") / "sheets",
) -> Numbers:
    """Draw the sheets."""
    chosen(noise, BENCHMARK_ROWS, "noise")
    volumes, series = volumes_of(data, subjects), read_manifest(data, kind="dicom", split="test")
    denoiser = Denoiser(model)
    out.mkdir(parents=True, exist_ok=True)
    count = len(volumes) + 2 * len(ECHOES) * len(series)
    sheets = {}
    for done, (name, noisy, clean) in enumerate(_images(data, volumes, series, noise)):
        path = out / f"{name.replace(' ', '_')}.png"
        progress(done / count, None, f"drawing {path}")
        middle = noisy.voxels.shape[noisy.slice_axis] // 2
        result = denoiser(noisy, Settings(method=method, slices=(middle, middle + 1)))
        draw_sheet(noisy=noisy, denoised=result.volume, clean=clean, path=path, title=name)
        sheets[path.name] = asdict(ResidualCheck.of(noisy=noisy, denoised=result.volume, clean=clean, index=middle))
    return {"what": WHAT, "pictures": PICTURES, "noise": noise, "sheets": sheets}


def show(numbers: Numbers) -> Iterator[Table | str]:
    """One row per sheet."""
    table = Table("sheet", "edges: residual", "edges: noise", "detail taken: denoised", "detail taken: best blur")
    for name, values in numbers["sheets"].items():
        check = ResidualCheck(**values)
        cells = (f"{check.edges:+.3f}", _cell(check.noise_edges, "+.3f"), _cell(check.detail, ".1%"), _cell(check.blur_detail, ".1%"))
        table.add_row(name, *cells)
    yield table


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _images(data: Path, volumes: list[ManifestRow], series: list[ManifestRow], noise: str) -> Iterator[tuple[str, Volume, Volume | None]]:
    """The content of each sheet: its name, the noisy volume and the clean one where there is one."""
    for row in volumes:
        clean = io.read(data / row.file)
        yield f"{clean.name} {noise}", _noisy(clean, noise), clean
    for row, echo in product(series, ECHOES):
        scanned = io.read(data / row.file, echo=echo)
        yield f"{row.organ} echo {echo} {noise}", _noisy(scanned, noise), scanned
        yield f"{row.organ} echo {echo} {AS_SCANNED}", scanned, None


def _noisy(clean: Volume, noise: str) -> Volume:
    """The volume with the noise of a benchmark row, in its own units."""
    noisy = with_noise(clean, noise)
    return replace(noisy.with_voxels(noisy.voxels * np.float32(clean_scale(clean.voxels))), pixel_type="float32")


def headline(numbers: Numbers) -> Headline:
    """How strongly residuals follow edges, and how much fine detail is in them, at most."""
    checks = [ResidualCheck(**values) for values in numbers["sheets"].values()]
    edges = round(max(check.edges for check in checks), 3)
    detail = round(max((check.detail for check in checks if check.detail is not None), default=0.0), 4)
    says = f"Residuals follow edges with a correlation of {edges:.2f} at most and hold {100 * detail:.1f} % of the detail."
    return Headline(says, {"sheets": len(checks), "largest correlation with edges": edges, "largest part of the detail": detail})


CLAIM = Claim("sheets", measure, show, headline)
