"""A field with noise: the drift of a stochastic equation and its diffusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import Diffusion, Structured
from solvers.checks import check_not_negative
from solvers.extend import Time, time_tensor

from .field import VectorField

Increments = Callable[[Time, Time, Tensor], Tensor]
"""(t, dt, y) -> W(t + dt) - W(t), of the shape of y."""


@final
class NoisyField(VectorField):
    """dy = f(t, y, u) dt + (additive + multiplicative y) dW: any field, and a Brownian motion for each unit.

    There is noise only in training mode; in evaluation the stochastic methods are the deterministic ones, to the bit.
    It takes a stochastic solver: EulerMaruyama reads the equation in Ito's sense, StochasticHeun in Stratonovich's. The
    field without noise, for every other solver, is `field`; its parameters are these.

    A run draws one seed when it starts from a tensor y0 or from nothing, from `generator` or else from torch's global
    generator on the CPU (torch.manual_seed); a RecurrentState carries seed and count on.

    Args:
        field: the drift.
        additive: the part of the diffusion that is the same everywhere, in units of state / sqrt(time).
        multiplicative: the part that grows with the state, unit by unit, in units of 1 / sqrt(time).
        generator: a torch.Generator that seeds the runs. It is not part of the state_dict.
        increments: (t, dt, y) -> the increments of a given Brownian path, in place of drawn ones.

    Raises:
        TypeError: `field` is not a VectorField, a scale not a number, `generator` not a torch.Generator, or
            `increments` not a function.
        ValueError: a scale below zero or not finite, a field with noise already, or both a generator and increments.

    Source: Lim, Erichson, Hodgkinson & Mahoney, Noisy recurrent neural networks (NeurIPS 2021): a recurrent network as
    the Euler-Maruyama discretisation of a stochastic equation, with noise in training. Here the diffusion is affine
    and diagonal in the state. The published code differs: its additive noise is not scaled by sqrt(dt), and its
    multiplicative noise is a uniform factor on the update.
    """

    def __init__(
        self,
        field: VectorField,
        *,
        additive: float = 0.0,
        multiplicative: float = 0.0,
        generator: torch.Generator | None = None,
        increments: Increments | None = None,
    ) -> None:
        if not isinstance(field, VectorField):
            raise TypeError(
                f"`field` is {type(field).__name__}; give a VectorField, such as AntisymmetricField(1, 128)"
            )
        if isinstance(field, NoisyField):
            raise ValueError("`field` is a NoisyField already; give the field within, `field.field`")
        super().__init__(field.input_size, field.hidden_size)
        check_not_negative("additive", additive)
        check_not_negative("multiplicative", multiplicative)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(f"`generator` is {type(generator).__name__}; give a torch.Generator or None")
        if increments is not None and not callable(increments):
            raise TypeError(
                f"`increments` is {type(increments).__name__}; give a function (t, dt, y) -> W(t + dt) - W(t), or None"
            )
        if generator is not None and increments is not None:
            raise ValueError("`generator` and `increments` are both given; given increments are not drawn: give one")
        self.field = field
        self.additive = additive
        self.multiplicative = multiplicative
        self.generator = generator
        self.increments = increments

    def reset_parameters(self) -> None:
        """Draw the parameters of the field again."""
        self.field.reset_parameters()

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch control"]:
        """The field's."""
        return self.field.control(x)

    def forward(
        self, t: Time, y: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch hidden"]:
        """The drift, which is the field."""
        return self.field(t, y, u)

    def scale(self, t: Time, y: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch hidden"]:
        """The diagonal of the diffusion, additive + multiplicative y."""
        return self.additive + self.multiplicative * y

    def diffusion(self) -> Diffusion:
        """The diffusion as the solvers know it, active in training mode."""
        return Diffusion(self.scale, self.training, self.increments, self.generator)

    def equation(self, x: Float[Tensor, "batch input"]) -> Structured:
        """The stochastic equation under a constant input, for `integrate` and `sde_paths`."""
        u = self.control(x)
        return Structured(lambda t, y: self.field(time_tensor(t, y), y, u), diffusion=self.diffusion())

    def extra_repr(self) -> str:
        """The scales of the noise."""
        return f"additive={self.additive}, multiplicative={self.multiplicative}"
