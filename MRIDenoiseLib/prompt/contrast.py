"""Which contrast an image has, from what the header declares, else from the physics of its timing, else from its name.

Order: a declared contrast (Acquisition Contrast, Image Type, a b-value), the vendor's sequence, a special name, the
timing, a plain name. Special contrasts come before timing because echo and repetition time cannot identify them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from MRIDenoiseLib.prompt import names, vocabulary
from MRIDenoiseLib.prompt.headers import Header, number_of, tag_name
from MRIDenoiseLib.volume import AcquisitionField, Confidence

FLUID_NULLING_TI = 1300.0
"""ms; longer inversion times null cerebrospinal fluid (2000 and more at 1.5 and 3 T, about 1400 at 64 mT)."""
STIR_TI = (80.0, 320.0)
"""ms; inversion times that null fat at 0.2 to 3 T."""
LONG_ECHO = 50.0
"""ms; a spin echo from here on is called T2-weighted, below it with a long TR proton-density-weighted."""
SHORT_REPETITION = 1200.0
"""ms; a spin echo with a shorter TR is T1-weighted."""
SPIN_ECHO_EPI_ECHO = 50.0
"""ms; an EPI echo this late is a spin echo (diffusion); a gradient echo would have decayed (BOLD: 20 to 45 ms)."""
SHORTEST_SPIN_ECHO = 4.0
"""ms; no clinical spin echo is earlier, so that an image whose sequence is not named is a gradient echo."""
T2_STAR_ECHO = 12.0
"""ms; a gradient echo from here on is T2*-weighted."""
ASSUMED_T1 = 1000.0
"""ms; for the Ernst angle acos(exp(-TR / T1)) that divides T1- from proton-density-weighted gradient echoes."""

_DECLARED = {
    "DIFFUSION": "DWI",
    "PERFUSION": "perfusion",
    "PROTON_DENSITY": "PDw",
    "T1": "T1w",
    "T2": "T2w",
    "STIR": "T2w",
    "T2_STAR": "T2*w",
    "TOF": "angiography",
    "FLOW_ENCODED": "angiography",
}
"""Acquisition Contrast (DICOM PS3.3 C.8.13.3.3.1) -> contrast. FLUID_ATTENUATED needs the echo time too."""

_IMAGE_TYPES = (
    ({"ADC", "ADC_UNSPECIFIED"}, "ADC"),
    ({"ASL", "RELCBF", "CBF"}, "ASL"),
    ({"DIFFUSION", "TRACEW", "FA", "DIFFUSION_ANISO"}, "DWI"),
    ({"FMRI", "FMRI_EPI"}, "BOLD"),
    ({"FIELD_MAP", "B0_MAP", "B0"}, "field map"),
    ({"SWI", "SW_M_FFE", "SW_M", "SWIP"}, "SWI"),
    ({"TOF", "ANGIO", "ANGIO_TIME", "MRA"}, "angiography"),
    ({"DIXON", "WATER", "FAT", "IN_PHASE", "OPP_PHASE", "OUT_PHASE", "W", "IP", "OP"}, "DIXON"),
    ({"T1_MAP", "T1 MAP"}, "T1 map"),
    ({"T2_MAP", "T2 MAP"}, "T2 map"),
    ({"PERFUSION"}, "perfusion"),
    ({"LOCALIZER"}, "localizer"),
)
"""Defined terms and vendors' words in Image Type and Frame Type -> contrast, in order of precedence."""

_SEQUENCES = (
    (("_diff", "ep_b", "epi_dti", "epi_dwi", "resolve"), "DWI"),
    (("_bold", "ep2d_pace"), "BOLD"),
    (("asl",), "ASL"),
    (("field_map", "fm2d"), "field map"),
    (("swi",), "SWI"),
    (("_tof", "fl_tof", "tof3d"), "angiography"),
)
"""Parts of the vendors' sequence names -> contrast (Siemens' file names and short names, UIH's)."""


@dataclass(frozen=True)
class Timing:
    """The physics of a sequence, as far as its header gives it; times in ms, angle in degrees.

    ``inverted`` says whether an inversion pulse prepares the signal, which some headers state without its time.
    """

    echo: float | None
    repetition: float | None
    inversion: float | None
    angle: float | None
    inverted: bool
    planar: bool
    gradient: bool
    spin: bool


