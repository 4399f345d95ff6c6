"""The networks and the schedule of a bundle: checks that configurations and weights fit each other, and how each is built.

Every check reads JSON and the headers of safetensors files only; networks are first built without memory (on torch's
``meta`` device), so that a model that does not fit is refused before a weight is read. The text side is in
:mod:`.text`: its libraries take longer to import than all else, and a prompt whose embedding is stored does not need them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from MRIDenoiseLib.errors import BundleError
from MRIDenoiseLib.models.bundle.files import INDEX, read_json
from MRIDenoiseLib.models.diffusion_denoiser import TIMESTEPS
from MRIDenoiseLib.models.networks import NETWORKS, arguments

INDEX_CLASS = "MRIDenoiseBundle"
LATER: dict[str, Any] = {"informed": False}
"""Keys of configurations that were added after the first models, with values that give the old behaviour; a model may lack them."""
TOKENIZERS = ("PreTrainedTokenizerFast", "CLIPTokenizer")
OTHER_PARTS = ("text_encoder", "tokenizer", "scheduler")
"""Components that every bundle has in addition to its networks."""

NETWORK_WEIGHTS = "diffusion_pytorch_model.safetensors"
SCHEDULER_CONFIG = "scheduler_config.json"
UNBUILDABLE = (TypeError, ValueError, RuntimeError, ZeroDivisionError, IndexError, KeyError, AttributeError, AssertionError)
"""The errors that constructors of third-party networks raise for values that they cannot use."""


def check_components(folder: Path) -> dict[str, str]:
    """Check the networks and the schedule of a bundle whose files have been compared with its card.

    Returns:
        component name -> class name, as ``model_index.json`` has it.

    Raises:
        BundleError: the first configuration or weight that does not fit, with its file.
    """
    classes = read_index(folder)
    for name in NETWORKS.keys() & classes.keys():
        config = network_config(folder, name)
        network = on_meta(folder, f"{name}/config.json", partial(NETWORKS[name].kind, **config))
        check_weights(folder, f"{name}/{NETWORK_WEIGHTS}", network.state_dict())
        if name == "degradation" and config["in_channels"] != 1:
            raise BundleError(f"{folder}: degradation/config.json has in_channels {config['in_channels']}, but degrading takes one slice.")
        for other in NETWORKS[name].informed_by if config.get("informed") else ():
            if other not in classes:
                raise BundleError(f"{folder}: {name}/config.json is informed by the {other} network, but there is none.")
    load_scheduler(folder)
    return classes


def load_network(folder: Path, name: str) -> nn.Module:
    """One of the table's networks: float32, for use and not for training."""
    network = NETWORKS[name].kind(**network_config(folder, name))
    network.load_state_dict(read_weights(folder, f"{name}/{NETWORK_WEIGHTS}"), strict=True)
    return network.float().eval().requires_grad_(False)


def load_scheduler(folder: Path) -> DDIMScheduler:
    """The forward process; its networks must predict the clean slice."""
    name = f"scheduler/{SCHEDULER_CONFIG}"
    config = _config_of(folder, name, DDIMScheduler)
    try:
        scheduler = DDIMScheduler(**config)
    except UNBUILDABLE as error:
        raise BundleError(f"{folder}: {name} describes no usable noise schedule ({first_line(error)}).") from error
    if scheduler.config.prediction_type != "sample":
        raise BundleError(f"{folder}: {name} has prediction_type {scheduler.config.prediction_type!r}, but the denoiser predicts 'sample'.")
    if len(scheduler.alphas_cumprod) != TIMESTEPS or float(scheduler.alphas_cumprod[-1]) != 0:
        raise BundleError(f"{folder}: {name} must have {TIMESTEPS} steps of which the last is pure noise.")
    return scheduler


def text_width(folder: Path) -> int:
    """E, how wide the text encoder's embeddings are."""
    return _whole_number(folder, "text_encoder/config.json", "hidden_size")


def prompt_length(folder: Path) -> int:
    """L, tokens that prompts are padded to."""
    return _whole_number(folder, "tokenizer/tokenizer_config.json", "model_max_length")


def unknown_keys(folder: Path, classes: dict[str, str]) -> tuple[str, ...]:
    """A sentence for every key of a configuration that only a newer program understands: the network runs without it."""
    kinds: dict[str, type] = {f"{name}/config.json": NETWORKS[name].kind for name in sorted(NETWORKS.keys() & classes.keys())}
    kinds[f"scheduler/{SCHEDULER_CONFIG}"] = DDIMScheduler
    return tuple(
        f"The model's {name} has the key {key!r}, which this version of the program does not know and ignores: "
        "results may differ from those of the version that made the model."
        for name, kind in kinds.items()
        for key in sorted(_given(folder, name, kind).keys() - arguments(kind).keys())
    )


def check_text_width(folder: Path, classes: dict[str, str]) -> None:
    """Refuse networks that take embeddings of another width than the text encoder makes.

    Raises:
        BundleError: the first that does, with its file.
    """
    made = text_width(folder)
    for name in sorted(NETWORKS.keys() & classes.keys()):
        config = network_config(folder, name)
        if "text_dim" in config and config.get("conditioning", "film") == "film" and config["text_dim"] != made:
            raise BundleError(
                f"{folder}: {name}/config.json expects texts {config['text_dim']} wide, "
                f"but text_encoder/config.json makes them {made} wide."
            )


def index_of(classes: dict[str, str]) -> dict[str, Any]:
    """What ``model_index.json`` holds, in the layout of a diffusers pipeline: component -> [library, class]."""
    return {"_class_name": INDEX_CLASS, **{name: [_library(name), kind] for name, kind in classes.items()}}


