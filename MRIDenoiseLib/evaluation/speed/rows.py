"""Which rows a speed table has: the ways to denoise on every number format and batch, what users have, and the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from MRIDenoiseLib.evaluation.speed.peers import PEERS
from MRIDenoiseLib.evaluation.speed.row import Row
from MRIDenoiseLib.inference.backend import Precision

METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "regression": {"method": "regression", "samples": 1},
    "posterior-mean": {"method": "posterior-mean", "steps": 1, "samples": 1},
    "sharpened": {"method": "sharpened"},
    "fidelity-guided": {"method": "fidelity-guided", "steps": 10},
    "ddim": {"method": "ddim", "steps": 10},
}
"""What to time -> its settings; ``default`` is what the model's card says."""

USUAL = ("default", "regression", "posterior-mean", "sharpened", "fidelity-guided")

CHANGE = 0.02
"""dB: by how much the number format, the batch and the backend may change an image's PSNR at most."""


def table_rows(base: Row, methods: Sequence[str], precisions: Sequence[Precision], batches: Sequence[int], peers: bool) -> list[Row]:
    """Every method in every number format and batch, then the peers.

    Args:
        base: what they have in common.
        methods: names of :data:`METHODS`.
        precisions: number formats; changes are counted from the first row of a method.
        batches: slices a call.
        peers: whether those are wanted.
    """
    rows = [
        replace(base, title=method, settings=METHODS[method], precision=precision, batch=batch)
        for method in methods
        for batch in batches
        for precision in precisions
    ]
    return rows + ([replace(base, title=name, peer=name, bundle=None) for name in PEERS] if peers else [])


def ladder_rows(base: Row, method: str, precision: Precision, batch: int, compiled: bool) -> list[Row]:
    """One way to denoise the sample head, at first as a simple program would do it; each row then adds one thing to that before.

    Args:
        base: what they have in common.
        method: name of one of :data:`METHODS`.
        precision: the lower number format.
        batch: slices of a larger batch.
        compiled: whether to compile in the end.
    """
    first = replace(
        base,
        title="as a simple program does it",
        settings=METHODS[method],
        head=True,
        volumes=0,
        batch=1,
        precision="float32",
        text_cached=False,
        cropped=False,
        channels_last=False,
        inference_mode=False,
        compiled=False,
    )
    steps: list[tuple[str, dict[str, Any]]] = [
        ("text's embedding kept", {"text_cached": True}),
        ("cropped to what is shown", {"cropped": True}),
        ("inference mode", {"inference_mode": True}),
        ("channels last", {"channels_last": True}),
        (f"{batch} slices a call", {"batch": batch}),
        (precision, {"precision": precision}),
    ]
    if compiled:
        steps.append(("compiled", {"compiled": True}))
    rows = [first]
    for title, change in steps:
        rows.append(replace(rows[-1], title=f"+ {title}", **change))
    return rows
