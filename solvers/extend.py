"""What packages build on that extend this one: the contracts of a problem, an adjoint and a state, and their guards.

A user of the solvers needs none of it. `solvers.checks` has the checks of arguments.
"""

from .adjoints.adjoint import Save, Solved
from .adjoints.closure import check_seen
from .adjoints.snapshot import Snapshot, snapshot_of
from .adjoints.unsupported import refuse_second_derivative, refuse_transforms
from .divergence import POLICIES, OnDivergence, check_divergence
from .linear_part import LinearPart, apply_matrix
from .loop import Inputs, Interval, Problem, steps
from .methods.exponential_rk import functions_of
from .methods.exponential_tableau import Entry
from .methods.registry import as_solver
from .modes import autocast_dtype, mapped, transformed, without_autocast
from .requirements import check_requirements
from .right_hand_side import RightHandSide, Time, time_tensor
from .scheme import Coefficient, Scheme, Schemes
from .solver import Carry, check_solver
from .user_function import check_slope

__all__ = [
    "POLICIES",
    "Carry",
    "Coefficient",
    "Entry",
    "Inputs",
    "Interval",
    "LinearPart",
    "OnDivergence",
    "Problem",
    "RightHandSide",
    "Save",
    "Scheme",
    "Schemes",
    "Snapshot",
    "Solved",
    "Time",
    "apply_matrix",
    "as_solver",
    "autocast_dtype",
    "check_divergence",
    "check_requirements",
    "check_seen",
    "check_slope",
    "check_solver",
    "functions_of",
    "mapped",
    "refuse_second_derivative",
    "refuse_transforms",
    "snapshot_of",
    "steps",
    "time_tensor",
    "transformed",
    "without_autocast",
]
