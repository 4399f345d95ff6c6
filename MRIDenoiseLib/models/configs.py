"""Named sizes of the whole set of networks: ``compact`` ships with the program, ``paper`` is the paper's, ``tiny`` is for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffusers import DDIMScheduler
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from MRIDenoiseLib.errors import SettingsError
from MRIDenoiseLib.models.diffusion_denoiser import DiffusionDenoiser
from MRIDenoiseLib.models.flow import FlowNetwork
from MRIDenoiseLib.models.nbnet import NBNet
from MRIDenoiseLib.models.noise_estimator import NoiseEstimator
from MRIDenoiseLib.models.text_encoder import build_compact_text_encoder, build_tokenizer


@dataclass(frozen=True)
class ModelConfig:
    """Arguments of every network of a bundle; ``restoration`` is the regression twin, which every recipe trains beside."""

    denoiser: dict[str, Any]
    degradation: dict[str, Any]
    restoration: dict[str, Any]
    text_width: int
    text_layers: int
    noise_estimator: dict[str, Any] = field(default_factory=dict)
    flow: dict[str, Any] = field(default_factory=dict)


def compact() -> ModelConfig:
    """Runs on a CPU: about twelve million parameters, five slices in, residual in units of the noise, diffusion from regression on."""
    text = 64
    return ModelConfig(
        denoiser={
            "widths": (48, 64, 64),
            "layers_per_block": 1,
            "attention_levels": 1,
            "heads_width": 32,
            "text_dim": text,
            "norm_groups": 16,
            "patch_size": 2,
            "neighbours": 1,
            "residual": True,
            "fade_state": True,
            "grain": True,
            "informed": True,
        },
        degradation={"channels": (16, 32, 32, 32, 32), "mid_channels": 16, "subspace_dim": 8, "text_dim": text, "film_width": text},
        restoration={
            "in_channels": 5,
            "channels": (96, 160, 224, 256),
            "mid_channels": 64,
            "subspace_dim": 8,
            "text_dim": text,
            "film_width": text,
            "residual_unit": "noise",
            "patch_size": 2,
        },
        text_width=text,
        text_layers=2,
        flow={"text_dim": text},
    )


def paper() -> ModelConfig:
    """The paper's size: U-Net (192, 192, 384, 576, 768) x 2, NBNet 128-64-32-16-8, text 1024 wide; single slices."""
    nbnet = {"channels": (128, 64, 32, 16, 8), "mid_channels": 128, "subspace_dim": 16, "text_dim": 1024}
    return ModelConfig(
        denoiser={},
        degradation=nbnet,
        restoration=nbnet,
        text_width=1024,
        text_layers=23,
        flow={"channels": (96, 128, 192), "film_width": 256, "patch_size": 1},
    )


def tiny() -> ModelConfig:
    """A few thousand parameters in the shape of ``compact``, for tests of the code path."""
    text = 16
    return ModelConfig(
        denoiser={
            "widths": (8, 16),
            "layers_per_block": 1,
            "attention_levels": 1,
            "heads_width": 8,
            "text_dim": text,
            "norm_groups": 4,
            "patch_size": 2,
            "neighbours": 1,
            "residual": True,
            "fade_state": True,
            "grain": True,
        },
        degradation={"channels": (4, 4, 4, 4, 4), "mid_channels": 4, "subspace_dim": 2, "text_dim": text},
        restoration={
            "in_channels": 3,
            "channels": (4, 4, 4, 4, 4),
            "mid_channels": 4,
            "subspace_dim": 2,
            "text_dim": text,
            "residual_unit": "noise",
        },
        text_width=text,
        text_layers=1,
        noise_estimator={"filters": 4, "channels": 8, "layers": 1},
        flow={"channels": (4, 4), "text_dim": text, "film_width": 8},
    )


CONFIGS = {"compact": compact, "paper": paper, "tiny": tiny}


@dataclass
class Networks:
    """The networks of one bundle, ready to be trained; an older one may lack the last three kinds."""

    denoiser: DiffusionDenoiser
    degradation: NBNet
    restoration: NBNet | None
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerBase
    scheduler: DDIMScheduler
    noise_estimator: NoiseEstimator | None = None
    flow: FlowNetwork | None = None


def build_networks(config: ModelConfig, text: tuple[PreTrainedTokenizerBase, CLIPTextModel] | None = None) -> Networks:
    """Networks with random weights, drawn from torch's global generator.

    Args:
        config: their sizes.
        text: a tokenizer and its trained text model, see :func:`.text_encoder.load_text_tower`; without them a small text
            model with a word-level tokenizer is built.

    Raises:
        SettingsError: the text model's embeddings are not as wide as the networks take them.
    """
    denoiser, degradation, restoration = DiffusionDenoiser(**config.denoiser), NBNet(**config.degradation), NBNet(**config.restoration)
    if text is None:
        tokenizer = build_tokenizer()
        text = tokenizer, build_compact_text_encoder(tokenizer, config.text_width, config.text_layers)
    tokenizer, text_encoder = text
    if text_encoder.config.hidden_size != config.text_width:
        raise SettingsError(
            f"the text encoder's embeddings are {text_encoder.config.hidden_size} wide, but the networks take them {config.text_width} wide"
        )
    estimator = NoiseEstimator(**config.noise_estimator)
    return Networks(denoiser, degradation, restoration, text_encoder, tokenizer, build_scheduler(), estimator, FlowNetwork(**config.flow))


def build_scheduler() -> DDIMScheduler:
    """Linear betas 1e-4..2e-2 over 1000 steps, rescaled so that the last step is pure noise (Lin et al. 2024)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        rescale_betas_zero_snr=True,
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="linspace",
    )
