"""Fixed-step ODE solvers on torch: f(t, y) in, trajectories and gradients out."""

from .adjoint import ADJOINTS, Adjoint, Autograd, Save, Solved, make_adjoint
from .checks import (
    check_choice,
    check_count,
    check_flag,
    check_not_negative,
    check_number,
    check_positive,
    check_solver,
    check_tensor,
)
from .divergence import POLICIES, DivergenceError, DivergenceWarning, OnDivergence, guard
from .explicit_rk import ExplicitRungeKutta
from .integrate import Solution, integrate
from .leapfrog_midpoint import LeapfrogMidpoint
from .loop import Interval, Problem
from .partitioned import Leapfrog, SymplecticEuler
from .registry import SOLVERS, make_solver
from .requirements import check_requirements
from .solver import Memory, ReversibleSolver, Solver
from .stability import imaginary_stability
from .structure import AffinePointwise, Need, Partition, RightHandSide, Semilinear, Structured, Time
from .tableau import ButcherTableau
from .tableaus import RK4, RK38, SSPRK3, Euler, Heun, Kutta3, Midpoint, Ralston

__all__ = [
    "ADJOINTS",
    "Adjoint",
    "AffinePointwise",
    "Autograd",
    "ButcherTableau",
    "DivergenceError",
    "DivergenceWarning",
    "Euler",
    "ExplicitRungeKutta",
    "Heun",
    "Interval",
    "Kutta3",
    "Leapfrog",
    "LeapfrogMidpoint",
    "Memory",
    "Midpoint",
    "Need",
    "OnDivergence",
    "POLICIES",
    "Partition",
    "Problem",
    "RK38",
    "RK4",
    "Ralston",
    "ReversibleSolver",
    "RightHandSide",
    "SOLVERS",
    "SSPRK3",
    "Save",
    "Semilinear",
    "Solution",
    "Solved",
    "Solver",
    "Structured",
    "SymplecticEuler",
    "Time",
    "check_choice",
    "check_count",
    "check_flag",
    "check_not_negative",
    "check_number",
    "check_positive",
    "check_requirements",
    "check_solver",
    "check_tensor",
    "guard",
    "imaginary_stability",
    "integrate",
    "make_adjoint",
    "make_solver",
]
