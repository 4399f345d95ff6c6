"""diffusers imported quickly computes what diffusers imported as usual does, and hides nothing afterwards."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from MRIDenoiseLib.inference import open_denoiser
from MRIDenoiseLib.models.bundle import quick_import
{before}
said = []
open_denoiser(sys.argv[1], "cpu", lambda *told: said.append(told), quick={quick})
print("said", said)
print("heavy", *(name for name in ("torch._dynamo", "peft", "transformers", "accelerate", "scipy.stats") if name in sys.modules))
import torch
from MRIDenoiseLib.models.bundle.bundle import Bundle
bundle = Bundle.load(sys.argv[1])
text, mask = bundle.encode(["an uncached prompt"])
from MRIDenoiseLib.models.conditioning import Conditioning
told = Conditioning(text, mask, torch.tensor([2.0]), torch.tensor([0.1]), torch.tensor([3.0]))
torch.manual_seed(0)
image = torch.randn(1, 1, 32, 32)
seen = 2 * bundle.network("denoiser").config.neighbours + 1
with torch.no_grad():
    out = bundle.network("denoiser")(image, image.expand(1, seen, 32, 32), torch.tensor([500]), told)
import peft, scipy.stats, torch._dynamo, accelerate
torch._dynamo.disable(recursive=False)
print(out.double().sum().item(), float(text.double().sum()))
"""


def run(bundle: str, *, quick: bool, before: str = "") -> list[str]:
    """What was said while a denoiser was opened, what was imported for it, and what its network then computes."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(before=before, quick=quick), bundle]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-3:]


@pytest.fixture(scope="module")
def usual(tiny_bundle) -> list[str]:
    return run(str(tiny_bundle), quick=False)


@pytest.fixture(scope="module")
def quick(tiny_bundle) -> list[str]:
    return run(str(tiny_bundle), quick=True)


def test_the_networks_compute_the_same_and_everything_hidden_can_be_imported_later(usual, quick):
    assert quick[1] == "heavy" and "torch._dynamo" in usual[1]
    assert quick[2] == usual[2]


def test_a_diffusers_that_cannot_do_without_is_imported_as_usual(tiny_bundle):
    fallen_back = run(str(tiny_bundle), quick=True, before="quick_import._no_compiler = lambda: None")
    assert "torch._dynamo" in fallen_back[1] and float(fallen_back[2].split()[0]) != 0


def test_a_denoiser_that_is_opened_tells_of_it_whether_quickly_or_not(usual, quick):
    assert "Loading the networks" in usual[0] and "Loading the networks" in quick[0]
