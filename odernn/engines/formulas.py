"""The registered activations in place, with derivatives written down: what an operator uses instead of autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.extend import Time

from ..fields.activation import GATED_TANH, LINEAR, LINEAR_PLUS_TANH, TANH


class Linearised(NamedTuple):
    """A right-hand side with its elementwise derivatives.

    Attributes:
        slope: dy/dt (..., n).
        by_preactivation: the step times its derivative by the preactivation (..., P), a unit's by each of its own
            entries.
        by_state: that by the state itself (..., n), or None if it does not enter.
        by_control: that by the control (..., U), or None if it is the derivative by the last U entries of the
            preactivation, or if it is not asked for.
    """

    slope: Tensor
    by_preactivation: Tensor
    by_state: Tensor | None = None
    by_control: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Formula:
    """An activation as the torch operators work it out.

    Attributes:
        rate: (p, u) -> dy/dt; it may overwrite p.
        linearise: (p, u, step, out) -> dy/dt with its derivatives, that by the preactivation in `out`; it may overwrite
            p. The step is a number or broadcasts against the state.
        by_control: whether `linearise` gives a derivative by the control of its own.
    """

    rate: Callable[[Tensor, Tensor], Tensor]
    linearise: Callable[[Tensor, Tensor, Time, Tensor], Linearised]
    by_control: bool = False


def _tanh(p: Tensor, u: Tensor) -> Tensor:
    return p.add_(u).tanh_()


def _tanh_linearised(p: Tensor, u: Tensor, step: Time, out: Tensor) -> Linearised:
    slope = _tanh(p, u)
    return Linearised(slope, _scaled_one_minus_square(slope, step, out))


def _gated(p: Tensor, u: Tensor) -> Tensor:
    candidate, gate = u.chunk(2, dim=-1)
    return torch.add(p, gate).sigmoid_().mul_(p.add_(candidate).tanh_())


def _gated_linearised(p: Tensor, u: Tensor, step: Time, out: Tensor) -> Linearised:
    """With s = sigmoid(p + u_z) and t = tanh(p + u_c): s (1 - t^2) by the candidate, t s (1 - s) by the gate."""
    candidate, gate = u.chunk(2, dim=-1)
    s, t = torch.add(p, gate).sigmoid_(), p.add_(candidate).tanh_()
    slope = s * t
    by_candidate = torch.addcmul(s, slope, t, value=-1)
    by_gate = torch.addcmul(slope, slope, s, value=-1)
    by_preactivation = torch.add(by_candidate, by_gate, out=out).mul_(step)
    return Linearised(slope, by_preactivation, by_control=torch.cat((by_candidate, by_gate), dim=-1))


def _linear(p: Tensor, u: Tensor) -> Tensor:
    return p.add_(u)


def _linear_linearised(p: Tensor, u: Tensor, step: Time, out: Tensor) -> Linearised:
    return Linearised(p.add_(u), _filled(out, step))


def _linear_plus_tanh(p: Tensor, u: Tensor) -> Tensor:
    linear, preactivation = p.chunk(2, dim=-1)
    return preactivation.add_(u).tanh_().add_(linear)


def _linear_plus_tanh_linearised(p: Tensor, u: Tensor, step: Time, out: Tensor) -> Linearised:
    linear, preactivation = p.chunk(2, dim=-1)
    tanh = torch.add(preactivation, u).tanh_()
    by_linear, by_preactivation = out.chunk(2, dim=-1)
    _filled(by_linear, step)
    _scaled_one_minus_square(tanh, step, by_preactivation)
    return Linearised(linear + tanh, out)


def _filled(out: Tensor, step: Time) -> Tensor:
    return out.copy_(step) if isinstance(step, Tensor) else out.fill_(step)


def _scaled_one_minus_square(k: Tensor, step: Time, out: Tensor) -> Tensor:
    """The step times the derivative of tanh where it is `k`; of a number in one pass over it."""
    if isinstance(step, Tensor):
        return torch.mul(one_minus_square(k), step, out=out)
    return torch.addcmul(k.new_full((), step), k, k, value=-step, out=out)


def one_minus_square(k: Tensor) -> Tensor:
    """The derivative of tanh where it is `k`."""
    return torch.addcmul(k.new_ones(()), k, k, value=-1)


FORMULAS: Mapping[str, Formula] = MappingProxyType(
    {
        TANH.name: Formula(_tanh, _tanh_linearised),
        GATED_TANH.name: Formula(_gated, _gated_linearised, by_control=True),
        LINEAR.name: Formula(_linear, _linear_linearised),
        LINEAR_PLUS_TANH.name: Formula(_linear_plus_tanh, _linear_plus_tanh_linearised),
    }
)
"""The formulas by the name of the activation; a test compares each with autograd through the activation."""
