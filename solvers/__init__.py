"""Fixed-step ODE solvers on torch: f(t, y) in, trajectories and gradients out."""

from .adams_bashforth import AdamsBashforth2, AdamsBashforth3
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
from .exponential import ETDRK2, ExponentialEuler
from .integrate import Solution, integrate
from .leapfrog_midpoint import LeapfrogMidpoint
from .loop import Inputs, Interval, Problem
from .partitioned import Leapfrog, SymplecticEuler, Yoshida4
from .phi import phi_functions
from .recurrence import Recurrence, Scheme
from .registry import SOLVERS, make_solver
from .requirements import check_requirements
from .reversible import AsynchronousLeapfrog, ReversibleHeun
from .solver import Memory, ReversibleSolver, Solver
from .stability import imaginary_stability
from .structure import AffinePointwise, Need, Partition, RightHandSide, Semilinear, Structured, Time
from .tableau import ButcherTableau
from .tableaus import RK4, RK38, SSPRK3, Euler, Heun, Kutta3, Midpoint, Ralston

__all__ = [
    "ADJOINTS",
    "ETDRK2",
    "POLICIES",
    "RK4",
    "RK38",
    "SOLVERS",
    "SSPRK3",
    "AdamsBashforth2",
    "AdamsBashforth3",
    "Adjoint",
    "AffinePointwise",
    "AsynchronousLeapfrog",
    "Autograd",
    "ButcherTableau",
    "DivergenceError",
    "DivergenceWarning",
    "Euler",
    "ExplicitRungeKutta",
    "ExponentialEuler",
    "Heun",
    "Inputs",
    "Interval",
    "Kutta3",
    "Leapfrog",
    "LeapfrogMidpoint",
    "Memory",
    "Midpoint",
    "Need",
    "OnDivergence",
    "Partition",
    "Problem",
    "Ralston",
    "Recurrence",
    "ReversibleHeun",
    "ReversibleSolver",
    "RightHandSide",
    "Save",
    "Scheme",
    "Semilinear",
    "Solution",
    "Solved",
    "Solver",
    "Structured",
    "SymplecticEuler",
    "Time",
    "Yoshida4",
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
    "phi_functions",
]
