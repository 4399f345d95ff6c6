"""What the tests of training share: phantoms, pairs that cost nothing to draw, data folders, and a look at weights."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from MRIDenoiseLib.data.manifest import CleanVolume, ManifestRow, manifest_acquisition
from MRIDenoiseLib.data.records import Record, RecordMeta, RecordWriter
from MRIDenoiseLib.data.references import GtKind
from MRIDenoiseLib.data.samples import Batch
from MRIDenoiseLib.data.split import Split
from MRIDenoiseLib.models.configs import Networks, build_networks, tiny
from MRIDenoiseLib.prompt.vocabulary import WORDS
from MRIDenoiseLib.training.loop import NETWORK_SHARE
from MRIDenoiseLib.training.run_folder import read_log
from MRIDenoiseLib.volume import Acquisition

PROMPTS = ("siemens head t1 plain axial 2x", "ge knee pd fs sag 3x", "unknown unknown unknown unknown unknown unknown")


def untimed(folder: Path) -> list[dict[str, float]]:
    """The log of a training without how much of the time its network took, which no two runs share; that it is a share is checked."""
    entries = read_log(folder)
    assert all(0 < entry.pop(NETWORK_SHARE, 0.5) <= 1 for entry in entries)
    return entries


def phantom(depth: int = 4, size: int = 64) -> np.ndarray:
    """Slices with stripes inside a disc, P99.5 about 0.9."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return np.stack([np.where(np.hypot(x, y) < 0.9, 0.6 + 0.3 * np.sin(9 * x + 0.2 * k), 0.0) for k in range(depth)]).astype(np.float32)


def clean_volumes() -> list[CleanVolume]:
    """Two volumes, of a head and a knee."""
    slices = phantom()
    rows = [ManifestRow(f"v{k}.nii", "made here", "none", organ, "T1w", "Siemens", f"s{k}") for k, organ in enumerate(("head", "knee"))]
    return [CleanVolume(slices, slices > 0.1, 3.0, manifest_acquisition(row, Acquisition()), row) for row in rows]


class QuickBatches:
    """Phantom slices with Gaussian noise, in a millisecond.

    Args:
        size: rows and columns.
        seed: of the noise.
    """

    def __init__(self, size: int = 32, seed: int = 0) -> None:
        self.clean = 2 * torch.from_numpy(phantom(8, size)) - 1
        self.seed = seed

    def batch(self, index: int, batch_size: int) -> Batch:
        generator = torch.Generator().manual_seed(self.seed * 1000 + index)
        level = 0.05 + 0.2 * torch.rand(batch_size, generator=generator)
        first = torch.randint(len(self.clean) - 2, (batch_size,), generator=generator)
        slices = torch.stack([self.clean[k : k + 3] for k in first.tolist()])
        noise = torch.randn(slices.shape, generator=generator)
        return Batch(
            measured=slices + level.view(-1, 1, 1, 1) * noise,
            clean=slices[:, 1:2],
            body=(slices[:, 1:2] > -0.8).float(),
            noise_level=level,
            acceleration=torch.full((batch_size,), 2.0),
            slice_spacing=torch.full((batch_size,), 3.0),
            prompts=[PROMPTS[k % len(PROMPTS)] for k in range(batch_size)],
        )


def tiny_networks(seed: int = 0) -> Networks:
    """The networks of the configuration ``tiny``, with weights of this seed."""
    torch.manual_seed(seed)
    return build_networks(tiny())


def trained_before(seed: int = 0) -> Networks:
    """The same as after some training: their last layers, which start at zero, let gradients through."""
    networks = tiny_networks(seed)
    for network in (networks[name] for name in ("denoiser", "degradation", "restoration", "flow", "uncertainty")):
        for parameter in network.parameters():
            parameter.data += 0.02 * torch.randn_like(parameter)
    return networks


def weights(*modules: nn.Module) -> torch.Tensor:
    """All their weights in one row."""
    return torch.cat([parameter.detach().flatten() for module in modules for parameter in module.parameters()])


