"""SOLVERS, the one list of methods: tests, tables and the command line read it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from ..checks import check_choice
from ..solver import Solver, check_solver
from .adams_bashforth import AdamsBashforth2, AdamsBashforth3
from .exponential import ETDRK2, ExponentialEuler, LawsonEuler, LinearlyExactEuler, StrangSplitting
from .implicit.average_vector_field import AverageVectorField
from .implicit.methods import BackwardEuler, ImplicitMidpoint, Trapezoidal
from .leapfrog_midpoint import LeapfrogMidpoint
from .reversible import AsynchronousLeapfrog, ReversibleHeun
from .runge_kutta import RK4, RK38, SSPRK3, Euler, Heun, Heun3, Kutta3, Midpoint, Ralston
from .stochastic import EulerMaruyama, StochasticHeun
from .symplectic import Leapfrog, SymplecticEuler, Yoshida4
from .torchdiffeq import TorchdiffeqSolver

SOLVERS: Mapping[str, type[Solver]] = MappingProxyType(
    {
        "euler": Euler,
        "midpoint": Midpoint,
        "heun": Heun,
        "ralston": Ralston,
        "kutta3": Kutta3,
        "heun3": Heun3,
        "ssprk3": SSPRK3,
        "rk4": RK4,
        "rk38": RK38,
        "symplectic-euler": SymplecticEuler,
        "leapfrog": Leapfrog,
        "yoshida4": Yoshida4,
        "leapfrog-midpoint": LeapfrogMidpoint,
        "reversible-heun": ReversibleHeun,
        "asynchronous-leapfrog": AsynchronousLeapfrog,
        "adams-bashforth2": AdamsBashforth2,
        "adams-bashforth3": AdamsBashforth3,
        "linearly-exact-euler": LinearlyExactEuler,
        "exponential-euler": ExponentialEuler,
        "lawson-euler": LawsonEuler,
        "strang": StrangSplitting,
        "etdrk2": ETDRK2,
        "implicit-midpoint": ImplicitMidpoint,
        "trapezoidal": Trapezoidal,
        "backward-euler": BackwardEuler,
        "average-vector-field": AverageVectorField,
        "dopri5": TorchdiffeqSolver,
        "euler-maruyama": EulerMaruyama,
        "stochastic-heun": StochasticHeun,
    }
)
"""The methods by name, each of which can be made without arguments."""


def make_solver(solver: str) -> Solver:
    """The solver that is registered under the name `solver`, with its default hyperparameters.

    Raises:
        TypeError: not a name.
        ValueError: an unknown name; the message lists the registry.
    """
    check_choice("solver", solver, SOLVERS)
    return SOLVERS[solver]()


def as_solver(solver: Solver | str) -> Solver:
    """The solver itself, or the one that is registered under its name.

    Raises:
        TypeError: neither a solver nor a name.
        ValueError: an unknown name; the message lists the registry.
    """
    if isinstance(solver, str):
        return make_solver(solver)
    check_solver(solver)
    return solver


torch.serialization.add_safe_globals(list(SOLVERS.values()))  # values without code: hyperparameters in a checkpoint
