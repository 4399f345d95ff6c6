"""From a run to a bundle: the networks as trained so far, and a card that describes what really happened."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from MRIDenoiseLib import RESEARCH_USE_ONLY
from MRIDenoiseLib.data.manifest import CLEAN_ENOUGH
from MRIDenoiseLib.errors import InputError, SettingsError
from MRIDenoiseLib.methods import FIDELITY_GUIDED
from MRIDenoiseLib.models.bundle.bundle import Bundle
from MRIDenoiseLib.models.bundle.description import TRAINING, evidence_of
from MRIDenoiseLib.models.bundle.files import read_card
from MRIDenoiseLib.models.bundle.writing import write_bundle
from MRIDenoiseLib.models.networks import NETWORKS
from MRIDenoiseLib.training.leak_probe import verdict
from MRIDenoiseLib.training.loop import StageRun
from MRIDenoiseLib.training.recipe import Recipe, Stage
from MRIDenoiseLib.training.run import trained_so_far
from MRIDenoiseLib.training.run_folder import Account, kept_start, read_account, read_recipe
from MRIDenoiseLib.training.start import Start

INTENDED_USE = "Research on denoising accelerated magnitude MR volumes before a person reads them."
TUNED = ", fine-tuned"

_ALWAYS = (
    "Structures weaker than the noise and smaller than about three pixels can be lost.",
    "Not tested on children, implants, motion or folding artefacts.",
)


def build_bundle(
    run: Path,
    out: Path,
    *,
    measured: Sequence[Path] = (),
    notes: Sequence[str] = (),
    unfinished: bool = False,
    overwrite: bool = False,
) -> Bundle:
    """Write the networks of a run, with their averaged weights, as a bundle and check it.

    Args:
        run: the folder of ``mridenoise train``.
        out: the bundle's folder.
        measured: JSON files with numbers measured on these very weights: each an object with ``command`` (what gives the
            numbers again), ``what`` (what they are) and ``files`` (the ``files`` of the card of the bundle measured). Each
            becomes evidence under the file's name, whole, and its ``headline`` goes into the card.
        notes: further remarks on the training for the card.
        unfinished: also accept a run that has stages to do.
        overwrite: replace a bundle that is there.

    Returns:
        The bundle, as loaded from ``out``.

    Raises:
        SettingsError: there is no run or it has stages to do; a file was measured with other weights, or two have the same name.
        InputError: a file of the run or of the measurements cannot be read.
        OutputError: the bundle cannot be written.
    """
    recipe, account = read_recipe(run), read_account(run)
    if account is None:
        raise SettingsError(f"{run} holds no run; start one with mridenoise train")
    numbers = {path.stem: _read_measured(path) for path in measured}
    if len(numbers) < len(measured):
        raise SettingsError("two files of measured numbers have the same name; the card would show only one")
    if TRAINING in numbers:
        raise SettingsError(
            f"{TRAINING}.json is where a model keeps what it was trained on; give the file of measured numbers another name"
        )
    start = kept_start(run, recipe)
    trained = trained_so_far(recipe, start.networks, run)
    waiting = [stage.network for stage in recipe.stages if not (stage.network in trained.stages and trained.stages[stage.network].done)]
    if waiting and not unfinished:
        raise SettingsError(
            f"the training of {' and '.join(waiting)} is not finished; resume it with mridenoise train, or allow it with --unfinished"
        )
    card = model_card(recipe, account, trained.stages, start, notes)
    parts: dict[str, Any] = {**vars(trained.networks), "prompt_embeddings": _commonest(account.data["prompts"], recipe.common_prompts)}
    if numbers:
        with TemporaryDirectory() as scratch:
            ours = _weights(write_bundle(Path(scratch) / "bundle", **parts, card=card).card["files"])
        for path, content in zip(measured, numbers.values(), strict=True):
            if _weights(content["files"]) != ours:
                raise SettingsError(f"{path} was measured with other weights; measure these with: {content['command']}")
    return write_bundle(out, **parts, card=card, measured=numbers, overwrite=overwrite)


def model_card(recipe: Recipe, account: Account, stages: dict[str, StageRun], start: Start, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The card of a model before anything was measured, with the whole account of its training."""
    base = read_card(start.bundle) if start.bundle is not None else {}
    earlier = evidence_of(start.bundle).get(TRAINING, {}) if start.bundle is not None else {}
    data = account.data["data"] + [entry for entry in earlier.get("data", []) if entry not in account.data["data"]]
    origin: dict[str, Any] = dict(account.origin)
    if base:
        origin |= {"limits": base.get("limits", []), "programs": earlier.get("programs", [])}
    return {
        "name": f"{base.get('name', 'unnamed').removesuffix(TUNED)}{TUNED}" if base else recipe.config,
        "use": RESEARCH_USE_ONLY,
        "intended_use": INTENDED_USE,
        "limits": _limits(recipe, data, stages, start),
        "default_method": recipe.method,
        "default_settings": dict(recipe.settings),
        "training": {
            "recipe": asdict(recipe),
            "steps": sum(stage.steps for stage in stages.values()),
            "minutes": round(sum(stage.minutes for stage in stages.values()), 1),
            "stages": {name: _stage_account(name, stage, _probed_on(recipe, account)) for name, stage in stages.items()},
            "started_from": origin or "random weights",
            "programs": account.programs,
            "notes": list(notes),
            "data": data,
            "kept_out": account.data["kept_out"],
            # Runs that were started before this entry existed lack it.
            "left_out": account.data.get("left_out", []),
            "noise": _noise(recipe.records),
        },
    }