def read_timing(header: Header) -> Timing:
    """From Scanning Sequence (classic) or Echo Pulse Sequence and the echo-train lengths (enhanced)."""
    kinds = header.texts("ScanningSequence")
    echo = next((t for t in (header.number("EchoTime"), header.number("EffectiveEchoTime")) if t and t > 0), None)
    inversion = header.number("InversionTime") or header.number("InversionTimes") or number_of(header.siemens_frame(0x1189))
    refocused = header.number("RFEchoTrainLength")
    gradients = header.number("GradientEchoTrainLength")
    pulse = header.text("EchoPulseSequence")
    late = echo is not None and echo >= T2_STAR_ECHO
    planar = "EP" in kinds or header.text("EchoPlanarPulseSequence") == "YES"
    planar = planar or (not kinds and gradients is not None and gradients >= 16 and late)
    # Siemens XA calls its spin-echo EPI GRADIENT, so a refocusing pulse counts more than the word
    spin = "SE" in kinds or kinds == ["IR"] or pulse in ("SPIN", "BOTH") or (refocused is not None and refocused >= 1)
    gradient = not spin and ("GR" in kinds or pulse == "GRADIENT" or refocused == 0 or (echo is not None and echo < SHORTEST_SPIN_ECHO))
    return Timing(
        echo=echo,
        repetition=header.number("RepetitionTime"),
        inversion=inversion,
        angle=header.number("FlipAngle"),
        inverted="IR" in kinds or header.text("InversionRecovery") == "YES" or (inversion or 0) > 0,
        planar=planar,
        gradient=gradient,
        spin=spin,
    )


def read_contrast(header: Header) -> AcquisitionField:
    """The contrast of one volume's header."""
    timing = read_timing(header)
    for found in (
        _from_declaration(header, timing),
        _from_b_value(header),
        _from_sequence(header),
        _special(header, timing),
        contrast_of_timing(timing),
        _from_name(header, names.CONTRAST_WORDS),
    ):
        if found is not None:
            return found
    return AcquisitionField()


def contrast_of_name(name: str) -> AcquisitionField:
    """A guess from a file name; in one that BIDS lays out the suffix counts and no entity's value (``T1w_asl-t1`` is T1w)."""
    entities, suffix = names.bids_entities(name)
    if entities and suffix in names.BIDS_SUFFIXES:
        whole = "sub" in entities  # a name that is BIDS' own was given with care
        return _field(names.BIDS_SUFFIXES[suffix], f"file name, suffix {suffix}" if whole else "file name", "medium" if whole else "low")
    found = names.match(name, names.SPECIAL_CONTRAST_WORDS) or names.match(name, names.CONTRAST_WORDS)
    return _field(found, "file name", "low") if found else AcquisitionField()


def contrast_of_timing(timing: Timing) -> AcquisitionField | None:
    """The weighting that echo, repetition and inversion time give; None where they do not decide it."""
    if timing.planar:
        return _echo_planar(timing)
    if timing.gradient:
        return _gradient_echo(timing)
    if timing.spin:
        return _spin_echo(timing)
    return None


def _field(contrast: str, source: str, confidence: Confidence) -> AcquisitionField:
    return AcquisitionField(contrast, source, confidence, vocabulary.CONTRASTS[contrast].seen)


def _from_declaration(header: Header, timing: Timing) -> AcquisitionField | None:
    types = set(header.texts("ImageType"))
    frame_types = {str(word) for value in header.in_every_frame("FrameType") for word in ([value] if isinstance(value, str) else value)}
    for words, contrast in _IMAGE_TYPES:
        for keyword, present in (("ImageType", types), ("FrameType", frame_types)):
            if words & present:
                return _field(contrast, f"{tag_name(keyword)} = {min(words & present)}", "high")
    declared = header.text("AcquisitionContrast")
    source = f"{tag_name('AcquisitionContrast')} = {declared}"
    inversion = timing.inversion or 0.0
    if declared == "FLUID_ATTENUATED" or (declared == "T2" and inversion >= FLUID_NULLING_TI):
        return _field("T1-FLAIR" if timing.echo is not None and timing.echo < LONG_ECHO else "T2-FLAIR", source, "high")
    if declared in ("T1", "T2", "PROTON_DENSITY") and timing.planar and timing.gradient:
        return None  # Philips declares a gradient-echo EPI T2: its timing is more informative
    if declared == "T1" and timing.spin and STIR_TI[1] < inversion < FLUID_NULLING_TI:
        return _field("T1-FLAIR", f"{source}, inversion-prepared", "medium")
    if declared == "T2" and timing.gradient:
        return _field("T2*w", f"{source}, without refocusing", "medium")
    return _field(_DECLARED[declared], source, "high") if declared in _DECLARED else None


