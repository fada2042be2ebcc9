"""Layers on sequences of several lengths, with resets, for the kernels whose rows end early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from odernn import FIELDS, ODERNN
from odernn.layer.integrator import Integrator
from odernn.layer.prepared import Prepared


@dataclass(frozen=True)
class Ragged:
    """A layer and a call by the names of their parts.

    Attributes:
        steps: whether every sample has its own.
        resets: whether the state starts afresh in between.
        traced: whether the call is traced first, to a program that knows neither lengths nor resets.
        continues: whether a second call goes on from the state at the end of each sequence.
    """

    field: str
    solver: str
    hold: str
    substeps: int
    save: str
    steps: bool
    resets: bool
    traced: bool = False
    continues: bool = False

    def __str__(self) -> str:
        return "-".join(map(str, vars(self).values()))


def ragged() -> list[Ragged]:
    """One of every family of methods."""
    return [
        Ragged("antisymmetric", "heun", "zero-order", 1, "trajectory", True, True),
        Ragged("hamiltonian", "leapfrog", "linear", 2, "end", False, True),
        Ragged("oscillator", "linearly-exact-euler", "linear", 1, "trajectory", False, False),
        Ragged("gated-antisymmetric", "leapfrog-midpoint", "zero-order", 2, "trajectory", True, False, continues=True),
        Ragged("gated-antisymmetric", "leapfrog-midpoint", "linear", 2, "end", False, True),
        Ragged("antisymmetric", "heun", "zero-order", 1, "trajectory", True, True, traced=True),
    ]


STREAMED = 4
"""So many of them, the first, are tried with a streamed K too: one of each family of methods."""


def run(case: Ragged, engine: str, dtype: torch.dtype, device: str) -> tuple[list[Tensor], list[bool]]:
    """The output, the last state, and the gradients of a weighted sum of them, in float64 on the CPU; and `watched`."""
    torch.manual_seed(0)
    rnn = ODERNN(FIELDS[case.field](2, 6), case.solver, dt=0.2, hold=case.hold, substeps=case.substeps, engine=engine)
    rnn, time, lengths = rnn.to(device, dtype), 5, torch.tensor([3, 5, 1, 5])

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64).to(device, dtype)

    x, dt, options = (
        draw(time, len(lengths), 2).requires_grad_(),
        0.1 + 0.2 * draw(len(lengths), time),
        dict[str, Any](),
    )
    options |= {"dt": dt.requires_grad_()} if case.steps else {}
    options |= {"resets": (draw(time, len(lengths)) < 0.2)} if case.resets else {}
    leaves = [x, *([dt] if case.steps else []), *rnn.parameters()]

    def outcome(x: Tensor, lengths: Tensor, options: dict[str, Any]) -> list[Tensor]:
        state = rnn.initial_state(len(lengths)) if case.continues else None
        output, y_n = rnn(x, state, lengths=lengths, save=case.save, **options)
        found = [y_n] if output is None else [output, y_n]
        if case.continues:
            further, end = rnn(x, y_n, lengths=lengths.flip(0), save=case.save, **options)
            found = [output, further, end.y]
        loss = torch.stack([(each * _weights(each)).sum() for each in found]).sum()
        return [*found, *torch.autograd.grad(loss, leaves)]

    with watched() as taken:
        if case.traced:
            outcome = make_fx(outcome)(x, lengths.flip(0), options)
        found = outcome(x, lengths, options)
    return [each.detach().double().cpu() for each in found], taken


@contextmanager
def watched() -> Iterator[list[bool]]:
    """Of each call with several lengths, whether the engine took it as one."""
    taken: list[bool] = []
    advance = Integrator.advance_together

    def noted(self: Integrator, *given: Any, prepared: Prepared) -> Any:
        found = advance(self, *given, prepared=prepared)
        taken.append(found is not None)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Integrator, "advance_together", noted)
        yield taken


def _weights(y: Tensor) -> Tensor:
    return torch.arange(y.numel(), dtype=torch.float64).sin().reshape(y.shape).to(y)
