"""What is no magnitude image is refused or named, whoever wrote it; what is one, however odd, is neither."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from scipy import ndimage

from MRIDenoiseLib.errors import InputError
from MRIDenoiseLib.image.kind import again, judged, kind_of
from MRIDenoiseLib.volume import Unmeasured, Volume

SHAPE = 5, 64, 64


def magnitude(noise: float = 30.0) -> np.ndarray:
    """A disc of three tissues in Rician noise."""
    generator = np.random.default_rng(3)
    radius = np.hypot(*np.mgrid[-32:32, -32:32]) * np.ones(SHAPE)
    tissue = np.select([radius < 10, radius < 18, radius < 27], [250.0, 600.0, 900.0], 0.0)
    parts = generator.normal(0, noise, (2, *SHAPE))
    return np.hypot(tissue + parts[0], parts[1]).astype(np.float32)


def volume(voxels: np.ndarray, name: str = "sub-01_T2w", kind: str = "int16", **header: object) -> Volume:
    made = Volume(voxels.astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]), kind, name=name)
    if not header:
        return made
    dataset = Dataset()
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    return replace(made, headers=(dataset,))


def labels(*values: int) -> np.ndarray:
    found = np.zeros(SHAPE)
    for number, value in enumerate(values):
        found[:, 4 + 11 * number : 14 + 11 * number, 10:50] = value
    return found


def turns(low: float, high: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, SHAPE)


REFUSED = {
    "a mask": (volume(labels(1)), "label map"),
    "a mask of 255": (volume(labels(255), kind="uint8"), "label map"),
    "tissues": (volume(labels(1, 2, 3)), "label map"),
    "FreeSurfer's labels": (volume(labels(2, 3, 41, 42)), "label map"),
    "8-bit shades": (volume(labels(85, 170, 255), kind="uint8"), "label map"),
    "probabilities": (volume(np.clip(magnitude() / 900, 0, 1), "sub-01_label-GM_probseg", "float32"), "probabilities"),
    "phase by Image Type": (volume(magnitude(), ImageType=["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]), "phase"),
    "phase by component": (volume(magnitude(), ComplexImageComponent="PHASE"), "phase"),
    "phase by BIDS entity": (volume(magnitude(), "sub-01_part-phase_T2starw"), "phase"),
    "phase by dcm2niix": (volume(turns(0, 4095), "9_gre_field_e1_ph"), "phase"),
    "phase in radians": (volume(turns(-np.pi, np.pi), "scan", "float32"), "phase"),
    "phase of Siemens": (volume(turns(-4096, 4094), "scan"), "phase"),
    "CT": (volume(np.where(magnitude() > 200, magnitude() / 10 - 40, -1000)), "CT"),
    "CT by name": (volume(magnitude() * 3 - 900, "chest_ct"), "CT"),
    "PET": (volume(magnitude(), "sub-01_pet"), "PET"),
    "PSIR": (volume(np.where(magnitude() > 150, magnitude() - 600, 0)), "below zero"),
    "subtraction": (volume(magnitude() - np.roll(magnitude(), 9, 2), ImageType=["DERIVED", "PRIMARY", "SUBTRACTION"]), "subtraction"),
    "CT of a head in wiped air": (volume(np.where(magnitude() < 200, -1000, 30 + (magnitude() - 600) / 40)), "CT"),
    "CT with air of many values": (volume(magnitude() / 10 - 40 - 960 * (magnitude() < 200)), "CT"),
    "label map by name": (volume(labels(7, 300, 1200, 9), "tumour_seg"), "label map"),
    "phase by a sidecar": (replace(volume(magnitude()), image_type=("ORIGINAL", "PRIMARY", "P", "ND", "PHASE")), "phase"),
    "normalised": (volume((magnitude() - 300) / 350, "brain", "float32"), "below zero"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_come_out_right_is_refused_in_one_sentence(what: str) -> None:
    image, word = REFUSED[what]
    with pytest.raises(InputError, match=word) as caught:
        judged(image)
    assert "\n" not in str(caught.value) and ". " not in str(caught.value)


NAMED = {
    "ADC by Image Type": volume(magnitude(), ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]),
    "ADC by description": volume(magnitude(), SeriesDescription="Apparent Diffusion Coefficient (mm2/s)"),
    "ADC by name": volume(magnitude(), "ep2d_diff_b1000_ADC"),
    "T1 map of BIDS": volume(magnitude(), "sub-01_T1map"),
    "T2 map": volume(magnitude(), ImageType=["DERIVED", "PRIMARY", "T2 MAP"]),
    "FA": volume(magnitude(), "dti_FA"),
    "subtraction that is positive": volume(magnitude(), "dyn_sub_3"),
    "MIP": volume(magnitude(), ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP"]),
}


@pytest.mark.parametrize("what", NAMED)
def test_what_no_network_saw_is_named_and_allowed(what: str) -> None:
    assert len(judged(NAMED[what]).notes) == 1
    assert judged(judged(NAMED[what])).notes == judged(NAMED[what]).notes


def interpolated(order: int) -> np.ndarray:
    """A finer matrix over air that was wiped out: it rings about zero, far below it beside bright edges."""
    return ndimage.zoom(np.where(magnitude() < 150, 0, magnitude()), (1, 1.7, 1.7), order=order)


def padded(value: float) -> np.ndarray:
    image = magnitude()
    image[:, :9] = value
    return image


PLAIN = {
    "magnitude": volume(magnitude()),
    "cubic splines": volume(interpolated(3), kind="float32"),
    "quintic splines": volume(interpolated(5), kind="float32"),
    "magnitude of Philips": volume(magnitude(), ImageType=["ORIGINAL", "PRIMARY", "PHASE CONTRAST M", "M", "PCA"]),
    "T1w of a map's study": volume(magnitude(), ImageType=["ORIGINAL", "PRIMARY", "T1", "NONE"]),
    "real part in positive tissue": volume(magnitude() + np.random.default_rng(1).normal(0, 20, SHAPE) - 20),
    "padding without a header": volume(padded(-2000)),
    "few grey levels": volume(np.rint(magnitude() / 60)),
    "eight bits": volume(np.rint(magnitude() / 5), kind="uint8"),
    "masked brain": volume(np.where(magnitude() < 150, 0, magnitude()), "sub-01_desc-masked_T1w"),
    "arterial phase": volume(magnitude(), "vibe_arterial_phase1"),
    "a clean phantom": volume(labels(225, 450, 720, 900)),
    "resampled over -1000": volume(np.where(padded(-1000) < 0, -1000, magnitude() / 5)),
    "resampled over -1024": volume(np.where(magnitude() < 150, -1024, magnitude() / 8)),
    "a narrow window": volume(np.rint(np.clip((magnitude() - 200) / 350, 0, 1) * 255), kind="uint8"),
    "a narrow window, 12 bits": volume(np.rint(np.clip((magnitude() - 500) / 30, 0, 1) * 120)),
    "a masked knee": volume(np.rint(magnitude() / 5), "knee_t2_fs_sag_mask", "uint8"),
    "beside its labels": volume(np.rint(magnitude() / 9), "patient_label"),
    "a region": volume(np.where(magnitude() < 150, 0, np.rint(magnitude() / 3)), "ROI"),
    "magnitude by a sidecar": replace(volume(magnitude()), image_type=("ORIGINAL", "PRIMARY", "M", "ND", "NORM")),
}


@pytest.mark.parametrize("what", PLAIN)
def test_a_magnitude_image_is_neither_refused_nor_named(what: str) -> None:
    found = kind_of(PLAIN[what])
    assert (found.refused, found.warning) == ("", "")


def test_what_was_not_measured_does_not_decide() -> None:
    image, mask = magnitude(), np.zeros(SHAPE, bool)
    mask[:, :40] = True
    image[mask] = 0
    assert not kind_of(replace(volume(image), unmeasured=Unmeasured(mask, np.full(mask.sum(), -1000.0)))).refused


def test_our_own_mark_is_known_again_and_counts_only_for_denoising() -> None:
    equipment = Dataset()
    equipment.Manufacturer = "MRI Denoise"
    ours = volume(magnitude(), ContributingEquipmentSequence=Sequence([equipment]), SeriesDescription="t2 denoised")
    note = "NOT FOR DIAGNOSTIC USE; regression; bundle 0123456789ab; seed 0"
    images = [ours, replace(volume(magnitude()), account=note)]
    images += [replace(volume(magnitude()), nifti={"descrip": np.bytes_(note)})]
    for image in images:
        assert again(image) and not judged(image).notes
        assert "denoised by MRI Denoise before" in judged(image, denoising=True).notes[0]
    simulated = "NOT FOR DIAGNOSTIC USE; simulated acquisition level 2; bundle none; seed 0"
    assert not again(replace(volume(magnitude()), account=simulated)) and not again(replace(volume(magnitude()), account="by another"))
