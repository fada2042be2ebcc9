"""The Triton engine: the loop over time in one kernel, forward and back, on CUDA devices."""

from .availability import why_not
from .chunk_recursion import run_backward
from .field_forward import field_forward
from .operators import register

__all__ = ["field_forward", "run_backward", "why_not"]

register()
