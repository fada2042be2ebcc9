"""The Triton engine: the loop over time in one kernel, forward and back, on CUDA devices."""

from .operators import register

register()
