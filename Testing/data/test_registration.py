"""The clean image finds its place on the noisy one's grid, the noisy one stays as it was measured, and bad pairs are refused."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from MRIDenoiseLib.data import registration
from MRIDenoiseLib.data.registration import coverage, register, resample
from MRIDenoiseLib.errors import Cancelled, InputError
from MRIDenoiseLib.volume import Volume

SNR = 5
MIDDLE = np.array([25.0, -40.0, 60.0])
"""Of the anatomy and of the grids, RAS mm: not where patient space has its origin."""
FINE = ((46, 112, 112), (2.0, 1.0, 1.0))
CLEAN_SHAPE = (50, 104, 116)
STACK = ((20, 64, 64), (4.0, 1.6, 1.6))


def anatomy(ras: np.ndarray) -> np.ndarray:
    """Soft ellipsoids in a body of 100 x 76 x 88 mm around MIDDLE, at points (..., 3) in mm; about 1 inside."""
    rng = np.random.default_rng(5)

    def ellipsoid(centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm((ras - MIDDLE - centre) / radii, axis=-1)
        return 0.5 - 0.5 * np.tanh((distance - 1) * radii.min() / 1.2)

    body = ellipsoid(np.zeros(3), np.array([50.0, 38.0, 44.0]))
    image = body
    for _ in range(40):
        image = image + rng.uniform(-0.6, 0.6) * ellipsoid(rng.uniform(-28, 28, 3), rng.uniform(4, 12, 3)) * body
    return np.maximum(image, 0)


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> np.ndarray:
    """An oblique grid of this shape and spacing (z, y, x) around MIDDLE."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix() @ np.diag((-1, -1, 1)) * spacing[::-1]
    return centred(affine, shape)


def centred(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The same grid with its middle at MIDDLE."""
    affine = affine.copy()
    affine[:3, 3] = MIDDLE - affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return affine


def seen_on(affine: np.ndarray, shape: tuple[int, int, int], movement: np.ndarray) -> Volume:
    """The anatomy after a movement, as this grid would show it without noise."""
    k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
    ras = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ (movement @ affine).T
    return Volume(anatomy(ras[..., :3]).astype(np.float32), affine)


def with_noise(volume: Volume, snr: float = SNR) -> Volume:
    real, imaginary = np.random.default_rng(0).standard_normal((2, *volume.voxels.shape)) / snr
    return volume.with_voxels(np.hypot(volume.voxels + real, imaginary))


def rigid(affine: np.ndarray, degrees: tuple[float, float, float], millimetres: tuple[float, float, float]) -> np.ndarray:
    """A movement about MIDDLE given along the (z, y, x) axes of a grid."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    movement = np.eye(4)
    movement[:3, :3] = Rotation.from_rotvec(axes @ degrees[::-1], degrees=True).as_matrix()
    movement[:3, 3] = axes @ millimetres[::-1] + MIDDLE - movement[:3, :3] @ MIDDLE
    return movement


@dataclass(frozen=True, eq=False)
class Scene:
    """A noisy volume, what it would be without noise, its clean partner on another grid, and the movement between them."""

    noisy: Volume
    shown: Volume
    clean: Volume
    movement: np.ndarray


@pytest.fixture(scope="module")
def scene() -> Scene:
    """3 degrees and 5 pixels apart."""
    shape, spacing = FINE
    affine = grid(shape, spacing)
    movement = rigid(affine, (3.0, -1.5, 1.0), (2.0, -5.0, 4.0))
    elsewhere = grid(CLEAN_SHAPE, (1.9, 1.1, 1.0))
    elsewhere[:3, 3] += (2.3, -1.7, 0.6)
    shown = seen_on(affine, shape, movement)
    return Scene(with_noise(shown), shown, seen_on(elsewhere, CLEAN_SHAPE, np.eye(4)), movement)


@pytest.fixture(scope="module")
def found(scene: Scene) -> registration.Registration:
    return register(scene.clean, scene.noisy)


def test_a_known_movement_is_found_within_a_tenth_of_a_pixel_and_of_a_degree(scene: Scene, found: registration.Registration):
    turned = Rotation.from_matrix(found.noisy_to_clean[:3, :3] @ scene.movement[:3, :3].T)
    assert np.rad2deg(turned.magnitude()) < 0.1
    k, j, i = np.nonzero(scene.shown.voxels > 0.8)
    body = scene.noisy.ijk_to_ras @ np.stack([i, j, k, np.ones_like(i)])
    error = np.linalg.norm(((found.noisy_to_clean - scene.movement) @ body)[:3], axis=0)
    assert error.mean() < 0.1 * scene.noisy.spacing[2]
    assert np.allclose(found.translation, (2.0, -5.0, 4.0), atol=0.1)
    assert np.allclose(found.rotation, (3.0, -1.5, 1.0), atol=0.1)
    assert found.through_plane_fraction == pytest.approx(1.0, abs=0.05)


def test_a_good_registration_is_accepted_because_edges_agree_and_nothing_moves_any_more(found: registration.Registration):
    assert found.accepted and not found.reason
    assert found.ncc_after > 0.8 > 0.5 > found.ncc_before
    assert found.flow_p95 < 0.3 and found.covered == 1


def test_the_moved_clean_image_is_what_the_noisy_grid_would_have_shown(scene: Scene, found: registration.Registration):
    moved = resample(scene.clean, scene.noisy, found)
    assert np.array_equal(moved.ijk_to_ras, scene.noisy.ijk_to_ras) and moved.voxels.min() >= 0
    assert np.sqrt(np.mean((moved.voxels - scene.shown.voxels) ** 2)) < 0.005


def fine_noise(volume: Volume, shown: Volume) -> float:
    """The power of a volume's noise in the upper half of the in-plane frequencies."""
    noise = (volume.voxels - shown.voxels)[8:-8, 20:-20, 20:-20]
    power = np.abs(np.fft.fft2(noise, norm="ortho")) ** 2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in power.shape[1:]), indexing="ij"))
    return float(power[:, frequency > 0.25].mean())


