"""The claim about the map of uncertainty, on errors whose distribution is known."""

from dataclasses import replace

import numpy as np
import pytest

from MRIDenoiseLib.evaluation.claims.uncertainty import CLAIM, LEVELS, Judged, evaluated, judge, narrower, verdict
from MRIDenoiseLib.evaluation.comparison.cases import CaseSpec, load, volume_specs

SHAPE = (2, 64, 64)
BODY = np.ones(SHAPE, bool)


def image(patient: str, noise: str, seed: int, *, worse: float = 1.0, level: float = 0.05) -> Judged:
    """Errors on a scale that differs from place to place and is known, but for a factor ``worse``."""
    generator = np.random.default_rng(seed)
    scale = np.kron(generator.choice([0.01, 0.04], size=(2, 8, 8), p=[0.7, 0.3]), np.ones((1, 8, 8)))
    error = worse * scale * generator.normal(size=SHAPE)
    spec = CaseSpec("volume", "nowhere", f"head_{patient}.nii.gz", noise, patient, "head", "T1w", 2)
    blind = {"views": np.abs(generator.normal(size=(1, *SHAPE[1:]))) + 0.1}
    return Judged(spec, level, error.astype(np.float32), BODY, scale.astype(np.float32), blind, 0.9)


def images(**of_b: float) -> list[Judged]:
    found = [image(patient, noise, 10 * k + j) for k, patient in enumerate("ac") for j, noise in enumerate(("R", "L2-2"))]
    return found + [image("b", noise, 50 + j, **of_b) for j, noise in enumerate(("R", "L2-2"))]


def test_a_map_that_is_right_holds_and_is_narrower_and_higher_where_the_error_is():
    numbers = evaluated(images())
    assert numbers["calibration"]["factors"] == pytest.approx([1.645] * len(numbers["calibration"]["levels"]), rel=0.03)
    assert numbers["coverage"] == pytest.approx(0.9, abs=0.01) and numbers["rank"] > 0.6
    assert narrower(numbers) < 0.6, "most of the body has a small error"
    sources = numbers["noises"]["R"]["sources"]
    assert sources["map"]["median"] < sources["constant"]["median"] < sources["views"]["median"] * 2 and abs(sources["views"]["rank"]) < 0.3
    assert "does not hold" not in verdict(numbers)
    assert len(CLAIM.headline(numbers).says) <= 100
    shown = list(CLAIM.show(numbers))
    assert verdict(numbers) == shown[-1] and "Factors: " in shown[2]


def test_a_patient_is_judged_by_the_other_patients_factors():
    numbers = evaluated(images(worse=2.0))
    assert numbers["patients"]["b"]["R"] == pytest.approx(0.59, abs=0.03), "half as wide as it should be"
    assert min(numbers["patients"][name]["R"] for name in "ac") > 0.97
    assert "(so in 0 of 6): does not hold" in verdict(numbers)
    assert all(row["factor"] < 1.8 for row in numbers["images"] if row["patient"] == "b")


def test_one_patient_alone_is_said_to_be_its_own_yardstick():
    numbers = evaluated([image("a", "R", 0)])
    assert not numbers["others_alone"] and any("one patient only" in str(part) for part in CLAIM.show(numbers))


def test_the_factors_lie_at_the_levels_next_to_the_images():
    numbers = evaluated([image("a", "R", 0, level=LEVELS[0]), image("b", "R", 1, level=LEVELS[0])])
    assert numbers["calibration"]["levels"] == (LEVELS[0],)


def test_an_image_is_judged_by_what_the_networks_give(data_folder, small_networks, loaded):
    models = loaded(small_networks)
    spec = replace(volume_specs(data_folder, ["s1"], ["U"], 1)[0])
    case = load(spec)
    found = judge(models, case, views=2, samples=2)
    assert found.error.shape == found.scale.shape == (1, 48, 52) and found.body.sum() > 300 and (found.scale > 0).all()
    assert found.others.keys() == {"views", "samples"} and all(one.shape == (1, 48, 52) for one in found.others.values())
    assert found.others["views"][found.body[:1]].max() > 1e-6 and found.others["samples"].max() > 1e-6
    assert 0 <= found.best <= 1 and 0.01 < found.level < 0.2
    assert models.calibration is None, "a model that is not calibrated yet can be"
