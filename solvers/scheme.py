"""Scheme: one step of an explicit method as a value, so that an engine runs every such method by one rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from .right_hand_side import Time

Coefficient = float | Tensor
"""A number, or a tensor that broadcasts against a state: a function of the steps of each row."""
Row = tuple[Coefficient, ...]
Carry = tuple[Tensor | float, ...]
"""What a method carries from step to step besides y: () for a one-step method and before a multi-step one starts."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One step of an explicit method: a general linear method, with a mask of what each stage moves.

    The method carries vectors x_l, of which x_0 is the state, and evaluates stages k_i:
    Y_i = sum_l u_il x_l + dt sum_{j<i} a_ij k_j, k_i = f(t + c_i dt, Y_i), and then
    x_l' = sum_m v_lm x_m + dt sum_j b_lj k_j.

    Attributes:
        u: one row a stage, one entry a vector.
        a: one row a stage, one entry for each stage before it.
        v: one row a vector, one entry a vector.
        b: one row a vector, one entry a stage.
        c: the nodes of the stages.
        half: for each stage 0 or 1 if k_i is nothing but the first or the second half of f, and zero elsewhere; None if
            it is all of f.

    Source: Butcher, On the convergence of numerical solutions to ordinary differential equations, Math. Comp. 20
    (1966), 1-10; Hairer, Norsett & Wanner, Solving ODEs I, sec. III.8.
    """

    u: tuple[Row, ...]
    a: tuple[tuple[float, ...], ...]
    v: tuple[Row, ...]
    b: tuple[Row, ...]
    c: tuple[float, ...]
    half: tuple[int | None, ...]

    @property
    def stages(self) -> int:
        """Evaluations a step."""
        return len(self.c)


@dataclass(frozen=True, slots=True)
class Schemes:
    """An explicit method: the schemes of its first steps, and that of every later one.

    Step number n, counted from 0, goes by `starters[n]` if there is such a one, which takes the n + 1 vectors that
    there are by then and gives one more; where `starters` end, every step goes by `steady`.

    Attributes:
        steady: from the ratios of the steps, this one to the one before, that to the one before it, and so on, to the
            scheme.
        starters: the schemes of the first steps.
        ratios: how many ratios `steady` takes.
        slopes: whether the vectors after x_0 are slopes, each times the step that it was taken in; a solver's carry has
            them without the step.
        remembers_steps: whether a solver's carry has each vector's step behind it.
    """

    steady: Callable[[Sequence[Coefficient]], Scheme]
    starters: tuple[Scheme, ...] = ()
    ratios: int = 0
    slopes: bool = False
    remembers_steps: bool = False

    @property
    def vectors(self) -> int:
        """The vectors that are carried once the method has started, with the state."""
        return 1 + len(self.starters)

    def at(self, number: int, ratios: Sequence[Coefficient]) -> Scheme:
        """The scheme of step `number`, counted from 0; `ratios` may be more than the method takes, the latest first."""
        return self.starters[number] if number < len(self.starters) else self.steady(ratios[: self.ratios])

    def unpack(self, carry: Carry, dt: Time) -> tuple[list[Tensor], list[Time]]:
        """The vectors after x_0, and the steps that they belong to, of a solver's carry.

        A slope without a step of its own is taken to belong to one of the length `dt`.
        """
        vectors: list[Tensor] = []
        steps: list[Time] = []
        parts = iter(carry)
        for vector in parts:
            step = next(parts) if self.remembers_steps else dt
            assert isinstance(vector, Tensor)
            vectors.append(step * vector if self.slopes else vector)
            steps.append(step)
        return vectors, steps

    def pack(self, vectors: Sequence[Tensor], steps: Sequence[Time]) -> Carry:
        """A solver's carry of the vectors after x_0 and their steps."""
        carry: list[Tensor | float] = []
        for vector, step in zip(vectors, steps, strict=True):
            carry.append(vector / step if self.slopes else vector)
            if self.remembers_steps:
                carry.append(step)
        return tuple(carry)


def one_step(scheme: Scheme) -> Schemes:
    """The schemes of a method that carries the state only."""
    return Schemes(lambda ratios: scheme)


def whole(stages: int) -> tuple[None, ...]:
    """The mask of stages that evaluate all of f."""
    return (None,) * stages
