"""The linearly exact Euler method as Euler's method on another field."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import phi_functions

from ..field import VectorField
from ..fields.oscillator import OscillatorBank

KINDS = ("linear", "linear-plus-tanh")
"""The activations whose image begins with the linear part."""


def as_euler(field: VectorField, weight: Float[Tensor, "image hidden"], dt: float) -> Float[Tensor, "image hidden"]:
    """The weight with which a step dt of Euler's method is one of the linearly exact Euler method on `weight`.

    exp(dt A) y + dt remainder = y + dt (A' y + remainder) with A' = (exp(dt A) - I) / dt.
    """
    n = weight.shape[1]
    linear = weight[:n]
    flow = _oscillations(linear, dt) if isinstance(field, OscillatorBank) else phi_functions(dt * linear, 0)[0]
    identity = torch.eye(n, dtype=weight.dtype, device=weight.device)
    return torch.cat(((flow - identity) / dt, weight[n:]))


def _oscillations(linear: Float[Tensor, "hidden hidden"], dt: float) -> Float[Tensor, "hidden hidden"]:
    """The exponential of dt A, A = [[-diag g, -diag omega], [diag omega, -diag g]]."""
    half = len(linear) // 2
    decay = (dt * linear.diagonal()[:half]).exp()
    angle = dt * linear.diagonal(-half)
    cos, sin = torch.diag(decay * angle.cos()), torch.diag(decay * angle.sin())
    return torch.cat((torch.cat((cos, -sin), dim=1), torch.cat((sin, cos), dim=1)))