def data_folder(folder: Path, size: int = 192) -> Path:
    """A folder of clean volumes with a manifest: two that may be trained on, and one of a patient kept out."""
    (folder / "volumes").mkdir(parents=True)
    rows = []
    for k, (subject, organ) in enumerate((("s0", "head"), ("s1", "knee"), ("ms12", "head"))):
        name = f"volumes/{organ}_T1w_{subject}.nii.gz"
        image = sitk.GetImageFromArray((1000 * phantom(3, size)).astype(np.int16))
        image.SetSpacing((1.0, 1.0, 4.0 + k))
        sitk.WriteImage(image, str(folder / name))
        rows.append(
            {"file": name, "source": "made here", "licence": "CC0", "organ": organ, "contrast": "T1w", "vendor": "GE", "subject": subject}
            | {"split": "test" if subject == "ms12" else "train", "own_noise": "0.0050"}
        )
    with (folder / "MANIFEST.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


def record(split: Split = "train", gt_kind: GtKind = "leave_one_out", size: int = 192, **told: Any) -> Record:
    """A prepared pair: a phantom, and the same with noise."""
    clean = 800 * phantom(3, size)
    noisy = clean + 40 * np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    meta: dict[str, Any] = {"subject": "5ub", "exam": "3xa", "series": "53r", "site": "North", "vendor": "GE", "model": "", "organ": "knee"}
    meta |= {"contrast": "PDw", "fat_suppression": "none", "plane": "sagittal", "acceleration": 2.0, "acceleration_group": "2x"}
    meta |= {"field_strength": 1.5, "nex_fast": 1.0, "nex_full": 2.0, "parallel_fast": None, "parallel_full": None}
    meta |= {"spacing": (0.5, 0.5), "slice_spacing": 3.0, "slice_thickness": 3.0, "repeats": 2, "noise": "measured", "gain": 1.0}
    meta |= {"scale": 700.0, "noise_level": 40.0, "reference_noise": None, "alignment": None, "fill_factor": (1.0, 1.0)}
    meta |= {"source": "made here", "licence": "CC0", "split": split, "gt_kind": gt_kind}
    return Record(noisy, clean, clean > 100, RecordMeta(**(meta | told)))


def record_folder(folder: Path, *records: Record) -> Path:
    """A folder as ``mridenoise prepare`` makes it."""
    writer = RecordWriter(folder)
    for each in records:
        writer.add(each)
    writer.finish()
    return folder


def text_tower(folder: Path, width: int = 16, length: int = 77) -> Path:
    """A tiny random text encoder in the layout of Stable Diffusion 2.1, written as the program of its time did."""
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "text_encoder").mkdir()
    merges = _byte_pairs([piece for word in WORDS for piece in re.findall("[a-z]+|[0-9]|[^a-z0-9]+", word)])
    letters = sorted({letter for word in WORDS for letter in word})
    vocabulary = ["!", *letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "!"}
    tokenizer = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **marks}
    _json(folder / "tokenizer" / "vocab.json", {word: index for index, word in enumerate(vocabulary)})
    _json(folder / "tokenizer" / "special_tokens_map.json", marks)
    _json(folder / "tokenizer" / "tokenizer_config.json", tokenizer)
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"vocab_size": len(vocabulary), "max_position_embeddings": length, "projection_dim": 8, "hidden_act": "gelu"}
    sizes |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    torch.manual_seed(5)
    encoder = CLIPTextModel(CLIPTextConfig(**sizes))
    # Its configuration has a key that text models no longer know, and its weights a prefix and a buffer.
    _json(folder / "text_encoder" / "config.json", {**sizes, "model_type": "clip_text_model", "dropout": 0.0, "torch_dtype": "float32"})
    stored = {f"text_model.{name}": weight.clone() for name, weight in encoder.state_dict().items()}
    stored["text_model.embeddings.position_ids"] = torch.arange(length)[None]
    save_file(stored, folder / "text_encoder" / "model.safetensors", metadata={"format": "pt"})
    return folder


def _byte_pairs(words: list[str]) -> list[tuple[str, str]]:
    """Merges that make one token of each word, in the order in which they are applied."""
    tokenizer = Tokenizer(BPE())
    tokenizer.train_from_iterator(words, BpeTrainer(vocab_size=10_000, min_frequency=0, end_of_word_suffix="</w>", show_progress=False))
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def _json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
