"""How long a 256 x 256 slice takes, how much memory that needs, and what each network costs.

    python scripts/benchmark_speed.py                  the bundled model on two threads
    python scripts/benchmark_speed.py --config paper   parameters and operations of another size, part by part

Every method runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from command import run
from memory import peak_memory
from rich.console import Console
from rich.table import Table

RUNS: dict[str, dict[str, Any]] = {
    "posterior-mean": {"method": "posterior-mean", "steps": 1, "samples": 1},
    "fidelity-guided, 10 steps": {"method": "fidelity-guided", "steps": 10, "fidelity": 0.05, "mode": "tuned"},
    "regression": {"method": "regression"},
}
SIZE = 256
SLICES = 24
TIMED = 3

console = Console(soft_wrap=True)


def measure(name: str, bundle: Path | None, threads: int) -> dict[str, Any]:
    """Denoise some slices of a volume whose body fills the view; seconds a slice (median) and this process's peak memory in MiB."""
    import numpy as np
    import torch

    from MRIDenoiseLib.card import bundled_model
    from MRIDenoiseLib.inference import Denoiser, Settings
    from MRIDenoiseLib.models.bundle import Bundle
    from MRIDenoiseLib.volume import Volume

    torch.set_num_threads(threads)
    denoiser = Denoiser(Bundle.load(bundle or bundled_model()), "cpu")
    z, y, x = np.mgrid[0:SLICES, 0:SIZE, 0:SIZE]
    body = np.where(np.hypot(x - SIZE / 2, y - SIZE / 2) < 0.49 * SIZE, 500 + 100 * np.sin(x / 20) * np.cos(y / 30 + z), 0)
    noise = np.random.default_rng(0).normal(0, 40, (2, *body.shape))
    volume = Volume(np.hypot(body + noise[0], noise[1]).astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))

    denoiser(volume, Settings(**RUNS[name], slices=(0, 1)))  # warm up
    finished: list[float] = []

    def progress(fraction: float, seconds_left: float | None, what: str) -> None:
        # A call a slice and several a slice alike: the clock is read when a whole number of slices is done.
        done = fraction * TIMED
        if abs(done - round(done)) < 1e-6 and round(done) == len(finished):
            finished.append(time.perf_counter())

    denoiser(volume, Settings(**RUNS[name], slices=(0, TIMED), batch_size=1), progress)
    # The first interval holds the measurement of the noise, done once a volume.
    seconds = [after - before for before, after in zip(finished[1:-1], finished[2:], strict=True)]
    return {"seconds": statistics.median(seconds), "memory": peak_memory()}


def cost_table(name: str) -> Table:
    """Parameters and operations of each network of a configuration for one 256 x 256 slice; no weight is stored."""
    import torch
    from transformers import CLIPTextModel

    from MRIDenoiseLib.models.conditioning import Conditioning
    from MRIDenoiseLib.models.configs import CONFIGS
    from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser
    from MRIDenoiseLib.models.nbnet import NBNet
    from MRIDenoiseLib.models.operations import flops, parameter_count
    from MRIDenoiseLib.models.text_encoder import add_lora, build_compact_text_encoder, build_tokenizer, stable_diffusion_text_config

    # transformers' own, about an attribute that peft reads.
    warnings.simplefilter("ignore", FutureWarning)
    config = CONFIGS[name]()
    table = Table(title=f"{name}: one slice of {SIZE} x {SIZE}, 2 operations a multiply-add", title_justify="left")
    table.add_column("part")
    table.add_column("parameters", justify="right")
    table.add_column("GFLOP a call", justify="right")
    table.add_column("GFLOP a call with gradient", justify="right")
    total = 0

    def row(part: str, module: torch.nn.Module, *inputs: Any, gradient: bool = False) -> None:
        nonlocal total
        parameters = parameter_count(module)
        total += parameters
        forward = f"{flops(module, *inputs) / 1e9:.1f}" if inputs else ""
        both = f"{flops(module, *inputs, input_gradient=True) / 1e9:.1f}" if gradient else ""
        table.add_row(part, f"{parameters:,}", forward, both)

    # Shapes only: the paper's networks then need no gigabyte and no minute.
    with torch.device("meta"):
        told = Conditioning(
            text=torch.zeros(1, 16, config.text_width),
            text_mask=torch.ones(1, 16, dtype=torch.bool),
            acceleration=torch.ones(1),
            noise_level=torch.ones(1),
            slice_spacing=torch.ones(1),
        )
        image = torch.zeros(1, 1, SIZE, SIZE)
        denoiser = DiffusionDenoiser(**config.denoiser)
        measured = image.expand(1, 2 * denoiser.config.neighbours + 1, SIZE, SIZE)
        row("denoiser", denoiser, image, measured, torch.zeros(1), told)
        row("degradation", NBNet(**config.degradation), image, told, gradient=True)
        if config.restoration is not None:
            restoration = NBNet(**config.restoration)
            row("restoration", restoration, image.expand(1, restoration.config.in_channels, SIZE, SIZE), told)
        if name == "paper":
            tower = CLIPTextModel(stable_diffusion_text_config())
            without = parameter_count(tower)
            with_lora = parameter_count(add_lora(tower))
            total += with_lora - without
            table.add_row("LoRA adapters", f"{with_lora - without:,}")
            table.add_row("all of these", f"{total:,}", end_section=True)
            table.add_row("Stable Diffusion 2.1 text tower (frozen, its output cached)", f"{without:,}")
        else:
            row("text encoder", build_compact_text_encoder(build_tokenizer(), config.text_width, config.text_layers))
            table.add_row("all of these", f"{total:,}")
    return table


def benchmark(
    config: Annotated[str, typer.Option(help="compact, paper or tiny: whose parameters and operations to print.")] = "compact",
    bundle: Annotated[Path | None, typer.Option(help="Time this model instead of the bundled one.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = 2,
    time_it: Annotated[bool, typer.Option("--time/--no-time", help="Also run the model, not only count.")] = True,
    child: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print time, memory, parameters and operations."""
    if child is not None:
        print(json.dumps(measure(child, bundle, threads)))
        return
    console.print(cost_table(config))
    if not time_it or (config != "compact" and bundle is None):
        return
    table = Table(title=f"\none slice of {SIZE} x {SIZE} on {threads} threads of this processor", title_justify="left")
    for heading in ("method", "seconds a slice", "peak memory, MiB"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for name in RUNS:
        console.print(f"timing {name} ...", style="dim")
        command = [sys.executable, __file__, "--child", name, "--threads", str(threads)]
        if bundle is not None:
            command += ["--bundle", str(bundle)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if answer.returncode != 0:
            raise typer.Exit(1)
        measured = json.loads(answer.stdout.splitlines()[-1])
        table.add_row(name, f"{measured['seconds']:.2f}", f"{measured['memory']:.0f}")
    console.print(table)


if __name__ == "__main__":
    run(benchmark)
