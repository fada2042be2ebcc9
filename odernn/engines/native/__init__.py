"""The native engine: C++ kernels for the processor, built at first use by the machine's own compiler."""

from .bindings import Gradients, Recursion, Solution, TwoStepWeights, pull_back, recursion, release_memory, solve
from .build import NativeUnavailable, is_available, load, load_field
from .registration import register

__all__ = [
    "Gradients",
    "NativeUnavailable",
    "Recursion",
    "Solution",
    "TwoStepWeights",
    "is_available",
    "load",
    "load_field",
    "pull_back",
    "recursion",
    "release_memory",
    "solve",
]

register()
