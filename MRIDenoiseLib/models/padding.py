"""Padding a batch of slices to a size a U-Net can halve, and cropping the answer back."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def pad_to_multiple(images: Tensor, multiple: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Reflect-pad B x C x H x W at the bottom and right to a multiple of ``multiple``; also give the matching crop.

    Reflection cannot reach further than the image itself, so an axis shorter than its padding repeats its edge instead.
    """
    height, width = images.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if below or right:
        mode = "reflect" if below < height and right < width else "replicate"
        images = functional.pad(images, (0, right, 0, below), mode=mode)
    return images, lambda output: output[..., :height, :width]
