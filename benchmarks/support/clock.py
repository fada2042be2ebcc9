"""How fast a GPU ran while something was measured on it."""

from __future__ import annotations

import torch


def clock_of(device: torch.device) -> int | None:
    """The clock of a GPU's multiprocessors at this moment in MHz; None of a CPU, or where nothing here can read it."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.clock_rate(device)
    except Exception:  # torch asks NVIDIA's library, which may be missing, or another than the driver's
        return None
