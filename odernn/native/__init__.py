"""The native engine: C++ kernels for the processor, built at first use by the machine's own compiler."""

from .build import NativeUnavailable, is_available, load
from .kernels import (
    EULER,
    LEAPFROG,
    SYMPLECTIC_EULER,
    Call,
    Gradients,
    Recursion,
    Scheme,
    Solution,
    TwoStepWeights,
    pull_back,
    recursion,
    release_memory,
    runge_kutta,
    shears,
    solve,
    two_step,
)

__all__ = [
    "EULER",
    "LEAPFROG",
    "SYMPLECTIC_EULER",
    "Call",
    "Gradients",
    "NativeUnavailable",
    "Recursion",
    "Scheme",
    "Solution",
    "TwoStepWeights",
    "is_available",
    "load",
    "pull_back",
    "recursion",
    "release_memory",
    "runge_kutta",
    "shears",
    "solve",
    "two_step",
]
