"""What is analysed: a copy of the layer that computes as it does and differentiates by the state only."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from odernn import ODERNN, RecurrentState, VectorField
from odernn.layer.inputs import time_first
from odernn.layer.starts import initial_state
from solvers.checks import check_tensor


@dataclass(frozen=True, slots=True)
class Subject:
    """A layer, the samples that drive it and where it starts, made ready for analysis.

    Attributes:
        rnn: a copy of the layer in evaluation mode (without noise and dropout), time first, its parameters without
            gradients and its gradients by the state exact.
        samples: x (time, batch, input).
        state: the start.
        dt: the steps (time,) or (batch, time), or None where the layer's is one number for all.
    """

    rnn: ODERNN
    samples: Float[Tensor, "time batch input"]
    state: RecurrentState
    dt: Float[Tensor, " time"] | Float[Tensor, "batch time"] | None

    @property
    def length(self) -> int:
        """How many samples there are."""
        return len(self.samples)

    @property
    def batch(self) -> int:
        """How many sequences there are."""
        return self.samples.shape[1]

    def steps(self, first: int, last: int) -> Tensor | None:
        """The steps of the samples from `first` to `last`, as a call of the layer takes them."""
        return None if self.dt is None else self.dt[..., first:last]

    def part(self, length: int, sequences: int) -> Subject:
        """The first `length` samples of the first `sequences` sequences."""
        dt = None if self.dt is None else self.dt[..., :length]
        return replace(
            self,
            samples=self.samples[:length, :sequences],
            state=RecurrentState(self.state.y[:sequences]),
            dt=dt[:sequences] if dt is not None and dt.ndim == 2 else dt,
        )

    def durations(self) -> Float[Tensor, "time 1"] | Float[Tensor, "time batch"]:
        """The time from each sample to the next, float64 on the CPU."""
        if self.dt is None:
            return torch.full((self.length, 1), float(self.rnn.dt), dtype=torch.float64)
        steps = self.dt.detach().cpu().to(torch.float64)
        return steps.T if steps.ndim == 2 else steps.unsqueeze(1)


def prepare(rnn: ODERNN, x: Tensor, y0: Tensor | None, dtype: torch.dtype | None) -> Subject:
    """The layer `rnn` made ready to be analysed along `x`.

    Args:
        rnn: the layer. It is not changed.
        x: the input as the layer takes it; a single sequence makes a batch of one.
        y0: the start as the layer takes it, (1, batch, hidden), unbatched (1, hidden); zero if None.
        dtype: the dtype to compute in, such as torch.float64; None for the layer's own.

    Raises:
        TypeError, ValueError: what the layer would raise, or `rnn` or `dtype` is of the wrong type.
    """
    check_layer(rnn)
    check_tensor("x", x)
    field = copy_of(rnn.field, dtype)
    dt = rnn.dt.detach() if isinstance(rnn.dt, Tensor) else rnn.dt
    copied = ODERNN(field, rnn.solver, dt=dt, substeps=rnn.substeps, hold=rnn.hold, engine=rnn.engine)
    samples = time_first(converted(x, dtype), field, rnn.batch_first).detach()
    given = converted(y0, dtype) if isinstance(y0, Tensor) else y0
    state = RecurrentState(initial_state(given, samples, samples.shape[1], field, x.ndim == 3).detach())
    steps = dt.expand(len(samples)) if isinstance(dt, Tensor) and dt.ndim == 0 else dt
    return Subject(copied, samples, state, steps if isinstance(steps, Tensor) else None)


def copy_of(field: VectorField, dtype: torch.dtype | None) -> VectorField:
    """The field in evaluation mode, without gradients to its parameters, in `dtype`."""
    copied = copy.deepcopy(field).requires_grad_(False).eval()
    return copied if dtype is None else copied.to(dtype)


def converted(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    """The tensor in `dtype`, if there is one; a tensor of whole numbers stays, and the layer refuses it."""
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def check_layer(rnn: object) -> None:
    """A layer.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(rnn, ODERNN):
        raise TypeError(
            f"`rnn` is {type(rnn).__name__}; give an ODERNN, such as ODERNN(AntisymmetricField(1, 8), Euler(), dt=0.1)"
        )


def check_dtype(dtype: object) -> None:
    """None, or a real floating dtype.

    Raises:
        TypeError: it is something else.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"`dtype` is {dtype!r}; give a floating dtype, such as torch.float64, or None")
