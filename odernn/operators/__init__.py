"""The recurrence as registered torch operators of one schema: by torch on any device, or by the native kernels."""

from .registration import NATIVE, TORCH, register_rules, register_torch_engine

register_torch_engine()

__all__ = ["NATIVE", "TORCH", "register_rules"]
