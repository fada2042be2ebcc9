"""Limits of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from benchmarks.settings.types import TrainerSettings

_APART = 1e-6
"""What torch's clip_grad_norm_ adds to the norm that it divides by."""


def clip_gradients(parameters: Sequence[nn.Parameter], settings: TrainerSettings) -> Float[Tensor, ""]:
    """Clips as the settings say, and gives the norm of the gradient before it."""
    limit = math.inf if settings.gradient_clip is None else settings.gradient_clip
    if settings.gradient_clip_by == "norm":
        return clip_grad_norm_(parameters, limit)
    norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    clip_grad_value_(parameters, limit)
    return norm


def clip_each(parameters: Sequence[nn.Parameter], settings: TrainerSettings) -> Float[Tensor, " models"]:
    """Clip each network's gradient of an ensemble by itself; its parameters are (models, ...)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = [gradient.reshape(len(gradient), -1) for gradient in gradients]
    norms = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each, dim=1) for each in flat]), dim=0)
    if settings.gradient_clip is None:
        return norms
    if settings.gradient_clip_by == "value":
        clip_grad_value_(parameters, settings.gradient_clip)
        return norms
    share = (settings.gradient_clip / (norms + _APART)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(share.reshape(-1, *[1] * (gradient.ndim - 1)))
    return norms
