"""Voxels between two processes: .npy files in a folder that only its owner can read, and that does not outlive its owner."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from MRIDenoiseLib.volume import Acquisition, AcquisitionField, Confidence, Unmeasured, Volume
from MRIDenoiseLib.worker.process_tree import is_running
from MRIDenoiseLib.worker.protocol import ProtocolError, SharedFact, SharedVolume

PREFIX = "mridenoise-"
OWNER = "owner.json"


def make_exchange(parent: Path | None = None) -> Path:
    """A new folder for this process's arrays, closed to other users; what owners that died have left is removed first.

    Args:
        parent: where; the system's place for temporary files when not given.
    """
    place = Path(parent or tempfile.gettempdir())
    _clear_abandoned(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    written = folder / f"{OWNER}.new"
    written.write_text(json.dumps([os.getpid(), _began(os.getpid()), _computer()]), encoding="utf-8")
    # Whole or not there: another process may look at any moment.
    written.replace(folder / OWNER)
    return folder


def remove_exchange(folder: Path) -> None:
    """Remove the folder with all that lies in it, as far as the system lets it go."""
    shutil.rmtree(folder, ignore_errors=True)


def owner_lives(folder: Path) -> bool:
    """Whether the process that made the folder may still run (not another one that got its number).

    For a folder that is just being made, or an owner on another computer that shares the disk, this cannot be known: it counts as alive.
    """
    try:
        pid, began, computer = json.loads((folder / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return folder.exists()
    return computer != _computer() or (is_running(pid) and _began(pid) == began)


def _began(pid: int) -> float | None:
    """When a process was started, in the system's own count, which stays when the clock is set; None where it is gone."""
    with suppress(OSError, IndexError, ValueError):
        # The name of the program comes before in parentheses and may hold anything.
        return float(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19])
    import psutil

    with suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return None


def _computer() -> str:
    """Whose process numbers count: of this computer, and in a container of this one."""
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _clear_abandoned(place: Path) -> None:
    for folder in place.glob(f"{PREFIX}*"):
        # A folder of another user's is not ours to look into.
        with suppress(OSError):
            if os.access(folder, os.W_OK) and not owner_lives(folder):
                remove_exchange(folder)


def share_array(array: np.ndarray, folder: Path, name: str) -> str:
    """Put an array into the folder; its file name."""
    try:
        np.save(folder / name, array, allow_pickle=False)
    except OSError:
        (folder / name).unlink(missing_ok=True)
        raise
    return name


def take_array(folder: Path, name: str, kind: type = np.float32) -> np.ndarray:
    """A shared array of three dimensions, read into memory; its file is removed.

    Raises:
        ProtocolError: no such file, or another kind of array.
    """
    path = folder / Path(name).name
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ProtocolError("voxels between panel and worker are missing or damaged; start again") from error
    if array.dtype != kind or array.ndim != 3:
        raise ProtocolError("voxels between panel and worker are of another kind than they should be; start again")
    with suppress(OSError):
        path.unlink()
    return array


def share_volume(volume: Volume, folder: Path, name: str) -> SharedVolume:
    """Put a volume's voxels into the folder as ``name``; the rest travels in the message. DICOM headers stay behind."""
    facts = {field: SharedFact(**asdict(getattr(volume.acquisition, field))) for field in volume.acquisition.names()}
    array = share_array(volume.in_file(), folder, f"{name}.npy")
    gaps = None if volume.unmeasured is None else share_array(volume.unmeasured.mask, folder, f"{name}-unmeasured.npy")
    matrix = volume.ijk_to_ras.tolist()
    return SharedVolume(array, matrix, volume.pixel_type, volume.slice_axis, facts, list(volume.notes), gaps)


def take_volume(shared: SharedVolume, folder: Path) -> Volume:
    """The volume again; its files are removed.

    Raises:
        ProtocolError: it is none.
    """
    voxels = take_array(folder, shared.array)
    unmeasured = None
    if shared.unmeasured is not None:
        mask = take_array(folder, shared.unmeasured, np.bool_)
        if mask.shape != voxels.shape:
            raise ProtocolError("a volume between panel and worker is damaged; start again")
        unmeasured = Unmeasured(mask, voxels[mask])
        voxels[mask] = 0
    try:
        matrix = np.array(shared.ijk_to_ras, float)
        acquisition = Acquisition(**{name: _fact(fact) for name, fact in shared.acquisition.items()})
        if shared.slice_axis not in range(3):
            raise ValueError(shared.slice_axis)
        return Volume(
            voxels,
            matrix,
            np.dtype(shared.pixel_type).name,
            acquisition,
            acquired_axis=shared.slice_axis,
            notes=tuple(shared.notes),
            unmeasured=unmeasured,
        )
    except (TypeError, ValueError) as error:
        raise ProtocolError("a volume between panel and worker is damaged; start again") from error


def _fact(shared: SharedFact) -> AcquisitionField:
    confidences: dict[str, Confidence] = {"high": "high", "medium": "medium", "low": "low"}
    return AcquisitionField(shared.value, shared.source, confidences.get(shared.confidence, "low"), shared.seen_in_training)
