"""The table of solvers in the documentation, made of the registry: `python -m odernn.catalogue > docs/solvers.md`."""

from __future__ import annotations

import re
from inspect import getdoc
from math import isinf

from solvers import SOLVERS, Need, ReversibleSolver, Solver, TorchdiffeqSolver, imaginary_stability, make_solver

HEAD = """# Solvers

Every solver of the registry. This page is made by `python -m odernn.catalogue`; a test fails when it is stale.

- **evaluations**: of f, a step; a single kick or drift is half of one. An implicit method counts those that its
  equation shows, without the iterations that solve it; an adaptive one those of a step that it accepts.
- **imaginary axis**: the largest r such that |R(i s)| <= 1 for all s up to r: how far the method is neutral
  or damped on an undamped oscillation.
- **needs**: of the field; any callable f(t, y) will do where nothing stands.
- **adjoints**: besides `autograd`, `checkpointed` and `auto`, which take every solver. `discrete` also takes every
  solver, step by step; it is named where it runs in parallel over time, on an affine-pointwise field.
- **caution**: what to know before taking the method, with a measured case.

"""
COLUMNS = (
    "name",
    "solver",
    "family",
    "order",
    "stages",
    "evaluations",
    "imaginary axis",
    "reversible",
    "symplectic",
    "needs",
    "adjoints",
    "caution",
    "source",
)
NEEDS = {None: "", Need.PARTITION: "a partition", Need.LINEAR_PART: "a linear part", Need.DIFFUSION: "a diffusion"}


def catalogue() -> str:
    """The whole page, in Markdown."""
    rows = [_row(name, make_solver(name)) for name in SOLVERS]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return HEAD + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _row(name: str, solver: Solver) -> tuple[str, ...]:
    return (
        f"`{name}`",
        type(solver).__name__,
        solver.family,
        str(solver.order),
        str(solver.stages),
        f"{solver.num_evals:g}",
        _interval(solver),
        _mark(isinstance(solver, ReversibleSolver)),
        _mark(solver.symplectic),
        NEEDS[solver.needs],
        ", ".join(_adjoints(solver)),
        solver.caution,
        source(type(solver)),
    )


def _interval(solver: Solver) -> str:
    if isinstance(solver, TorchdiffeqSolver):
        return "by its tolerance"
    interval = imaginary_stability(solver)
    if isinf(interval):
        return "whole"
    return f"{interval:.4f}" if interval else "none"


def _mark(fact: bool) -> str:
    return "yes" if fact else ""


def _adjoints(solver: Solver) -> list[str]:
    accepting = {
        "discrete": solver.schemes is not None,
        "reversible": isinstance(solver, ReversibleSolver),
        "continuous": solver.needs is not Need.DIFFUSION,
    }
    return [name for name, accepts in accepting.items() if accepts]


def source(solver: type[Solver]) -> str:
    """The source that the docstring of a method names, on one line."""
    found = re.search(r"Source: (.*?)(?:\n\n|\Z)", getdoc(solver) or "", re.DOTALL)
    assert found is not None, f"the docstring of {solver.__name__} names no source"
    return " ".join(found[1].split())


if __name__ == "__main__":
    print(catalogue(), end="")
