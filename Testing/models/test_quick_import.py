"""diffusers imported quickly computes what diffusers imported as usual does, and hides nothing afterwards."""

import subprocess
import sys

PROGRAM = """
import sys
from MRIDenoiseLib.models.bundle import quick_import
{before}
import torch
from MRIDenoiseLib.models.bundle.bundle import Bundle
print("heavy", *(name for name in ("torch._dynamo", "peft", "transformers", "accelerate", "scipy.stats") if name in sys.modules))
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


def run(before: str, bundle: str) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(before=before), bundle]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-2:]


def test_the_networks_compute_the_same_and_everything_hidden_can_be_imported_later(tiny_bundle):
    usual = run("", str(tiny_bundle))
    quick = run("quick_import.import_diffusers()", str(tiny_bundle))
    assert quick[0] == "heavy" and "torch._dynamo" in usual[0]
    assert quick[1] == usual[1]


def test_a_diffusers_that_cannot_do_without_is_imported_as_usual(tiny_bundle):
    needy = "quick_import._no_compiler = lambda: None; quick_import.import_diffusers()"
    fallen_back = run(needy, str(tiny_bundle))
    assert "torch._dynamo" in fallen_back[0] and float(fallen_back[1].split()[0]) != 0


def test_a_denoiser_opened_quickly_leaves_the_compiler_and_the_text_encoders_libraries_alone(tiny_bundle):
    program = (
        "import sys; from MRIDenoiseLib.inference import open_denoiser\n"
        "said = []; open_denoiser(sys.argv[1], 'cpu', lambda *told: said.append(told), quick=sys.argv[2] == 'quick')\n"
        "print('torch._dynamo' in sys.modules, 'transformers' in sys.modules, said)"
    )
    for how, compiler in (("quick", "False"), ("usual", "True")):
        command = [sys.executable, "-W", "ignore", "-c", program, str(tiny_bundle), how]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(maxsplit=2)
        assert said[0] == compiler and "Loading the networks" in said[2]
        assert how == "usual" or said[1] == "False"
