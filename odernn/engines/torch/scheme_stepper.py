"""Any explicit method that carries several vectors, as its `Scheme` has it, on a recurrence: one rule for all of them.

Y_i = sum_l u_il x_l + dt sum_j a_ij k_j, k_i = pointwise(Y_i, Y_i K^T, control),
x_l' = sum_m v_lm x_m + dt sum_j b_lj k_j.
Backward, with lambda_l = dL/dx_l', for i = s..1: kappa_i = sum_l b_li lambda_l + sum_{j>i} a_ji mu_j is dL / d(dt k_i),
and mu_i is what comes back through Y_i; dL/dx_m = sum_l v_lm lambda_l + sum_i u_im mu_i. What depends on a ratio of
steps has a gradient of its own: dL/du_im = mu_i . x_m, dL/dv_lm = lambda_l . x_m and dL/db_lj = lambda_l . dt k_j.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.extend import Coefficient, Scheme, Schemes, Time

from ..recurrence import Recurrence
from .chunk import Chunk
from .control_path import ControlPath
from .stage import Stage
from .step_ratios import RatioGradient, StepRatios
from .stepper import States
from .weighted_sums import Row, Rows, at, weighted_sum


class _Place(NamedTuple):
    """Where a coefficient stands in a scheme."""

    table: str
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class _Substep:
    """A solver step in every interval of a chunk.

    Attributes:
        places: the numbers of the steps, counted from the start of the sequence.
        vectors: what it starts from, each (time, batch, n).
        stages: its evaluations.
        lambdas: for each vector a buffer for dL by it at the end of the step; none where nobody asks.
        mus: for each stage a buffer for what comes back through its state.
    """

    places: slice
    vectors: list[Tensor]
    stages: list[Stage]
    lambdas: list[Tensor] = field(default_factory=list)
    mus: list[Tensor] = field(default_factory=list)


class SchemeStepper:
    """A method that has started, as a Stepper.

    Args:
        schemes: the method.
        recurrence: what it runs on.
        substeps: solver steps an interval.
        like: a tensor like the state.
        earlier: the vectors after x_0, the last one first.
        past: the lengths of the steps before the first, the latest first, as many as the method looks at: numbers or
            tensors (rows, 1).
    """

    def __init__(
        self,
        schemes: Schemes,
        recurrence: Recurrence,
        substeps: int,
        like: Tensor,
        earlier: Sequence[Tensor],
        past: Sequence[Time],
    ) -> None:
        self.substeps = substeps
        self.vectors = schemes.vectors
        self.saved_per_interval = substeps * self.vectors
        self.earlier = tuple(earlier)
        self.preactivations, self.units = recurrence.weight.shape
        self._ratios = StepRatios.of(recurrence, substeps, past, like) if schemes.ratios else None
        self.scheme = _steady(schemes, self._ratios)
        self.evaluations = substeps * self.scheme.stages
        self._rows = Rows.of(self.scheme)
        self._adds_onto = self._ratios is None and self.scheme.u[0] == (1.0, *(0.0,) * (self.vectors - 1))
        self._gradient: RatioGradient | None = None
        self._pointwise = recurrence.scheme.pointwise
        self._weight = recurrence.weight.T
        self._preactivations = [like.new_empty(*like.shape[:-1], self.preactivations) for _ in self.scheme.c]
        self._state = torch.empty_like(like)
        self._steps: list[_Substep] = []

    @property
    def previous_step_gradient(self) -> Tensor | None:
        """The gradient by the steps before the first (steps, batch), the latest first."""
        return None if self._gradient is None else self._gradient.past

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every step in its turn."""
        controls = [[path.at(self._fraction(k, i)).unbind(0) for i in self._each] for k in range(self.substeps)]
        x = [y, *reversed(self.earlier)]
        place = 0
        for n, dt in enumerate(path.steps()):
            for k in range(self.substeps):
                out = targets[place : place + self.vectors][::-1]
                self._one_step((start + n) * self.substeps + k, x, dt, [each[n] for each in controls[k]], out)
                x, place = list(out), place + self.vectors
        self.earlier = tuple(reversed(x[1:]))

    def record(self, chunk: Chunk, states: States) -> None:
        """Every stage, for all times at once."""
        self._steps = []
        starts = self._starts(chunk, states)
        for k in range(self.substeps):
            first = chunk.start * self.substeps + k
            places = slice(first, first + chunk.path.length * self.substeps, self.substeps)
            x = list(reversed(starts[k :: self.substeps].unbind(1)))
            step = _Substep(places, x, [])
            slopes: list[Tensor] = []
            for i in self._each:
                terms = self._terms(self._rows.stages[i], places, x, slopes, chunk.path.step)
                state = weighted_sum(terms, x[0]).contiguous()
                step.stages.append(chunk.evaluate(state, state, self._fraction(k, i)))
                slopes.append(step.stages[-1].linearised.slope.detach())
            if self._ratios is not None:
                step.lambdas.extend(torch.empty_like(each) for each in x)
                step.mus.extend(torch.empty_like(each) for each in slopes)
            self._steps.append(step)

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The recursion of lambda, kappa and mu, substep by substep."""
        for k in reversed(range(self.substeps)):
            if later is not None and k + 1 == self.substeps:  # nobody is given more than the states at the samples
                adjoint[0] = adjoint[0] + later[-1]
            self._step_back(self._steps[k], (chunk.start + n) * self.substeps + k, n, adjoint)

    def finish_chunk(self, chunk: Chunk) -> None:
        """The method has no tensors of its own."""

    def add_step_gradient(self, chunk: Chunk, states: States, total: Tensor) -> None:
        """A slope enters multiplied by its share of dt, which kappa has; a coefficient by the ratios that it is of."""
        chunk.add_slope_products(total[chunk.start : chunk.start + chunk.path.length])
        if self._ratios is None:
            return
        if self._gradient is None:
            self._gradient = RatioGradient(self._ratios, [c for _, c in _coefficients(self.scheme)])
        for step in self._steps:
            found = [self._products(step, chunk, place) for place, _ in _coefficients(self.scheme)]
            self._gradient.add(step.places, found)
        if chunk.start == 0:
            self._gradient.close(total)

    @property
    def _each(self) -> range:
        return range(self.scheme.stages)

    def _fraction(self, k: int, i: int) -> float:
        return (k + self.scheme.c[i]) / self.substeps

    @staticmethod
    def _terms(
        row: Row, place: int | slice, x: Sequence[Tensor], slopes: Sequence[Tensor], dt: Time
    ) -> list[tuple[Coefficient, Tensor]]:
        """What a stage's state or a vector at the end is the sum of."""
        by_vector = [(at(weight, place), x[m]) for weight, m in row.vectors]
        return by_vector + [(at(weight, place) * dt, slopes[j]) for weight, j in row.stages]

    def _one_step(
        self, place: int, x: Sequence[Tensor], dt: Time, controls: Sequence[Tensor], out: Sequence[Tensor]
    ) -> None:
        slopes: list[Tensor] = []
        for row, control, buffer in zip(self._rows.stages, controls, self._preactivations, strict=True):
            state = weighted_sum(self._terms(row, place, x, slopes, dt), x[0], self._state)
            slopes.append(self._pointwise(state, torch.mm(state, self._weight, out=buffer), control))
        for target, row in zip(out, self._rows.ends, strict=True):
            found = weighted_sum(self._terms(row, place, x, slopes, dt), x[0], target)
            if found is not target:
                target.copy_(found)

    def _step_back(self, step: _Substep, place: int, n: int, adjoint: list[Tensor]) -> None:
        """From dL by the vectors at the end of step `place` to dL by those at its start."""
        mus: dict[int, Tensor] = {}
        for i in reversed(range(1, self.scheme.stages)):
            mus[i] = step.stages[i].pull_back(n, self._back(self._rows.kappas[i], place, adjoint, mus))
        kappa = self._back(self._rows.kappas[0], place, adjoint, mus)
        if not self._adds_onto:
            mus[0] = step.stages[0].pull_back(n, kappa)
        for buffer, each in zip(step.lambdas, adjoint, strict=False):
            buffer[n].copy_(each)
        for i, buffer in enumerate(step.mus):
            buffer[n].copy_(mus[i])
        found = [self._back(row, place, adjoint, mus) for row in self._rows.starts]
        if self._adds_onto:
            found[0] = _owned(found[0], found[1:])
            step.stages[0].pull_back_onto(n, kappa, found[0])
        adjoint[:] = found

    @staticmethod
    def _back(row: Row, place: int, adjoint: Sequence[Tensor], mus: Mapping[int, Tensor]) -> Tensor:
        """What comes to a stage or to a vector from the vectors at the end and through the stages that are in `mus`."""
        terms = [(at(weight, place), adjoint[m]) for weight, m in row.vectors]
        terms += [(at(weight, place), mus[i]) for weight, i in row.stages if i in mus]
        return weighted_sum(terms, adjoint[0])

    def _products(self, step: _Substep, chunk: Chunk, place: _Place) -> Tensor:
        """dL by one coefficient in every interval of a chunk (time, batch)."""
        result = step.mus[place.row] if place.table == "u" else step.lambdas[place.row]
        if place.table != "b":
            return torch.einsum("tbn,tbn->tb", result, step.vectors[place.column])
        slope = step.stages[place.column].linearised.slope.detach()
        return torch.einsum("tbn,tbn->tb", result, slope * chunk.path.step)

    def _starts(self, chunk: Chunk, states: States) -> Tensor:
        """The vectors before every step of a chunk (steps, vectors, batch, n), the last one first."""
        first = 1 - self.vectors + chunk.start * self.saved_per_interval
        found = states.window(first, first + chunk.path.length * self.saved_per_interval)
        return found.unflatten(0, (-1, self.vectors))


def _owned(total: Tensor, others: Sequence[Tensor]) -> Tensor:
    """The tensor, or a copy where it is one of others that are still read."""
    return total.clone() if any(total is each for each in others) else total


def _steady(schemes: Schemes, ratios: StepRatios | None) -> Scheme:
    """The scheme of every step, whose coefficients have a graph to the steps where these differ."""
    if ratios is None:
        return schemes.steady([1.0] * schemes.ratios)
    with torch.enable_grad():
        return schemes.steady(ratios.latest(schemes.ratios))


def _coefficients(scheme: Scheme) -> Iterator[tuple[_Place, Tensor]]:
    """Those that depend on the steps, each with its place."""
    for name, table in (("u", scheme.u), ("v", scheme.v), ("b", scheme.b)):
        for i, row in enumerate(table):
            for j, entry in enumerate(row):
                if isinstance(entry, Tensor):
                    yield _Place(name, i, j), entry