def test_the_noisy_image_keeps_its_noise_bit_for_bit_as_it_would_not_if_the_roles_were_swapped(
    scene: Scene, found: registration.Registration
):
    resample(scene.clean, scene.noisy, found)
    assert np.array_equal(scene.noisy.voxels, with_noise(scene.shown).voxels)
    back = replace(found, noisy_to_clean=np.linalg.inv(found.noisy_to_clean))
    swapped = resample(scene.noisy, scene.clean, back)
    assert fine_noise(swapped, scene.clean) < 0.9 * fine_noise(scene.noisy, scene.shown)


def stack_pair(degrees: tuple[float, float, float], millimetres: tuple[float, float, float]) -> tuple[Volume, Volume]:
    """A stack of thick slices and its clean partner on the same grid before this movement."""
    shape, spacing = STACK
    affine = grid(shape, spacing)
    noisy = with_noise(seen_on(affine, shape, rigid(affine, degrees, millimetres)), snr=20)
    return seen_on(affine, shape, np.eye(4)), noisy


def test_one_seed_gives_one_result():
    clean, noisy = stack_pair((2.0, 0, 0), (0.8, 3.0, -2.0))
    first, again, other = (register(clean, noisy, seed=seed).noisy_to_clean for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other) and np.allclose(first, other, atol=0.2)


def test_thick_slices_may_move_within_their_plane():
    assert register(*stack_pair((2.0, 0, 0), (0.8, 3.0, -2.0))).accepted


def test_thick_slices_that_moved_by_more_than_half_their_spacing_are_refused():
    moved = register(*stack_pair((0, 0, 0), (2.6, 0, 0)))
    assert not moved.accepted and "across the slices" in moved.reason
    assert moved.through_plane_fraction == pytest.approx(0.65, abs=0.05)


def test_thick_slices_that_tilted_by_more_than_a_degree_are_refused():
    tilted = register(*stack_pair((0, 2.0, 0), (0, 0, 0)))
    assert not tilted.accepted and "out of the slice plane" in tilted.reason


def test_an_anatomy_that_changed_its_shape_is_refused():
    clean, noisy = stack_pair((0, 0, 0), (0, 0, 0))
    wider = clean.ijk_to_ras.copy()
    wider[:3, :2] *= 1.12
    wider = centred(wider, clean.voxels.shape)
    refused = register(replace(seen_on(wider, clean.voxels.shape, np.eye(4)), ijk_to_ras=clean.ijk_to_ras), noisy)
    assert not refused.accepted and "pixels apart" in refused.reason


def test_a_registration_that_makes_things_worse_is_refused(monkeypatch: pytest.MonkeyPatch):
    clean, noisy = stack_pair((0, 0, 0), (0, 0, 0))
    monkeypatch.setattr(registration, "_aligned", lambda *_: rigid(clean.ijk_to_ras, (0, 0, 0), (0, 4.0, 0)))
    refused = register(clean, noisy)
    assert not refused.accepted and "agree less" in refused.reason


def test_images_of_different_places_are_refused():
    shape, spacing = STACK
    here = grid(shape, spacing)
    there = here.copy()
    there[:3, 3] += 60 * here[:3, 2] / 4
    refused = register(seen_on(there, shape, np.eye(4)), seen_on(here, shape, np.eye(4)))
    assert not refused.accepted and "shows only" in refused.reason


def test_coverage_is_where_the_clean_image_has_voxels(found: registration.Registration):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    noisy, clean = Volume(np.ones((6, 20, 20), np.float32), affine), Volume(np.ones((6, 20, 20), np.float32), affine.copy())
    clean.ijk_to_ras[0, 3] = 5
    stay = replace(found, noisy_to_clean=np.eye(4))
    seen = coverage(clean, noisy, stay)
    assert seen[:, :, 5:].all() and not seen[:, :, :5].any()
    assert not resample(clean, noisy, stay).voxels[:, :, :5].any()


def test_too_few_slices_are_refused_in_words():
    thin = Volume(np.random.default_rng(0).random((3, 32, 32), np.float32), np.diag([1.0, 1.0, 5.0, 1.0]))
    with pytest.raises(InputError, match="too thin"):
        register(thin, thin)


def test_a_registration_stops_as_soon_as_it_is_told():
    shape, spacing = STACK
    still = seen_on(grid(shape, spacing), shape, np.eye(4))
    calls: list[int] = []
    register(still, still, check=lambda: calls.append(1))

    def stop_at(last: int) -> None:
        calls.append(1)
        if len(calls) >= last:
            raise Cancelled("stopped")

    for last in (1, len(calls) // 3, len(calls) * 2 // 3, len(calls) - 3):
        calls.clear()
        with pytest.raises(Cancelled):
            register(still, still, check=partial(stop_at, last))
        assert len(calls) < last + 20, "each resolution may begin one more iteration"


def test_resampling_stops_when_told() -> None:
    shape, spacing = STACK
    still = seen_on(grid(shape, spacing), shape, np.eye(4))
    found = register(still, still)
    asked: list[int] = []
    resample(still, still, found, lambda: asked.append(1))
    assert len(asked) > 10

    def stop() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        resample(still, still, found, stop)
