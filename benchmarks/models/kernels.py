"""Kernels for the fields of a network that the engines of the CPU have none for."""

from __future__ import annotations

from torch import nn

from odernn import ODERNN
from odernn.engines.lowering import unsupported
from odernn.engines.native import NativeUnavailable


def build_kernels(network: nn.Module) -> None:
    """Build the native kernels of every field of one's own in a network on the CPU; where that fails, torch serves.

    It takes a quarter of a minute the first time on a machine, and is looked up afterwards. A field that an engine
    takes as it is keeps that engine, and so does a layer that names torch's.
    """
    for layer in network.modules():
        if isinstance(layer, ODERNN) and _wants_kernels(layer):
            try:
                layer.compile_kernels()
            except (ValueError, NativeUnavailable):
                continue


def _wants_kernels(layer: ODERNN) -> bool:
    """Whether no engine has operators for the field under its method, and kernels of its own would take the method."""
    if layer.engine == "torch" or layer.solver.schemes is None:  # kernels of a field take explicit methods
        return False
    return unsupported(layer.field, layer.hold, layer.solver, layer.dt) is not None
