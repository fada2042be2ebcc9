"""Any explicit method that carries several vectors on a recurrence, as its steps have it: one rule for all of them.

Y_i = sum_l u_il x_l + dt sum_j a_ij k_j, k_i = pointwise(Y_i, Y_i K^T, control),
x_l' = sum_m v_lm x_m + dt sum_j b_lj k_j.
Backward, with lambda_l = dL/dx_l', for i = s..1: kappa_i = sum_l b_li lambda_l + sum_{j>i} a_ji mu_j is
dL / d(dt k_i), and mu_i is what comes back through Y_i; dL/dx_m = sum_l v_lm lambda_l + sum_i u_im mu_i. A coefficient
that is given has a gradient of its own: dL/du_im = mu_i . x_m, dL/dv_lm = lambda_l . x_m, dL/db_lj = lambda_l . dt k_j.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from solvers.extend import Entry

from ..carried import Carried
from ..linear_method import linear_method
from ..method import Method
from ..recurrence import Recurrence
from .chunk import Chunk
from .control_path import ControlPath
from .coupling import couplings_of
from .kept_vectors import KeptVectors
from .stage import Stage
from .stepper import States, Stepper
from .weighted_sums import Coefficients, Given, Sums, weighted_sum


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A solver step in every interval of a chunk, or in those of its first that it starts the method in.

    Attributes:
        vectors: what it starts from, each (time, batch, n).
        stages: its evaluations.
        lambdas: for each vector a buffer for dL by it at the end of the step; none where nobody asks.
        mus: for each stage a buffer for what comes back through its state.
    """

    vectors: list[Tensor]
    stages: list[Stage]
    lambdas: list[Tensor] = field(default_factory=list)
    mus: list[Tensor] = field(default_factory=list)


