"""The schemes of a comparison: which are asked for, and which of them take the network's field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.support.errors import UserError, nearest
from odernn import ODERNN
from solvers import SOLVERS, ImplicitSolver, Solver, make_solver

DEFAULT = (
    "euler",
    "midpoint",
    "heun",
    "ssprk3",
    "rk4",
    "adams-bashforth2",
    "leapfrog-midpoint",
    "symplectic-euler",
    "leapfrog",
    "linearly-exact-euler",
    "exponential-euler",
    "lawson-euler",
    "strang",
    "etdrk2",
    "implicit-midpoint",
    "trapezoidal",
    "backward-euler",
)
"""A few of each family; of these, at least eight take any field of the registry."""

SUBSTEPS = (1, 2)


@dataclass(frozen=True)
class Scheme:
    """A solver and how many of its steps fill the time from one sample to the next.

    Attributes:
        name: of the solver in `SOLVERS`.
        solver: the solver.
        substeps: its steps a sample.
        own: whether the network was trained by it.
    """

    name: str
    solver: Solver
    substeps: int
    own: bool = False

    @property
    def label(self) -> str:
        """The name, with the substeps where there are several."""
        return self.name if self.substeps == 1 else f"{self.name} ×{self.substeps}"

    @property
    def iterated(self) -> Scheme:
        """The same scheme; an implicit one solves its equations by fixed-point iteration, without matrices."""
        if isinstance(self.solver, ImplicitSolver):
            return replace(self, solver=replace(self.solver, method="fixed-point"))
        return self

    def step(self, rnn: ODERNN) -> ODERNN:
        """The network's field, with the same weights, under this scheme; the engine is the one that suits.

        A state that stops being finite is not an error: it is a result of the comparison.

        Raises:
            ValueError: the field lacks a structure that the solver needs.
        """
        return ODERNN(
            rnn.field,
            self.solver,
            dt=rnn.dt,
            substeps=self.substeps,
            hold=rnn.hold,
            batch_first=rnn.batch_first,
            on_divergence="ignore",
        ).eval()


@dataclass(frozen=True)
class LeftOut:
    """A scheme that was asked for and takes no part.

    Attributes:
        name: its own.
        reason: why, in a sentence.
    """

    name: str
    reason: str


def solver_names(text: str) -> list[str]:
    """The solvers that `--solvers` asks for: names with commas between them, or "all".

    Raises:
        UserError: an unknown name; the message suggests the nearest.
    """
    asked = list(SOLVERS) if text == "all" else [name for name in text.split(",") if name]
    if not asked:
        raise UserError(f"`--solvers` names none; choose from {', '.join(SOLVERS)}")
    for name in asked:
        if name not in SOLVERS:
            raise UserError(f"`--solvers` names {name!r}{nearest(name, SOLVERS)}; choose from {', '.join(SOLVERS)}")
    return list(dict.fromkeys(asked))


def choose(
    own: tuple[str, int], names: Sequence[str], substeps: Sequence[int], refusal: Callable[[Scheme], str | None]
) -> tuple[list[Scheme], list[LeftOut]]:
    """The schemes that take the field, the network's own first, and the solvers that do not.

    Args:
        own: solver and substeps of the network.
        names: of the solvers that are asked for.
        substeps: of each of them.
        refusal: why a scheme cannot take part, or None.
    """
    first = Scheme(own[0], make_solver(own[0]), own[1], own=True)
    schemes, left_out = [first], []
    for name in names:
        reason = refusal(Scheme(name, make_solver(name), 1))
        if reason is not None:
            left_out.append(LeftOut(name, reason))
            continue
        others = [count for count in dict.fromkeys(substeps) if (name, count) != own]
        schemes += [Scheme(name, make_solver(name), count) for count in others]
    return schemes, left_out


def refusal_of(rnn: ODERNN) -> Callable[[Scheme], str | None]:
    """Why a network's field does not take a scheme, or None where it does."""

    def refusal(scheme: Scheme) -> str | None:
        try:
            scheme.step(rnn)
        except ValueError as error:
            return str(error)
        return None

    return refusal