def _stage_account(name: str, stage: StageRun, probed_on: str) -> dict[str, Any]:
    account = {"steps": stage.steps, "minutes": round(stage.minutes, 1), **stage.facts}
    if stage.probe:
        # JSON cannot hold NaN or infinity.
        account["probe"] = {key: round(value, 4) if math.isfinite(value) else str(value) for key, value in stage.probe.items()}
    if name == "degradation":
        account |= {"probed_on": probed_on, "verdict": verdict(stage.probe)}
    return account


def _probed_on(recipe: Recipe, account: Account) -> str:
    """In words, whose pairs :meth:`.data.TrainingData.probes` gave."""
    validation = account.data["kept_out"].get("records", {}).get("validation", 0)
    return "patients of the validation split" if recipe.records == 1 and validation else "new crops of the training patients"


def _noise(records: float) -> str:
    simulated = "simulated: Rician; coil-combined, correlated and filtered noise of accelerated acquisitions"
    if records == 0:
        return simulated
    return "of the prepared pairs" if records == 1 else f"of the prepared pairs ({records:.0%}); the other pairs {simulated}"


def _limits(recipe: Recipe, data: list[dict[str, Any]], stages: dict[str, StageRun], start: Start) -> list[str]:
    organs = sorted({entry["organ"] for entry in data if entry.get("organ")})
    lines = [f"Trained on {', '.join(organs) or 'unnamed organs'}; on anything else it is extrapolating."]
    if recipe.records < 1:
        lines.append("Training noise was simulated, not scanned; real noise that looks different may be left in or taken for anatomy.")
        lines.append(f"The clean volumes it learned from hold noise of their own, up to {CLEAN_ENOUGH:.1%} of their P99.5.")
    lines += _ALWAYS
    planned: dict[str, Stage] = {stage.network: stage for stage in recipe.stages}
    for name in NETWORKS:
        if name in stages and not stages[name].done:
            done, plan = stages[name], planned[name]
            part = f"{done.steps} of {plan.steps} steps" if plan.minutes is None else f"{done.minutes:.0f} of {plan.minutes:g} minutes"
            lines.append(f"The training of the {name} network is not finished: {part} are done.")
        if name not in stages and name in start.networks and start.bundle is None:
            lines.append(f"The {name} network was not trained: methods that use it are of no use.")
    probe = stages["degradation"].probe if "degradation" in stages else {}
    if probe and not (probe["beats_identity"] and probe["likelihood_gain_body"] > 0):
        lines.append(f"The degradation network knows no more than the image itself: {FIDELITY_GUIDED.name} sampling gains nothing from it.")
    return lines


def _commonest(prompts: dict[str, int], number: int) -> list[str]:
    return [prompt for prompt, _ in Counter(prompts).most_common(number)]


def _read_measured(path: Path) -> dict[str, Any]:
    try:
        # JSON has no infinite number, for example a PSNR, and a card is strict JSON.
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=str)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as measured numbers: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict) or not {"command", "what"} <= content.keys():
        raise InputError(f"{path} is not a file of measured numbers: it must hold command, what and files")
    return content


def _weights(files: dict[str, str]) -> dict[str, str]:
    """The hashes of the components' weights in a card's ``files``."""
    return {name: digest for name, digest in files.items() if "/" in name and name.endswith(".safetensors")}
