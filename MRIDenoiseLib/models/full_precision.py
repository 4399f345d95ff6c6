"""Where digits matter, networks compute in float32 whatever was chosen for the rest of them."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """No automatic choice of number formats on a device; one that knows none (``meta``, which only counts) has none to switch off."""
    kind = device.type if torch.amp.is_autocast_available(device.type) else "cpu"
    return torch.autocast(kind, enabled=False)
