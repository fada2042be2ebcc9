"""The recurrence as registered torch operators of one schema: by torch on any device, or by the native kernels."""

from .call import Call
from .method import EULER, LEAPFROG, SYMPLECTIC_EULER, Method, runge_kutta, shears, two_step
from .registration import NATIVE, TORCH, register_rules, register_torch_engine

register_torch_engine()

__all__ = [
    "EULER",
    "LEAPFROG",
    "NATIVE",
    "SYMPLECTIC_EULER",
    "TORCH",
    "Call",
    "Method",
    "register_rules",
    "runge_kutta",
    "shears",
    "two_step",
]
