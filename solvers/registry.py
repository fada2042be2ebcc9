"""SOLVERS, the one list of methods: tests, tables and the command line read it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .leapfrog_midpoint import LeapfrogMidpoint
from .partitioned import Leapfrog, SymplecticEuler
from .solver import Solver
from .tableaus import RK4, RK38, SSPRK3, Euler, Heun, Kutta3, Midpoint, Ralston

SOLVERS: Mapping[str, type[Solver]] = MappingProxyType(
    {
        "euler": Euler,
        "midpoint": Midpoint,
        "heun": Heun,
        "ralston": Ralston,
        "kutta3": Kutta3,
        "ssprk3": SSPRK3,
        "rk4": RK4,
        "rk38": RK38,
        "symplectic-euler": SymplecticEuler,
        "leapfrog": Leapfrog,
        "leapfrog-midpoint": LeapfrogMidpoint,
    }
)


def make_solver(name: str) -> Solver:
    """The solver registered under `name`, with its default hyperparameters.

    Raises:
        ValueError: an unknown name; the message lists the registry.
    """
    if name not in SOLVERS:
        raise ValueError(f"`solver` is {name!r}; choose one of {', '.join(SOLVERS)}")
    return SOLVERS[name]()
