"""From a node through a real worker, whose networks change nothing, to a node again: what is lost on the way is a fault of the way."""

import sys
import time
from pathlib import Path

import nodes
import numpy as np
import pytest
import slicer

from MRIDenoiseLib import io, mrml
from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.result import Result
from MRIDenoiseLib.volume import Volume
from MRIDenoiseLib.worker.client import WorkerClient
from MRIDenoiseLib.worker.protocol import Progress

SHAPE = (6, 40, 36)
TOLERANCE = 0.005
"""Of the volume's range."""


@pytest.fixture(scope="module")
def identity_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose regression network gives back what it gets: its last layer is still zero."""
    from MRIDenoiseLib.models.bundle.writing import write_bundle
    from MRIDenoiseLib.models.configs import build_networks, tiny

    folder = tmp_path_factory.mktemp("bundles") / "identity"
    card = {"name": "identity", "default_method": "regression", "default_settings": {}, "intended_use": "tests of the way"}
    write_bundle(folder, **vars(build_networks(tiny())), card=card)
    return folder


@pytest.fixture(scope="module")
def denoise(identity_bundle):
    """Sends a volume through one warm worker."""
    answers: list = []
    client = WorkerClient([sys.executable], answers.append)

    def run(volume: Volume) -> Result:
        client.denoise(volume, {}, bundle=identity_bundle, device="cpu")
        began = time.monotonic()
        while not (answers and not isinstance(answers[-1], Progress)):
            assert time.monotonic() - began < 120
            client.poll()
            time.sleep(0.01)
        answer = answers.pop()
        assert isinstance(answer, Result), answer
        return answer

    yield run
    client.close()


def head(kind: type = np.int16) -> np.ndarray:
    """A bright box of two levels in noise; every voxel different from its neighbours."""
    rng = np.random.default_rng(3)
    array = np.zeros(SHAPE)
    array[:, 6:-6, 6:-6] = 900
    array[:, 10:20, 10:25] = 2100
    return np.hypot(array + rng.normal(0, 60, SHAPE), rng.normal(0, 60, SHAPE)).astype(kind)


def returned(desktop, denoise, node):
    answer = denoise(mrml.to_volume(node))
    return mrml.add_results(desktop.scene, node, answer.volume, answer.residual, mrml.Account(answer.report, answer.report["bundle"]))


@pytest.mark.parametrize("kind", nodes.GRIDS)
def test_a_loaded_file_comes_back_the_same_in_patient_space(desktop, denoise, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "head_T1w.nii.gz"
    io.write(Volume(head().astype(np.float32), nodes.GRIDS[kind], "int16"), path)
    node = desktop.modules["Volumes"].AddArchetypeVolume(str(path), "head_T1w", 0)
    made = returned(desktop, denoise, node).denoised
    after, file = slicer.util.arrayFromVolume(made), io.read(path)
    assert after.dtype == np.int16
    points = nodes.centres(after.shape, nodes.array_of(made))
    there = nodes.at_points(file.voxels, file.ijk_to_ras, points)
    assert np.abs(after.ravel() - there).max() < TOLERANCE * there.max()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_the_scalar_type_comes_back(desktop, denoise, kind: type) -> None:
    array = (head(np.float64) / (12 if kind is np.uint8 else 1)).astype(kind)
    made = returned(desktop, denoise, nodes.add_volume(desktop.scene, array))
    after = slicer.util.arrayFromVolume(made.denoised)
    assert after.dtype == kind and np.abs(after.astype(float) - array).max() < TOLERANCE * array.max() + 1
    assert np.abs(slicer.util.arrayFromVolume(made.residual)).max() < TOLERANCE * array.max()


def test_a_volume_under_a_transform_comes_back_under_it(desktop, denoise) -> None:
    node = nodes.add_volume(desktop.scene, head(), nodes.GRIDS["oblique"])
    shift = nodes.add_shift(desktop.scene)
    node.SetAndObserveTransformNodeID(shift.GetID())
    made = returned(desktop, denoise, node)
    for result in (made.denoised, made.residual):
        assert result.GetTransformNodeID() == shift.GetID()
        assert np.allclose(nodes.array_of(result), nodes.GRIDS["oblique"])


def test_a_sheared_volume_is_refused_before_it_travels(desktop) -> None:
    sheared = nodes.GRIDS["RAS"].copy()
    sheared[0, 1] = 0.3
    with pytest.raises(InputError, match="sheared"):
        mrml.to_volume(nodes.add_volume(desktop.scene, head(), sheared))
