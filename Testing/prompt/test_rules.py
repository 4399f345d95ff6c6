"""The rules on synthetic headers: each names one sequence or one way to be malformed."""

import io
import random

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.prompt import describe, override, read_acquisition
from MRIDenoiseLib.volume import NOT_IN_FILE, Acquisition


def header(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def read(**attributes) -> Acquisition:
    return read_acquisition([header(**attributes)])


def private(dataset: Dataset, group: int, element: int, vr: str, value) -> Dataset:
    dataset.add_new((group, element), vr, value)
    return dataset


@pytest.mark.parametrize(
    ("sequence", "repetition", "echo", "inversion", "angle", "contrast"),
    [
        (["SE"], 550, 12, None, 90, "T1w"),
        (["SE"], 3000, 20, None, 150, "PDw"),
        (["SE"], 4000, 95, None, 150, "T2w"),
        (["SE", "IR"], 9000, 110, 2500, 150, "T2-FLAIR"),
        (["SE", "IR"], 2000, 9, 860, 150, "T1-FLAIR"),
        (["SE", "IR"], 4000, 60, 150, 150, "T2w"),
        (["GR"], 15, 4, None, 25, "T1w"),
        (["GR"], 57, 4, None, 9, "PDw"),
        (["GR"], 650, 20, None, 30, "T2*w"),
        (["GR", "IR"], 2300, 2.9, 900, 9, "T1w"),
        (["EP", "GR"], 2000, 30, None, 90, "BOLD"),
        (["EP", "SE"], 5000, 80, None, 90, "DWI"),
    ],
)
def test_timing_tells_the_weighting(sequence, repetition, echo, inversion, angle, contrast) -> None:
    extra = {} if inversion is None else {"InversionTime": inversion}
    found = read(ScanningSequence=sequence, RepetitionTime=repetition, EchoTime=echo, FlipAngle=angle, **extra).contrast
    assert found.value == contrast
    assert found.confidence == "medium"
    assert f"TE = {echo:g} ms" in found.source


def test_a_declared_contrast_wins_over_timing_and_timing_over_a_name() -> None:
    timing = {"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 95}
    assert read(**timing, SeriesDescription="T1 tse").contrast.value == "T2w"
    assert read(**timing, AcquisitionContrast="PROTON_DENSITY").contrast.value == "PDw"
    assert read(SeriesDescription="T1 tse").contrast == read(ProtocolName="t1_tse_sag").contrast
    assert read(SeriesDescription="T1 tse").contrast.source == "series name"
    assert read(SeriesDescription="T1 tse").contrast.confidence == "low"


def test_what_timing_cannot_tell_comes_from_the_name() -> None:
    timing = {"ScanningSequence": "GR", "RepetitionTime": 8, "EchoTime": 4, "FlipAngle": 20}
    assert read(**timing, SeriesDescription="3-plane localizer").contrast.value == "localizer"
    assert read(**timing, SeriesDescription="t1_vibe_dixon").contrast.value == "DIXON"
    assert read(**timing, SeriesDescription="t1_vibe").contrast.value == "T1w"


def test_a_short_inversion_time_is_fat_suppression() -> None:
    stir = read(ScanningSequence=["SE", "IR"], RepetitionTime=4000, EchoTime=60, InversionTime=160)
    assert (stir.contrast.value, stir.fat_suppression.value) == ("T2w", "STIR")
    flair = read(ScanningSequence=["SE", "IR"], RepetitionTime=9000, EchoTime=110, InversionTime=2500)
    assert flair.fat_suppression.value is None


def test_dixon_images_tell_which_part_they_hold() -> None:
    for part, value in (("WATER", "water-only"), ("FAT", "fat-only"), ("IN_PHASE", "none")):
        found = read(ImageType=["DERIVED", "PRIMARY", "DIXON", part])
        assert (found.contrast.value, found.fat_suppression.value) == ("DIXON", value)


@pytest.mark.parametrize(
    ("group", "element", "vr", "value", "is_dwi"),
    [
        (0x2001, 0x1003, "FL", 1000.0, True),
        (0x2001, 0x1003, "FL", 0.0, False),
        (0x0043, 0x1039, "IS", [1000000800, 8, 0, 0], True),
        (0x0043, 0x1039, "IS", [0, 8, 0, 0], False),
        (0x0065, 0x1009, "FD", 1.25, False),
        (0x0065, 0x1009, "FD", 800.0, True),
    ],
)
def test_a_vendors_b_value_means_diffusion_only_when_it_weights(group, element, vr, value, is_dwi) -> None:
    made = private(header(ScanningSequence="SE", RepetitionTime=5000, EchoTime=80), group, element, vr, value)
    assert read_acquisition([made]).contrast.value == ("DWI" if is_dwi else "T2w")


@pytest.mark.parametrize(
    ("written", "organ"),
    [("KNEE", "knee"), ("C-SPINE", "cervical spine"), ("TSPINE", "thoracic spine"), ("L SPINE", "lumbar spine"), ("SHOULDER", "shoulder")],
)
def test_body_part_examined_is_read_however_it_is_spelled(written: str, organ: str) -> None:
    found = read(BodyPartExamined=written).organ
    assert (found.value, found.confidence, found.seen_in_training) == (organ, "high", True)


def test_an_organ_outside_the_training_is_named_and_marked_unseen() -> None:
    found = read(BodyPartExamined="PROSTATE").organ
    assert (found.value, found.seen_in_training) == ("prostate", False)


def test_an_unspecific_spine_is_refined_by_the_series_name() -> None:
    assert read(BodyPartExamined="SPINE", SeriesDescription="T2 TSE SAG L-SPINE").organ.value == "lumbar spine"
    assert read(BodyPartExamined="SPINE").organ.value == "spine"
    assert read(BodyPartExamined="KNEE", SeriesDescription="L-SPINE").organ.value == "knee"


def test_a_coded_region_counts_by_its_code_in_either_snomed() -> None:
    for code, scheme in (("T-11501", "SRT"), ("122494005", "SCT")):
        item = header(CodeValue=code, CodingSchemeDesignator=scheme, CodeMeaning="x")
        assert read(AnatomicRegionSequence=Sequence([item])).organ.value == "cervical spine"


def test_a_coil_for_several_regions_does_not_tell_the_organ() -> None:
    assert read(ReceiveCoilName="8CH SHOULDER").organ.value == "shoulder"
    assert read(ReceiveCoilName="HEADNECKSPINE").organ.value is None
    assert read(ReceiveCoilName="BODY").organ.value is None
    assert read(ReceiveCoilName="HeadNeck_20").organ.confidence == "low"


@pytest.mark.parametrize(
    ("manufacturer", "vendor"),
    [
        ("SIEMENS", "Siemens"),
        ("Siemens HealthCare GmbH", "Siemens"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("GE", "GE"),
        ("Philips Medical Systems", "Philips"),
        ("UIH", "UIH"),
        ("United Imaging Healthcare", "UIH"),
        ("TOSHIBA_MEC", "Canon"),
        ("Canon Medical Systems", "Canon"),
        ("GERATHERM", None),
        ("Nobody Ltd", None),
    ],
)
def test_a_vendor_is_known_in_every_legal_form(manufacturer: str, vendor: str | None) -> None:
    assert read(Manufacturer=manufacturer).vendor.value == vendor


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize(
    ("part", "manufacturer", "shown_part", "shown_manufacturer"),
    [
        ("C-SPINE", "GE MEDICAL SYSTEMS", "C-SPINE", "GE MEDICAL SYSTEMS"),
        ("KNEE", "TOSHIBA_MEC", "KNEE", "TOSHIBA_MEC"),
        ("KNEE 19700101", "SIEMENS 19700101", "knee", "Siemens"),
        ("K\xc4N\xc9E 4711", "Philips of SECRET", None, "Philips"),
        ("KNEE^\u00d6", "GE SECRET", "knee", "GE"),
    ],
)
def test_a_source_quotes_a_value_only_where_all_of_it_is_known(part, manufacturer, shown_part, shown_manufacturer) -> None:
    found = read(SpecificCharacterSet="ISO_IR 192", BodyPartExamined=part, Manufacturer=manufacturer)
    assert found.vendor.source == f"(0008,0070) Manufacturer = {shown_manufacturer}"
    assert found.organ.source == (NOT_IN_FILE if shown_part is None else f"(0018,0015) BodyPartExamined = {shown_part}")


@pytest.mark.parametrize(
    ("standard", "private_value", "creator", "averages"),
    [
        (1, 0.5, "GEMS_IMAG_01", 0.5),
        (1, 0.75, "", 0.75),
        (2, 1.5, "GEMS_IMAG_01", 1.5),
        (1, 0.5, "ANOTHER MAKER", 1.0),
        (4, 0.5, "GEMS_IMAG_01", 4.0),
        (0.5, 0.7, "GEMS_IMAG_01", 0.5),
        (2, 1.0, "GEMS_IMAG_01", 2.0),
    ],
)
def test_ges_fraction_of_an_excitation_wins_over_the_standard_value_that_rounds_it(standard, private_value, creator, averages) -> None:
    made = private(header(NumberOfAverages=standard), 0x0027, 0x1062, "FL", private_value)
    if creator:
        private(made, 0x0027, 0x0010, "LO", creator)
    found = read_acquisition([made])
    assert (found.averages.value, found.averages.confidence) == (averages, "high")
    assert found.acceleration.value == pytest.approx(min(max(2 / averages, 1.5), 3.0))


@pytest.mark.parametrize(("averages", "ratio"), [(0.5, 3.0), (0.75, 2.0 / 0.75), (1, 2.0), (1.25, 1.6), (2, 1.5), (4, 1.5)])
def test_acceleration_is_two_over_nex_within_its_limits(averages: float, ratio: float) -> None:
    found = read(NumberOfAverages=averages).acceleration
    assert found.value == pytest.approx(ratio)
    assert (found.source, found.confidence) == (f"NEX = {averages:g} against an assumed 2 averages", "low")


def test_parallel_imaging_never_enters_the_acceleration() -> None:
    plain, parallel = read(NumberOfAverages=1), read(NumberOfAverages=1, ParallelReductionFactorInPlane=3.0)
    assert parallel.parallel_imaging.value == 3.0
    assert parallel.acceleration == plain.acceleration


def test_without_nex_the_acceleration_is_the_default() -> None:
    found = read(Modality="MR").acceleration
    assert (found.value, found.source, found.confidence) == (2.0, "default", "low")


def test_field_strength_is_tesla_also_from_gauss_and_from_the_frequency() -> None:
    assert read(MagneticFieldStrength=15000).field_strength.value == 1.5
    for frequency in (63.87, 63870000, 638700000):
        assert read(ImagingFrequency=frequency).field_strength.value == 1.5
    assert read(ImagingFrequency=1.0).field_strength.value is None


@pytest.mark.parametrize(
    ("cosines", "plane", "confidence"),
    [
        ([1, 0, 0, 0, 1, 0], "axial", "high"),
        ([0, 1, 0, 0, 0, -1], "sagittal", "high"),
        ([1, 0, 0, 0, 0, -1], "coronal", "high"),
        ([1, 0, 0, 0, 0.8, 0.6], "axial", "medium"),
    ],
)
def test_the_plane_is_the_nearest_one_to_the_slice_normal(cosines, plane, confidence) -> None:
    found = read(ImageOrientationPatient=cosines).plane
    assert (found.value, found.confidence) == (plane, confidence)


def test_an_enhanced_image_is_read_through_its_functional_groups() -> None:
    shared = header(
        MRTimingAndRelatedParametersSequence=Sequence([header(RepetitionTime=4000, FlipAngle=150, RFEchoTrainLength=12)]),
        MRAveragesSequence=Sequence([header(NumberOfAverages=2)]),
        MRModifierSequence=Sequence([header(ParallelReductionFactorInPlane=2.0, SpectrallySelectedExcitation="NONE")]),
    )
    frame = header(
        MREchoSequence=Sequence([header(EffectiveEchoTime=95.0)]),
        PlaneOrientationSequence=Sequence([header(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])]),
    )
    found = read(SharedFunctionalGroupsSequence=Sequence([shared]), PerFrameFunctionalGroupsSequence=Sequence([frame, frame]))
    assert (found.contrast.value, found.plane.value, found.averages.value) == ("T2w", "sagittal", 2.0)
    assert (found.parallel_imaging.value, found.fat_suppression.value) == (2.0, "none")


def test_one_weighted_frame_among_many_makes_an_enhanced_image_diffusion() -> None:
    frames = [header(MRDiffusionSequence=Sequence([header(DiffusionBValue=b)])) for b in (0.0, 0.0, 1000.0)]
    assert read(PerFrameFunctionalGroupsSequence=Sequence(frames)).contrast.value == "DWI"


@pytest.mark.parametrize(
    ("name", "organ", "contrast"),
    [
        ("head_T1w_ms12_study1", "head", "T1w"),
        ("head_T2-FLAIR_ms01_study1", "head", "T2-FLAIR"),
        ("lspine_T2w_sct-lumbar", "lumbar spine", "T2w"),
        ("cspine_PDw_sct01", "cervical spine", "PDw"),
        ("prostate_T2w_case_3", "prostate", "T2w"),
        ("T2starw_run-01", None, "T2*w"),
        ("handover", None, None),
        ("forehead", None, None),
    ],
)
def test_without_headers_the_name_is_only_guessed_from(name: str, organ: str | None, contrast: str | None) -> None:
    found = read_acquisition([], name=name)
    assert (found.organ.value, found.contrast.value) == (organ, contrast)
    for field in (found.organ, found.contrast):
        assert field.confidence == "low"
        assert field.source == (NOT_IN_FILE if field.value is None else "file name")
    assert found.vendor.source == NOT_IN_FILE


@pytest.mark.parametrize(("slice_axis", "plane"), [(0, "axial"), (1, "coronal"), (2, "sagittal")])
def test_without_headers_the_plane_comes_from_the_geometry(slice_axis: int, plane: str) -> None:
    assert read_acquisition([], ijk_to_ras=np.diag([-1.0, -1.0, 2.0, 1.0]), slice_axis=slice_axis).plane.value == plane


def test_a_choice_of_the_user_replaces_what_was_read_and_nothing_else() -> None:
    before = read(BodyPartExamined="KNEE", Manufacturer="SIEMENS", NumberOfAverages=1)
    after = override(before, organ="Prostate", acceleration=3)
    assert (after.organ.value, after.organ.source, after.organ.confidence) == ("prostate", "user", "high")
    assert not after.organ.seen_in_training
    assert (after.acceleration.value, after.acceleration.source) == (3.0, "user")
    assert (after.vendor, after.contrast, after.plane) == (before.vendor, before.contrast, before.plane)
    assert override(before) == before
    assert describe(override(before, organ="left big toe")).split()[1] == "unknown"


@pytest.mark.parametrize("wrong", [{"acceleration": 0.0}, {"acceleration": float("nan")}, {"acceleration": 99}, {"organ": "  "}])
def test_an_impossible_choice_is_refused(wrong) -> None:
    with pytest.raises(SettingsError):
        override(Acquisition(), **wrong)


MALFORMED = (b"", b"abc\\def", b"\\\\", b"1e999", b"nan", b"-1\\\\2", b"\xff\xfe\x00", b"0x2", b"1,5", b" " * 40)


@pytest.mark.parametrize("seed", range(6))
def test_malformed_values_never_stop_the_reading(seed: int) -> None:
    """Bytes as an old or broken exporter writes them: read back through pydicom, lazily decoded."""
    rng = random.Random(seed)
    tags = [
        *((0x0018, e, vr) for e, vr in ((0x0015, "CS"), (0x0020, "CS"), (0x0022, "CS"), (0x0080, "DS"), (0x0081, "DS"), (0x0082, "DS"))),
        *((0x0018, e, vr) for e, vr in ((0x0083, "DS"), (0x0084, "DS"), (0x0087, "DS"), (0x0091, "IS"), (0x1250, "SH"), (0x1314, "DS"))),
        *((0x0018, e, "FD") for e in (0x9069, 0x9087)),
        *((0x0008, e, vr) for e, vr in ((0x0008, "CS"), (0x0070, "LO"), (0x103E, "LO"), (0x2218, "SQ"), (0x9209, "CS"))),
        *((0x0019, e, "IS") for e in (0x100C,)),
        *((0x0020, e, "DS") for e in (0x0037,)),
        *((0x0029, 0x1020, "OB"), (0x0043, 0x1039, "IS"), (0x0043, 0x1083, "DS"), (0x0051, 0x1011, "LO"), (0x0065, 0x100D, "SH")),
        *((0x2001, 0x1003, "FL"), (0x2001, 0x1021, "CS"), (0x5200, 0x9229, "SQ"), (0x5200, 0x9230, "SQ")),
    ]
    body = b""
    for group, element, vr in sorted(tags):
        value = rng.choice(MALFORMED)
        value += b" " * (len(value) % 2)
        vr = rng.choice([vr, vr, "UN", "LO"])
        length = len(value).to_bytes(4, "little") if vr in ("OB", "SQ", "UN") else len(value).to_bytes(2, "little")
        body += group.to_bytes(2, "little") + element.to_bytes(2, "little") + vr.encode()
        body += (b"\0\0" if vr in ("OB", "SQ", "UN") else b"") + length + value
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    start = io.BytesIO()
    pydicom.dcmwrite(start, _with_meta(meta), enforce_file_format=False)
    broken = pydicom.dcmread(io.BytesIO(start.getvalue() + body), force=True)
    acquisition = read_acquisition([broken])
    assert len(describe(acquisition).split()) >= 6
    assert acquisition.acceleration.value is not None


def _with_meta(meta) -> Dataset:
    made = Dataset()
    made.file_meta = meta
    return made
