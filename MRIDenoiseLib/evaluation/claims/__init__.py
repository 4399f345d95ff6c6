"""The claims of README and the results page, each measured by one file: ``mridenoise measure CLAIM``.

The module of a claim has the claim's name, with an underscore for a hyphen, and holds it as ``CLAIM``; see :mod:`.claim`.
"""

from importlib import import_module
from types import ModuleType

CLAIMS = {
    "native-noise": "How much grain is taken from real scans as they are, and whether clean ones stay as they are.",
    "noise-level": "Whether the noise level given to the networks is right, on noise of known strength.",
    "lesions": "What denoising leaves of small lesions put in before the noise.",
    "change": "Whether a change between two scans survives their subtraction, and none appears where there was none.",
    "guarantee": "Whether discs planted in the networks' answer, or removed from it, are bounded as each volume's table says.",
    "planted": "What becomes of planted evidence: fakes, images of noise alone, resolution bars, and discs that an observer has to find.",
    "through-plane": "What reformats show: flicker between slices, and small vessels in a projection.",
    "oddities": "Whether images that no training had are noticed, and how often others are taken for such.",
    "posterior": "Whether the diffusion model draws from the posterior.",
    "uncertainty": "Whether the map of uncertainty covers the error, patient by patient, and is high where the error is large.",
    "repeats": "Whether denoised single repeats of real measurements come closer to the mean of the others.",
    "tissues": "What denoising does to a tissue segmentation, and to the volumes of tissues.",
    "quantities": "What denoising does to T2 from several echoes, and to ADC from diffusion weights.",
    "grain": "How much of what sharpening adds is grain that follows the seed.",
    "text": "Whether the text given to the networks is of any use.",
    "sheets": "Sheets to look at, one a volume, and what the residual has to do with the anatomy.",
    "methods": "A model against everything a user could take instead.",
    "pairs": "Whether fine-tuning helped, on a site's own prepared pairs.",
    "segmenters": "Our tissue segmentation compared with those of other packages.",
    "segmentation-time": "How long three tissue classes take in a large volume, and how much memory.",
}
"""Name of a claim -> what it measures. It is here and not with the claims, so that they can be listed without loading them."""


def claim_module(name: str) -> ModuleType:
    """The module of a claim, which loads networks."""
    return import_module(f"{__name__}.{name.replace('-', '_')}")
