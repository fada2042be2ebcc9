"""Limits of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from benchmarks.settings.types import TrainerSettings


def clip_gradients(parameters: Sequence[nn.Parameter], settings: TrainerSettings) -> Float[Tensor, ""]:
    """Clips as the settings say, and gives the norm of the gradient before it."""
    limit = math.inf if settings.gradient_clip is None else settings.gradient_clip
    if settings.gradient_clip_by == "norm":
        return clip_grad_norm_(parameters, limit)
    norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    clip_grad_value_(parameters, limit)
    return norm
