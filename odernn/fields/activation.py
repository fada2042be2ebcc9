"""The elementwise parts of the registered fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Activation:
    """dy/dt as a function of the preactivation p of the state and the control u.

    Attributes:
        name: what the fast engines know it by.
        controls: entries of the control per unit.
        function: (p, u) -> dy/dt; of an activation with a scale (p, u, scale) -> dy/dt.
        remainder: of an activation that adds the first half of the preactivation to something, that something, as a
            function of the second half, without the scale; else None.
    """

    name: str
    controls: int
    function: Callable[..., Tensor]
    remainder: Activation | None = None


def _tanh(p: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch hidden"]:
    return torch.tanh(p + u)


def _gated_tanh(p: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch twice"]) -> Float[Tensor, "*batch hidden"]:
    candidate, gate = u.chunk(2, dim=-1)
    return torch.sigmoid(p + gate) * torch.tanh(p + candidate)


def _linear_plus_tanh(
    p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch hidden"]
) -> Float[Tensor, "*batch hidden"]:
    linear, preactivation = p.chunk(2, dim=-1)
    return linear + _tanh(preactivation, u)


def _linear_plus_gated_tanh(
    p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch twice"]
) -> Float[Tensor, "*batch hidden"]:
    linear, preactivation = p.chunk(2, dim=-1)
    return linear + _gated_tanh(preactivation, u)


def _linear_plus_scaled_tanh(
    p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch hidden"], scale: Float[Tensor, " hidden"]
) -> Float[Tensor, "*batch hidden"]:
    linear, preactivation = p.chunk(2, dim=-1)
    return linear + scale * _tanh(preactivation, u)


TANH = Activation("tanh", 1, _tanh)
"""tanh(p + u): the paper's equation (8)."""

GATED_TANH = Activation("gated-tanh", 2, _gated_tanh)
"""sigmoid(p + u_z) * tanh(p + u_c) with u = (u_c, u_z): the paper's equation (13)."""

LINEAR_PLUS_TANH = Activation("linear-plus-tanh", 1, _linear_plus_tanh, TANH)
"""p_1 + tanh(p_2 + u), with p = (A y, W y): the Lipschitz recurrent network."""

LINEAR_PLUS_GATED_TANH = Activation("linear-plus-gated-tanh", 2, _linear_plus_gated_tanh, GATED_TANH)
"""p_1 + sigmoid(p_2 + u_z) * tanh(p_2 + u_c), with p = (A y, W y) and u = (u_c, u_z): the gated oscillator bank."""

LINEAR_PLUS_SCALED_TANH = Activation("linear-plus-scaled-tanh", 1, _linear_plus_scaled_tanh, TANH)
"""p_1 + scale * tanh(p_2 + u), with a learned number a unit: UnICORNN."""

LINEAR = Activation("linear", 1, torch.add)
"""p + u: a linear system under a forcing u."""
