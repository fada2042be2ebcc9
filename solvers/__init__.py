"""Fixed-step ODE solvers on torch: f(t, y) in, trajectories and gradients out."""

from . import parallel
from .adjoints.adjoint import Adjoint, Autograd, Save, Solved
from .adjoints.checkpointed import Checkpointed
from .adjoints.continuous import Continuous
from .adjoints.registry import ADJOINTS, Auto, make_adjoint
from .adjoints.reversible import ReconstructionError, Reversible
from .adjoints.transforms import transformed
from .adjoints.unsupported import refuse_transforms
from .autocast import without_autocast
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
from .discrete_adjoint import DiscreteAdjoint, ends_of, memory_after, step_before, takes
from .divergence import POLICIES, DivergenceError, DivergenceWarning, OnDivergence, guard
from .integrate import Solution, integrate
from .linear_part import BlockDiagonal, LinearPart
from .loop import Inputs, Interval, Problem
from .methods.adams_bashforth import AdamsBashforth2, AdamsBashforth3
from .methods.explicit_rk import ExplicitRungeKutta
from .methods.exponential import ETDRK2, ExponentialEuler, LawsonEuler, LinearlyExactEuler, StrangSplitting
from .methods.exponential_rk import ExponentialRungeKutta, functions_of
from .methods.exponential_tableau import Entry, ExponentialTableau
from .methods.implicit.average_vector_field import AverageVectorField
from .methods.implicit.convergence import ConvergenceError
from .methods.implicit.methods import BackwardEuler, ImplicitMidpoint, ImplicitSolver, Trapezoidal
from .methods.leapfrog_midpoint import LeapfrogMidpoint
from .methods.phi import phi_functions
from .methods.registry import SOLVERS, make_solver
from .methods.reversible import AsynchronousLeapfrog, ReversibleHeun
from .methods.runge_kutta import RK4, RK38, SSPRK3, Euler, Heun, Heun3, Kutta3, Midpoint, Ralston
from .methods.splitting import SplittingMethod, Sweep
from .methods.stability import imaginary_stability
from .methods.stochastic import EulerMaruyama, StochasticHeun, StochasticSolver
from .methods.symplectic import Leapfrog, SymplecticEuler, Yoshida4
from .methods.tableau import ButcherTableau
from .methods.torchdiffeq import TorchdiffeqSolver
from .odeint.call import odeint
from .parallel.recurrence import Recurrence, Scheme
from .requirements import check_requirements
from .right_hand_side import AffinePointwise, Diffusion, Need, Partition, RightHandSide, Semilinear, Structured, Time
from .sde_paths import sde_paths
from .solver import Memory, ReversibleSolver, Solver

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
