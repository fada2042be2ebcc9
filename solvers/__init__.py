"""Fixed-step ODE solvers on torch: f(t, y) in, trajectories and gradients out."""

from .adjoints.adjoint import Adjoint, Autograd
from .adjoints.checkpointed import Checkpointed
from .adjoints.continuous import Continuous
from .adjoints.registry import ADJOINTS, make_adjoint
from .adjoints.reversible import ReconstructionError, Reversible
from .divergence import DivergenceError, DivergenceWarning
from .integrate import Solution, integrate
from .linear_part import BlockDiagonal
from .methods.adams_bashforth import AdamsBashforth2, AdamsBashforth3
from .methods.explicit_rk import ExplicitRungeKutta
from .methods.exponential import ETDRK2, ExponentialEuler, LawsonEuler, LinearlyExactEuler, StrangSplitting
from .methods.exponential_rk import ExponentialRungeKutta
from .methods.exponential_tableau import ExponentialTableau
from .methods.implicit.average_vector_field import AverageVectorField
from .methods.implicit.convergence import ConvergenceError
from .methods.implicit.methods import BackwardEuler, ImplicitMidpoint, ImplicitSolver, Trapezoidal
from .methods.leapfrog_midpoint import LeapfrogMidpoint
from .methods.phi import phi_functions
from .methods.registry import SOLVERS, make_solver
from .methods.reversible import AsynchronousLeapfrog, ReversibleHeun
from .methods.runge_kutta import RK4, RK38, SSPRK3, Euler, Heun, Heun3, Kutta3, Midpoint, Ralston
from .methods.splitting import Shear, SplittingMethod
from .methods.stability import imaginary_stability
from .methods.stochastic import EulerMaruyama, StochasticHeun, StochasticSolver
from .methods.symplectic import Leapfrog, SymplecticEuler, Yoshida4
from .methods.tableau import ButcherTableau
from .methods.torchdiffeq import TorchdiffeqSolver
from .odeint.adjoint import odeint_adjoint
from .odeint.call import odeint
from .odeint.event_time import odeint_event
from .right_hand_side import AffinePointwise, Diffusion, Need, Partition, Semilinear, Structured
from .sde_paths import sde_paths
from .solver import ReversibleSolver, Solver

__all__ = [
    "ADJOINTS",
    "ETDRK2",
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
    "AverageVectorField",
    "BackwardEuler",
    "BlockDiagonal",
    "ButcherTableau",
    "Checkpointed",
    "Continuous",
    "ConvergenceError",
    "Diffusion",
    "DivergenceError",
    "DivergenceWarning",
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
    "Kutta3",
    "LawsonEuler",
    "Leapfrog",
    "LeapfrogMidpoint",
    "LinearlyExactEuler",
    "Midpoint",
    "Need",
    "Partition",
    "Ralston",
    "ReconstructionError",
    "Reversible",
    "ReversibleHeun",
    "ReversibleSolver",
    "Semilinear",
    "Shear",
    "Solution",
    "Solver",
    "SplittingMethod",
    "StochasticHeun",
    "StochasticSolver",
    "StrangSplitting",
    "Structured",
    "SymplecticEuler",
    "TorchdiffeqSolver",
    "Trapezoidal",
    "Yoshida4",
    "imaginary_stability",
    "integrate",
    "make_adjoint",
    "make_solver",
    "odeint",
    "odeint_adjoint",
    "odeint_event",
    "phi_functions",
    "sde_paths",
]
