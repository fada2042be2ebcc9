"""Banks of damped oscillators, coupled through a tanh: fields whose linear part is 2 x 2 blocks."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from solvers import BlockDiagonal
from solvers.checks import check_not_negative, check_positive
from solvers.extend import Time

from ..control.input_map import AffineControl
from .activation import LINEAR_PLUS_GATED_TANH, LINEAR_PLUS_TANH, Activation
from .field import AffinePointwiseField
from .parametrise import SkewSymmetric, Unconstrained, check_even, draw_input_map, input_map


class OscillatorBank(AffinePointwiseField):
    """dy/dt = A y + activation(M y, V x + b), A being n / 2 oscillators. Abstract: a field names matrix and activation.

    State, arguments and errors as `OscillatorField`.
    """

    matrix: ClassVar[type[SkewSymmetric] | type[Unconstrained]]
    activation: ClassVar[Activation]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        lowest_frequency: float = 0.01,
        highest_frequency: float = 1.0,
        frequency_unit: float = 1.0,
        damping: float = 0.01,
        sigma_w: float = 0.5,
        sigma_v: float = 0.3,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_even("hidden_size", hidden_size)
        check_not_negative("lowest_frequency", lowest_frequency)
        check_not_negative("highest_frequency", highest_frequency)
        check_positive("frequency_unit", frequency_unit)
        check_positive("damping", damping)
        check_not_negative("sigma_w", sigma_w)
        self.frequency_unit = frequency_unit
        ends = (lowest_frequency / frequency_unit, highest_frequency / frequency_unit)
        self._start = (*ends, damping)
        frequencies = torch.linspace(*ends, hidden_size // 2, device=device, dtype=dtype)
        self.scaled_frequency = nn.Parameter(frequencies)
        self.log_damping = nn.Parameter(torch.full_like(frequencies, log(damping)))
        self.recurrent = self.matrix(hidden_size, sigma_w, device=device, dtype=dtype)
        controls = self.activation.controls * hidden_size
        self.sigma_v = sigma_v
        self.input_map = input_map(input_size, controls, sigma_v, device=device, dtype=dtype)

    def frequencies(self) -> Float[Tensor, " half"]:
        """Omega, in radians a unit of time."""
        return self.frequency_unit * self.scaled_frequency

    def dampings(self) -> Float[Tensor, " half"]:
        """The damping g, in units of 1 / time."""
        return self.log_damping.exp()

    def linear_blocks(self) -> BlockDiagonal:
        """The matrix A of the blocks [[-g, -omega], [omega, -g]]."""
        decay, turn = -self.dampings(), self.frequencies()
        return BlockDiagonal(torch.stack((decay, -turn, turn, decay)).unflatten(0, (2, 2)))

    def reset_parameters(self) -> None:
        """Set the frequencies and dampings, and draw the other parameters again, as at construction."""
        lowest, highest, damping = self._start
        with torch.no_grad():
            self.scaled_frequency.copy_(torch.linspace(lowest, highest, self.hidden_size // 2))
            self.log_damping.fill_(log(damping))
        self.recurrent.reset_parameters()
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch control"]:
        """Return V x + b; of a gated field the candidate's, then the gate's."""
        return self.input_map(x)

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)

    def weight(self) -> Float[Tensor, "twice hidden"]:
        """Stack A above M."""
        return torch.cat((self.linear_blocks().dense(), self.recurrent()))

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch hidden"]:
        """p_1 + the activation of p_2 and u; y itself does not enter."""
        return self.activation.function(p, u)

    def semilinear(self) -> tuple[BlockDiagonal, Callable[[Time, Tensor, Tensor], Tensor]]:
        """Return A and the remainder, the activation of M y and u."""
        m, remainder = self.recurrent(), self.activation.remainder
        assert remainder is not None
        return self.linear_blocks(), lambda t, y, u: remainder.function(F.linear(y, m), u)

    def extra_repr(self) -> str:
        """Sizes and the unit of frequency."""
        return f"{self.input_size}, {self.hidden_size}, frequency_unit={self.frequency_unit}"


@final
class OscillatorField(OscillatorBank):
    """dy/dt = A y + tanh((W - W^T) y + V x + b): a bank of oscillators that the tanh couples.

    The state is (q, p), two halves. Oscillator i has the frequency omega_i and the damping g_i, both learned:
    dq_i/dt = -g_i q_i - omega_i p_i and dp_i/dt = omega_i q_i - g_i p_i. The flow of A is exact at any frequency under
    an exponential method (`LinearlyExactEuler`, `ExponentialEuler`, ...), which Euler's method is not.

    The damping is kept as its logarithm, and a frequency as its quotient by `frequency_unit`. That unit changes no
    value of the field. It decides how far an optimiser that rescales gradients, such as Adam, turns a frequency in one
    step: 1 / dt makes the parameters angles in radians a sample.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 of q and n / 2 of p.
        lowest_frequency: omega of the first oscillator at the start, in radians a unit of time.
        highest_frequency: of the last one; the others lie between them at equal distances.
        frequency_unit: in which the frequencies are kept, in radians a unit of time.
        damping: of every oscillator at the start, in units of 1 / time, above zero.
        sigma_w: W is drawn from N(0, sigma_w^2 / n); of an antisymmetric matrix, its strictly upper entries.
        sigma_v: V is drawn from N(0, sigma_v^2 / m). b is zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError: a size that is not a whole number, a scale that is not a number.
        ValueError: an odd `hidden_size`, a size below 1, a scale or a frequency below zero or not finite, a damping or
            a unit that is not above zero.

    Source of the idea that a linear part is integrated exactly: Hochbruck & Ostermann, Exponential integrators, Acta
    Numerica 19 (2010), 209-286; the field is our own.
    """

    matrix = SkewSymmetric
    activation = LINEAR_PLUS_TANH


@final
class GatedOscillatorField(OscillatorBank):
    """dy/dt = A y + sigmoid(M y + V_z x + b_z) * tanh(M y + V x + b), M = W - W^T, shared by gate and candidate.

    State, arguments and errors as `OscillatorField`.
    """

    matrix = SkewSymmetric
    activation = LINEAR_PLUS_GATED_TANH


@final
class UnstructuredOscillatorField(OscillatorBank):
    """dy/dt = A y + tanh(W y + V x + b), W unconstrained.

    State, arguments and errors as `OscillatorField`.
    """

    matrix = Unconstrained
    activation = LINEAR_PLUS_TANH
