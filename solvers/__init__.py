"""Fixed-step ODE solvers on torch: f(t, y) in, trajectories and gradients out."""

from . import parallel
from .adams_bashforth import AdamsBashforth2, AdamsBashforth3
from .adjoint import Adjoint, Autograd, Save, Solved
from .adjoint_registry import ADJOINTS, Auto, make_adjoint
from .autocast import without_autocast
from .average_vector_field import AverageVectorField
from .checkpointed import Checkpointed
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
from .continuous_adjoint import Continuous
from .convergence import ConvergenceError
from .discrete_adjoint import DiscreteAdjoint, ends_of, memory_after, step_before, takes
from .divergence import POLICIES, DivergenceError, DivergenceWarning, OnDivergence, guard
from .explicit_rk import ExplicitRungeKutta
from .exponential import ETDRK2, ExponentialEuler, LawsonEuler, LinearlyExactEuler, StrangSplitting
from .exponential_rk import ExponentialRungeKutta, functions_of
from .exponential_tableau import Entry, ExponentialTableau
from .implicit import BackwardEuler, ImplicitMidpoint, ImplicitSolver, Trapezoidal
from .integrate import Solution, integrate
from .leapfrog_midpoint import LeapfrogMidpoint
from .linear_part import BlockDiagonal, LinearPart
from .loop import Inputs, Interval, Problem
from .odeint import odeint
from .parallel.recurrence import Recurrence, Scheme
from .partitioned import Leapfrog, SymplecticEuler, Yoshida4
from .phi import phi_functions
from .refusals import refuse_transforms
from .registry import SOLVERS, make_solver
from .requirements import check_requirements
from .reversible import AsynchronousLeapfrog, ReversibleHeun
from .reversible_adjoint import ReconstructionError, Reversible
from .solver import Memory, ReversibleSolver, Solver
from .splitting import SplittingMethod, Sweep
from .stability import imaginary_stability
from .stochastic import EulerMaruyama, StochasticHeun, StochasticSolver
from .structure import AffinePointwise, Diffusion, Need, Partition, RightHandSide, Semilinear, Structured, Time
from .tableau import ButcherTableau
from .tableaus import RK4, RK38, SSPRK3, Euler, Heun, Heun3, Kutta3, Midpoint, Ralston
from .torchdiffeq_solver import TorchdiffeqSolver
from .torchsde_paths import sde_paths
from .transforms import transformed

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
    "Auto",
    "Autograd",
    "AverageVectorField",
    "BackwardEuler",
    "BlockDiagonal",
    "ButcherTableau",
    "Checkpointed",
    "Continuous",
    "ConvergenceError",
    "Diffusion",
    "DiscreteAdjoint",
    "DivergenceError",
    "DivergenceWarning",
    "Entry",
    "Euler",
    "EulerMaruyama",
    "ExplicitRungeKutta",
    "ExponentialEuler",
    "ExponentialRungeKutta",
    "ExponentialTableau",
    "Heun",
    "Heun3",
    "ImplicitMidpoint",
    "ImplicitSolver",
    "Inputs",
    "Interval",
    "Kutta3",
    "LawsonEuler",
    "Leapfrog",
    "LeapfrogMidpoint",
    "LinearPart",
    "LinearlyExactEuler",
    "Memory",
    "Midpoint",
    "Need",
    "OnDivergence",
    "Partition",
    "Problem",
    "Ralston",
    "ReconstructionError",
    "Recurrence",
    "Reversible",
    "ReversibleHeun",
    "ReversibleSolver",
    "RightHandSide",
    "Save",
    "Scheme",
    "Semilinear",
    "Solution",
    "Solved",
    "Solver",
    "SplittingMethod",
    "StochasticHeun",
    "StochasticSolver",
    "StrangSplitting",
    "Structured",
    "Sweep",
    "SymplecticEuler",
    "Time",
    "TorchdiffeqSolver",
    "Trapezoidal",
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
    "ends_of",
    "functions_of",
    "guard",
    "imaginary_stability",
    "integrate",
    "make_adjoint",
    "make_solver",
    "memory_after",
    "odeint",
    "parallel",
    "phi_functions",
    "refuse_transforms",
    "sde_paths",
    "step_before",
    "takes",
    "transformed",
    "without_autocast",
]