@final
class SchemeStepper(Stepper):
    """A general linear method as a Stepper.

    Args:
        method: the method.
        recurrence: what it runs on.
        substeps: solver steps an interval.
        like: a tensor like the state.
        carried: what it continues from.

    Attributes:
        kept: (vectors, steps, batch, n), in the order of `KeptVectors.numbers`.
        coefficients_gradient: dL by the given coefficients, of the chunks that the recursion has gone through.
    """

    def __init__(self, method: Method, recurrence: Recurrence, substeps: int, like: Tensor, carried: Carried) -> None:
        self.method = method
        self.linear = linear = linear_method(method)
        self.substeps = self.saved_per_interval = substeps
        self.vectors = linear.vectors
        self.evaluations = substeps * linear.steady.stages
        self.preactivations, self.units = recurrence.weight.shape[-2:]
        self.carried = () if carried.vectors is None else carried.vectors.unbind(0)
        self.given = len(self.carried)
        self.coefficients = Coefficients(carried.coefficients)
        self.weighs_by_row = carried.coefficients is not None
        numbers = linear.kept(with_coefficients=carried.coefficients is not None)
        self._vectors = KeptVectors(linear.roles, numbers, self.carried, substeps)
        self.coefficients_gradient = _zeros_of_rows(carried.coefficients, like)
        self._sums = [Sums.of(step, given=False) for step in linear.steps]
        self._sums_of_given = Sums.of(linear.steady, given=True)
        self._pointwise = recurrence.scheme.pointwise
        (self._coupling,) = couplings_of(recurrence, [None])
        self._preactivation = [
            like.new_empty(*like.shape[:-1], self.preactivations) for _ in range(max(s.stages for s in linear.steps))
        ]
        self._state = torch.empty_like(like)
        self._steps: list[_Recorded] = []
        self._starts: dict[int, _Recorded] = {}

    @property
    def _starting_steps(self) -> int:
        """The first steps, which start the method."""
        return self.vectors - 1 - self.given

    def starting_intervals(self, start: int, length: int) -> int:
        """The intervals of the first steps."""
        return min(max(-(-self._starting_steps // self.substeps) - start, 0), length)

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every step in its turn."""
        controls, steps = _Controls(path, self.substeps), path.steps()
        for place, target in enumerate(targets):
            n, k = divmod(place, self.substeps)
            number, given = start * self.substeps + place, self.coefficients.of_step(k, start + n)
            i, dt = self._number_of_step(number), steps[n]
            sums, sources = self._sums_of(i, given), [y, *self.carried]
            for row, c, buffer in zip(sums.stages, self.linear.steps[i].c, self._preactivation, strict=False):
                state = weighted_sum(row, sources, given, dt, y, self._state)
                sources.append(self._pointwise(state, self._coupling.times(state, buffer), controls.at(k, c)[n]))
            outs = [target, *(self._vectors.place(self.kept, vector, number, y) for vector in range(1, self.vectors))]
            found = [
                _moved(weighted_sum(row, sources, given, dt, y, out), out)
                for row, out in zip(sums.ends, outs, strict=False)
            ]
            for vector in range(len(found), self.vectors):
                self._vectors.clear(self.kept, vector, number)
            y, *others = found
            self.carried = tuple(others)

    def record(self, chunk: Chunk, states: States) -> None:
        """Every stage, for all times at once."""
        self._steps, self._starts = [], {}
        length, s = chunk.path.length, self.substeps
        for k in range(s):
            skipped = min(max(-(-(self._starting_steps - k) // s) - chunk.start, 0), length)
            for n in range(skipped):
                number = (chunk.start + n) * s + k
                early = (
                    self._vectors.before(self.kept, vector, number, 1, states)
                    for vector in range(number + self.given + 1)
                )
                x = [each.expand(n + 1, -1, -1) for each in early]
                self._starts[number] = self._evaluated(chunk, number, x, skipped=n, start=True)
            number = chunk.start * s + k
            x = [self._vectors.before(self.kept, vector, number, length, states) for vector in range(self.vectors)]
            self._steps.append(self._evaluated(chunk, number, x, skipped=skipped, start=False))

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The recursion of lambda, kappa and mu, substep by substep."""
        for k in reversed(range(self.substeps)):
            if later is not None:
                adjoint[0] = _owned(adjoint[0], adjoint[1:]).add_(later[k])
            number = (chunk.start + n) * self.substeps + k
            self._step_back(self._starts.get(number, self._steps[k]), number, n, adjoint)

    def finish_chunk(self, chunk: Chunk) -> None:
        """Add the gradient by the given coefficients."""
        total = self.coefficients_gradient
        if total is None:
            return
        rows = slice(chunk.start, chunk.start + chunk.path.length)
        for k, step in enumerate(self._steps[: total.shape[1]]):
            for entry, products in self._products(step, chunk):
                total[rows, k, :, entry.place] += products

    def keep(self, count: int, like: Tensor) -> None:
        """Make memory for the vectors that cannot be computed again from the states."""
        if self._vectors.numbers:
            self.kept = like.new_empty(len(self._vectors.numbers), count, *like.shape)

    def take(self, kept: Tensor | None, *, wants_coefficients: bool) -> None:
        """Take the vectors that `keep` has made memory for."""
        self.kept = kept if self._vectors.numbers else None
        if not wants_coefficients:
            self.coefficients_gradient = None

    def take_kappas(self, chunk: Chunk, first: int) -> None:
        """The kernel weighs two states: dL by each of them is in kappa = s dL by the state after the step."""
        (entry,) = self.linear.steady.b[0]
        for k, step in enumerate(self._steps):
            if step.lambdas and self.coefficients.varies(entry, k):
                kappa, s = step.stages[0].kappa, self.coefficients.at(entry, k, slice(chunk.start, None))
                assert kappa is not None
                assert isinstance(s, Tensor)
                step.lambdas[0][first:] = (kappa / s[: len(kappa)])[first:]

    def weights_of_states(self, times: slice, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The weights of the steps after the start."""
        step, rows = self.linear.steady, like.new_empty(len(like), dtype=dtype)
        entries = (step.v[0][1], step.v[0][0], step.b[0][0])
        return tuple(self.coefficients.of_every_step(entry, self.substeps, times, rows) for entry in entries)

    def gradient_by_coefficients(self) -> Tensor | None:
        """The sums over what was given once for several."""
        total, given = self.coefficients_gradient, self.coefficients.given
        return None if total is None or given is None else total.sum_to_size(given.shape)

    def _number_of_step(self, number: int) -> int:
        """Which of the method's steps the solver step `number` is."""
        return min(number + self.given, self.vectors - 1)

    def _sums_of(self, i: int, given: Given) -> Sums:
        """The sums of the method's step i."""
        return self._sums[i] if given is None or i + 1 < self.vectors else self._sums_of_given

    def _fraction(self, k: int, c: float) -> float:
        return (k + c) / self.substeps

    def _evaluated(self, chunk: Chunk, number: int, x: list[Tensor], *, skipped: int, start: bool) -> _Recorded:
        """A step's stages in the intervals from the chunk's first on, of which the first few are not to count."""
        i, k = self._number_of_step(number) if start else self.vectors - 1, number % self.substeps
        step, times = self.linear.steps[i], slice(chunk.start, chunk.start + len(x[0]))
        recorded = _Recorded(x, [])
        sources, given = [*x], self.coefficients.of_steps(k, times)
        dt = chunk.path.step_of_first(len(x[0]))
        for row, c in zip(self._sums_of(i, given).stages, step.c, strict=True):
            state = weighted_sum(row, sources, given, dt, x[0]).contiguous()
            evaluate = chunk.evaluate_early if start else chunk.evaluate
            stage = evaluate(state, state, self._coupling, self._fraction(k, c))
            stage.leave_out(skipped)
            recorded.stages.append(stage)
            sources.append(stage.linearised.slope.detach())
        if self.coefficients_gradient is not None and not start:
            recorded.lambdas.extend(torch.zeros_like(each) for each in x)
            if any(entry.place >= 0 for row in step.u for entry in row):
                recorded.mus.extend(torch.zeros_like(each) for each in sources[len(x) :])
        return recorded

    def _step_back(self, recorded: _Recorded, number: int, n: int, adjoint: list[Tensor]) -> None:
        """From dL by the vectors at the end of step `number` to dL by those at its start."""
        n_of_all, k = divmod(number, self.substeps)
        given = self.coefficients.of_step(k, n_of_all)
        sums = self._sums_of(self._number_of_step(number), given)
        after, like = len(sums.ends), adjoint[0]
        sources = [*adjoint[:after], *(like for _ in sums.stages)]  # each stage's place is filled before it is read
        for j in reversed(range(1 if sums.joined else 0, len(sums.stages))):
            kappa = weighted_sum(sums.kappas[j], sources, given, 1.0, like)
            sources[after + j] = recorded.stages[j].pull_back(n, kappa)
        for buffer, each in zip(recorded.lambdas, adjoint, strict=False):
            buffer[n].copy_(each)
        for buffer, each in zip(recorded.mus, sources[after:], strict=False):
            buffer[n].copy_(each)
        found = [weighted_sum(row, sources, given, 1.0, like) for row in sums.starts]
        if sums.joined:
            kappa = weighted_sum(sums.kappas[0], sources, given, 1.0, like)
            found[0] = _owned(found[0], found[1:])
            recorded.stages[0].pull_back_onto(n, kappa, found[0])
        adjoint[: len(found)] = found

    def _products(self, recorded: _Recorded, chunk: Chunk) -> Iterator[tuple[Entry, Tensor]]:
        """dL by each given coefficient in every interval of a chunk (time, batch)."""
        step = self.linear.steady
        slopes = [stage.linearised.slope.detach() for stage in recorded.stages]
        for table, left, right, dt in (
            (step.u, recorded.mus, recorded.vectors, 1.0),
            (step.v, recorded.lambdas, recorded.vectors, 1.0),
            (step.b, recorded.lambdas, slopes, chunk.path.step),
        ):
            for row, one in zip(table, left, strict=False):
                for entry, other in zip(row, right, strict=True):
                    if entry.place >= 0:
                        yield entry, torch.einsum("tbn,tbn->tb", one, other * dt)


class _Controls:
    """The control at the nodes of steps, made when it is first asked for."""

    def __init__(self, path: ControlPath, substeps: int) -> None:
        self._path, self._substeps = path, substeps
        self._found: dict[tuple[int, float], tuple[Tensor, ...]] = {}

    def at(self, k: int, c: float) -> tuple[Tensor, ...]:
        """The control in every interval, at the node c of substep k."""
        if (k, c) not in self._found:
            self._found[k, c] = self._path.at((k + c) / self._substeps).unbind(0)
        return self._found[k, c]


def _moved(found: Tensor, out: Tensor | None) -> Tensor:
    """A sum in the memory that it is for, if there is any."""
    return found if out is None or found is out else out.copy_(found)


def _owned(total: Tensor, others: Sequence[Tensor]) -> Tensor:
    """The tensor, or a copy where it is one of others that are still read."""
    return total.clone() if any(total is each for each in others) else total


def _zeros_of_rows(given: Tensor | None, like: Tensor) -> Tensor | None:
    """Zeros for the gradient by coefficients, a number for each row (time, substeps, batch, numbers)."""
    return None if given is None else given.new_zeros(*given.shape[:2], len(like), given.shape[3])
