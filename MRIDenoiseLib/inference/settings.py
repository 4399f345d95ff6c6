"""What the user may choose about a denoising run, and how open choices are filled in. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from MRIDenoiseLib.errors import BundleError, SettingsError
from MRIDenoiseLib.methods import METHODS, OPTIONS, Mode

LARGEST_BATCH = 1000
GUARANTEED = 3.0
"""The guarantee where none is chosen, see :mod:`.guarantee`."""
LEAST_GUARANTEED, MOST_GUARANTEED = 2.0, 10.0
Precision = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """Choices for one run; None leaves the choice to the bundle, and then to the method's own default.

    :mod:`MRIDenoiseLib.methods` lists which method uses which of the options, and their ranges.

    Args:
        method: one of :data:`MRIDenoiseLib.methods.METHODS`.
        steps: network calls, as the method counts them.
        fidelity: weight of the likelihood, >= 0.
        mode: of fidelity guidance, ``tuned`` or ``paper``.
        samples: how many samples, or mirrored and turned views of a slice, are averaged.
        sharpness: from 0 (most faithful: the regression network's answer itself) to 1 (sharpest).
        strength: the part, above 0 to 1, that is removed of what the method would remove. A value a little below 1 adds
            little error and leaves small, weak lesions more of their contrast.
        seed: of the noise fields, >= 0.
        device: ``auto``, ``cpu``, ``cuda`` (also ``cuda:1`` ...) or ``mps``; None takes the Denoiser's.
        slices: (A, B), 0-based, half-open, along the acquired plane; the others are copied unchanged.
        batch_size: slices per network call; None chooses by device. Never changes the result.
        precision: number format of the networks' products, see :func:`.backend.choose_precision`.
        compiled: compile the networks first, which takes up to minutes and saves time only for long series.
        guarantee: how many standard deviations of its noise a small disc's mean may change, see :mod:`.guarantee`; 0 for no bound.
        denoise_clean: also denoise an image with so little noise that it would be returned as it is.
        noise_map: also give the map of the noise.
        uncertainty: also give the map of the half-width of the 90 % interval around every voxel, see :mod:`.uncertainty`.
        tell_noise_map: tell the networks the measured map where the noise varies much; a given map is always told.
        noise_level: the noise that the networks are told, relative to the brightness of bright tissue, in place of the volume's own
            where the two are alike; None for its own.
        prompt: the text that the networks are told in place of the volume's own.
        model: hash of the only model that these settings are meant for.

    Raises:
        SettingsError: a value that cannot work.

    Examples:
        >>> import MRIDenoiseLib as m
        >>> m.Settings(method="sharpened", sharpness=0.5).options()
        {'sharpness': 0.5}
    """

    method: str | None = None
    steps: int | None = None
    fidelity: float | None = None
    mode: Mode | None = None
    samples: int | None = None
    sharpness: float | None = None
    strength: float | None = None
    seed: int = 0
    device: str | None = None
    slices: tuple[int, int] | None = None
    batch_size: int | None = None
    precision: Precision = "auto"
    compiled: bool = False
    guarantee: float = GUARANTEED
    denoise_clean: bool = False
    noise_map: bool = False
    uncertainty: bool = False
    tell_noise_map: bool = False
    noise_level: float | None = None
    prompt: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise SettingsError(f"unknown method {self.method!r}: choose one of {', '.join(METHODS)}")
        for name, value in self.options().items():
            OPTIONS[name].check(value)
        if self.batch_size is not None and not 1 <= self.batch_size <= LARGEST_BATCH:
            raise SettingsError(f"the batch size must be between 1 and {LARGEST_BATCH}, not {self.batch_size}")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"unknown precision {self.precision!r}: choose one of {', '.join(PRECISIONS)}")
        if self.guarantee and not LEAST_GUARANTEED <= self.guarantee <= MOST_GUARANTEED:
            raise SettingsError(
                f"the guarantee is off (0) or a number from {LEAST_GUARANTEED} to {MOST_GUARANTEED}, usually 3 or 4, not {self.guarantee}"
            )
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"the seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if self.slices is not None and not 0 <= self.slices[0] < self.slices[1]:
            raise SettingsError(f"slices A:B need 0 <= A < B, not {self.slices[0]}:{self.slices[1]}")

    @classmethod
    def named(cls, chosen: Mapping[str, Any]) -> Settings:
        """Settings from names and values, as a message or a script gives them; a value of None leaves the choice open.

        Raises:
            SettingsError: an unknown name, a value of the wrong type, or one that cannot work.
        """
        known = [one.name for one in fields(cls)]
        if unknown := sorted(set(chosen) - set(known)):
            raise SettingsError(f"unknown setting {unknown[0]!r}: choose among {', '.join(known)}")
        try:
            return cls(**{name: value for name, value in chosen.items() if value is not None})
        except TypeError as error:
            raise SettingsError("a setting has a value of the wrong kind, such as a word in the place of a number") from error

    @classmethod
    def like(cls, report: Mapping[str, Any]) -> Settings:
        """The settings of an earlier run, so that a second scan of a patient is treated as the first was and the two can be compared.

        Args:
            report: of that run, see :func:`MRIDenoiseLib.inference.report.build_report`.

        Raises:
            SettingsError: it is not the report of one volume.
        """
        if "volumes" in report:
            raise SettingsError("the report is one of several volumes; denoise the one to compare with alone, and give its report")
        try:
            method, guarantee = METHODS[report["method"]], report["guarantee"]
            return cls(
                method=method.name,
                **{option.name: report[option.name] for option in method.options},
                seed=report["seed"],
                guarantee=guarantee["kappa"] if guarantee else 0.0 if not report["clean"] else GUARANTEED,
                denoise_clean=not report["clean"],
                tell_noise_map=report["noise_varies"],
                noise_level=report["noise_level_fraction"],
                prompt=report["prompt"],
                model=report["bundle"],
            )
        except (KeyError, TypeError) as error:
            raise SettingsError("this is not the report of a volume that this version of MRI Denoise denoised; denoise it again") from error

    def resolved(self, default_method: str, default_settings: Mapping[str, Any], *, on_gpu: bool = False) -> Settings:
        """The same settings with every choice made that the method needs: the user's, else the bundle's, else the method's own.

        Args:
            default_method: the bundle's.
            default_settings: the bundle's, for that method and for those that build on it.
            on_gpu: whether a GPU does the work, where more views cost little.

        Raises:
            BundleError: the bundle names a method or an option that does not exist.
            SettingsError: more than the method can take, such as more steps than it has timesteps.
        """
        if default_method not in METHODS or not set(default_settings) <= set(OPTIONS):
            raise BundleError(
                f"card.json asks for a method or an option this version does not know: {default_method}, {sorted(default_settings)}"
            )
        try:
            Settings(method=default_method, **default_settings)
        except (SettingsError, TypeError) as error:
            raise BundleError("card.json gives its default method settings that cannot work; get the model again.") from error
        method = METHODS[self.method or default_method]
        values = method.presets(on_gpu=on_gpu)
        if default_method in (method.name, method.rests_on):
            offered = {name: value for name, value in default_settings.items() if name in values and value is not None}
            for option in method.options:
                own = getattr(self, option.follows) if option.defaults else None
                if own is not None and own != offered.get(option.follows, values[option.follows]):
                    # A default for one mode means nothing in the other.
                    offered.pop(option.name, None)
            values |= offered
        values |= {name: getattr(self, name) for name in values if getattr(self, name) is not None}
        settled: dict[str, Any] = dict.fromkeys(OPTIONS)
        settled |= {option.name: option.settled(values, method.name) for option in method.options}
        return replace(self, method=method.name, **settled)

    def options(self) -> dict[str, Any]:
        """The method's options that have a value: its sampler's keyword arguments, and ``strength``."""
        return {name: getattr(self, name) for name in OPTIONS if getattr(self, name) is not None}

    def unused(self, method: str) -> tuple[str, ...]:
        """The options given here that ``method`` does not use."""
        return tuple(name for name in self.options() if not METHODS[method].has(name))