def _from_b_value(header: Header) -> AcquisitionField | None:
    values = [float(value) for value in header.in_every_frame("DiffusionBValue") if isinstance(value, (int, float))]
    if values and max(values) > 0:
        return _field("DWI", f"{tag_name('DiffusionBValue')} = {max(values):g}", "high")
    if "DIRECTIONAL" in header.in_every_frame("DiffusionDirectionality"):
        return _field("DWI", tag_name("DiffusionDirectionality"), "high")
    for group, element, what in (
        (0x0019, 0x100C, "Siemens"),
        (0x2001, 0x1003, "Philips"),
        (0x0065, 0x1009, "UIH"),
        (0x0043, 0x1039, "GE"),
    ):
        b = next(iter(header.private_numbers(group, element)), 0.0)
        b = b % 100_000 if what == "GE" else b  # GE adds an offset of 1e9 on some releases
        # UIH writes the imaging gradients' own b of about 1 for an unweighted image
        if b >= 10 and (what != "Siemens" or header.text("Manufacturer").upper().startswith("SIEMENS")):
            return _field("DWI", f"({group:04X},{element:04X}) {what} b-value = {b:g}", "medium")
    return None


def _from_sequence(header: Header) -> AcquisitionField | None:
    protocol = header.siemens_protocol().get("tSequenceFileName", "")
    for name, source in (
        (header.text("PulseSequenceName"), tag_name("PulseSequenceName")),
        (header.text("SequenceName"), tag_name("SequenceName")),
        (protocol.replace("\\", "/").rsplit("/", 1)[-1], "Siemens protocol sequence"),
        (header.private_text(0x0065, 0x102D), "(0065,102D) UIH sequence"),
        (header.private_text(0x0019, 0x109C), "(0019,109C) GE pulse sequence"),
    ):
        for parts, contrast in _SEQUENCES:
            if any(part in name.lower() for part in parts):
                return _field(contrast, source, "medium")
    return None


def _from_name(header: Header, patterns: names.Patterns) -> AcquisitionField | None:
    found = names.in_series(header, patterns)
    return _field(found, "series name", "low") if found else None


def _special(header: Header, timing: Timing) -> AcquisitionField | None:
    named, timed = _from_name(header, names.SPECIAL_CONTRAST_WORDS), contrast_of_timing(timing)
    return timed if named and timed and named.value == timed.value else named


def _timed(contrast: str, timing: Timing, kind: str, confidence: Confidence = "medium") -> AcquisitionField:
    times = (("TR", timing.repetition), ("TE", timing.echo), ("TI", timing.inversion))
    known = ", ".join(f"{what} = {round(value, 2):g} ms" for what, value in times if value)
    return _field(contrast, f"{kind}, {known}" if known else kind, confidence)


def _echo_planar(timing: Timing) -> AcquisitionField | None:
    kind = "echo-planar " + ("spin echo" if timing.spin else "gradient echo" if timing.gradient else "imaging")
    if timing.spin or (not timing.gradient and timing.echo is not None and timing.echo >= SPIN_ECHO_EPI_ECHO):
        return _timed("DWI", timing, kind)
    if timing.echo is None:
        return None
    return _timed("BOLD", timing, kind, "medium" if timing.gradient or timing.echo < 35 else "low")


def _gradient_echo(timing: Timing) -> AcquisitionField | None:
    if timing.inverted and (not timing.inversion or timing.inversion >= 500):
        return _timed("T1w", timing, "inversion-prepared gradient echo")
    if timing.echo is None:
        return None
    if timing.echo >= T2_STAR_ECHO:
        return _timed("T2*w", timing, "gradient echo")
    if timing.repetition is None or timing.repetition <= 0:
        return None
    if timing.angle is None:
        return _timed("T1w", timing, "gradient echo", "low") if timing.repetition < ASSUMED_T1 else None
    ernst = math.degrees(math.acos(math.exp(-timing.repetition / ASSUMED_T1)))
    return _timed("T1w" if timing.angle >= 0.8 * ernst else "PDw", timing, "gradient echo")


def _spin_echo(timing: Timing) -> AcquisitionField | None:
    echo, repetition, inversion = timing.echo, timing.repetition, timing.inversion or 0.0
    if echo is None or repetition is None:
        return None
    if inversion >= FLUID_NULLING_TI and echo >= LONG_ECHO:
        return _timed("T2-FLAIR", timing, "inversion-prepared spin echo")
    if STIR_TI[1] < inversion and echo < LONG_ECHO:
        return _timed("T1-FLAIR", timing, "inversion-prepared spin echo")
    if STIR_TI[0] <= inversion <= STIR_TI[1]:
        return _timed("T2w", timing, "short-inversion spin echo")
    if echo >= LONG_ECHO:
        return _timed("T2w", timing, "spin echo", "medium" if repetition >= 1500 and echo >= 60 else "low")
    if repetition < SHORT_REPETITION:
        return _timed("T1w", timing, "spin echo", "medium" if repetition <= 900 and echo <= 30 else "low")
    return _timed("PDw", timing, "spin echo", "medium" if repetition >= 1800 and echo <= 35 else "low")