def _library(component: str) -> str:
    return "MRIDenoiseLib" if component in NETWORKS else "diffusers" if component == "scheduler" else "transformers"


def read_index(folder: Path) -> dict[str, str]:
    """Component name -> class name, as ``model_index.json`` has it, every one known and none missing."""
    index = read_json(folder, INDEX)
    known = {name: {row.kind.__name__} for name, row in NETWORKS.items()}
    known |= {"text_encoder": {"CLIPTextModel"}, "tokenizer": set(TOKENIZERS), "scheduler": {"DDIMScheduler"}}
    classes: dict[str, str] = {}
    for name, entry in index.items():
        if name == "_class_name" and entry == INDEX_CLASS:
            continue
        if name not in known or not isinstance(entry, list) or len(entry) != 2:
            raise BundleError(f"{folder}: {INDEX} names a component {name!r} that this program does not know.")
        if entry[0] != _library(name) or entry[1] not in known[name]:
            raise BundleError(f"{folder}: {INDEX} needs class {entry[1]!r} for {name}, but this program has {sorted(known[name])}.")
        classes[name] = entry[1]
    for name in (*(row.name for row in NETWORKS.values() if row.required), *OTHER_PARTS):
        if name not in classes:
            raise BundleError(f"{folder}: {INDEX} names no {name}; get the model again.")
    for name in NETWORKS:
        if name not in classes and (folder / name).exists():
            raise BundleError(f"{folder}: {INDEX} does not name the folder {name}/; get the model again.")
    return classes


def network_config(folder: Path, name: str) -> dict[str, Any]:
    """The constructor's arguments of one of the table's networks, each of its type."""
    return _config_of(folder, f"{name}/config.json", NETWORKS[name].kind)


def _config_of(folder: Path, name: str, kind: type) -> dict[str, Any]:
    """The constructor arguments in a diffusers configuration: those the class has, each of its type.

    A key that the class does not have is left out (see :func:`unknown_keys`). The names and shapes of the weights show whether
    they still fit the network. The scheduler's class belongs to diffusers and may get new options: one that the configuration
    does not name keeps its default, as do the networks' :data:`LATER` ones.
    """
    known = arguments(kind)
    config = {key: value for key, value in _given(folder, name, kind).items() if key in known}
    if kind is not DDIMScheduler and (missing := sorted(known.keys() - config.keys() - LATER.keys())):
        raise BundleError(f"{folder}: {name} lacks the key {missing[0]!r}; this program cannot use that model.")
    for key, default in known.items():
        if key in config and not _same_kind(config[key], default):
            raise BundleError(f"{folder}: {name} gives {key!r} a value of the wrong type.")
    return config


def _given(folder: Path, name: str, kind: type) -> dict[str, Any]:
    """A configuration without the name of its class, which must be ``kind``, and without the version that wrote it."""
    config = {key: value for key, value in read_json(folder, name).items() if key != "_diffusers_version"}
    if config.pop("_class_name", None) != kind.__name__:
        raise BundleError(f"{folder}: {name} is not the configuration of a {kind.__name__}.")
    return config


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and value >= 0
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple):
        return isinstance(value, list) and bool(value) and all(type(v) is type(default[0]) and v > 0 for v in value)
    if default is None:
        return value is None or isinstance(value, list)
    return isinstance(value, type(default))


def _whole_number(folder: Path, name: str, key: str) -> int:
    value = read_json(folder, name).get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BundleError(f"{folder}: {name} must give {key!r} as a positive whole number.")
    return value


def on_meta(folder: Path, name: str, build: Callable[[], nn.Module]) -> nn.Module:
    """A network without memory; an error where its configuration describes none."""
    try:
        with torch.device("meta"):
            return build()
    except UNBUILDABLE as error:
        raise BundleError(f"{folder}: {name} describes a network that cannot be built ({first_line(error)}).") from error


def read_weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file."""
    try:
        return load_file(folder / name)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{folder}: {name} went missing or was changed while the model was in use; get the model again.") from error


def check_weights(folder: Path, name: str, expected: dict[str, torch.Tensor]) -> None:
    """Refuse a safetensors file whose names, shapes or types are not those of ``expected``."""
    if not (folder / name).is_file():
        raise BundleError(f"{folder}: {name} is missing; get the model again.")
    try:
        with safe_open(folder / name, framework="pt") as weights:
            found = {key: tuple(weights.get_slice(key).get_shape()) for key in weights.keys()}  # noqa: SIM118
            kinds = {key: weights.get_slice(key).get_dtype() for key in found}
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{folder}: {name} is not a readable safetensors file; get the model again.") from error
    if missing := sorted(expected.keys() - found.keys()):
        raise BundleError(f"{folder}: {name} lacks {missing[0]!r}, which its configuration needs.")
    if unknown := sorted(found.keys() - expected.keys()):
        raise BundleError(f"{folder}: {name} holds {unknown[0]!r}, which its configuration does not have.")
    for key, tensor in expected.items():
        if found[key] != tuple(tensor.shape):
            raise BundleError(f"{folder}: {name} has {key!r} of shape {found[key]}, but its configuration needs {tuple(tensor.shape)}.")
        if kinds[key] not in {"F16", "BF16", "F32"}:
            raise BundleError(f"{folder}: {name} stores {key!r} as {kinds[key]}, not as floating point numbers.")


def first_line(error: BaseException) -> str:
    """The first line of a library's error message, which may fill pages."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
