"""Kernels for the fields of a network that the engines of the CPU have none for."""

from __future__ import annotations

from torch import nn

from odernn import ODERNN
from odernn.engines.native import NativeUnavailable


def build_kernels(network: nn.Module) -> None:
    """Build the native kernels of every field of one's own in a network on the CPU; where that fails, torch serves.

    It takes a quarter of a minute the first time on a machine, and is looked up afterwards. A field that an engine
    takes as it is keeps that engine, and so does a layer that names torch's.
    """
    for layer in network.modules():
        if isinstance(layer, ODERNN) and _may_take_kernels(layer):
            try:
                layer.compile_kernels()
            except (ValueError, NativeUnavailable):
                continue


def _may_take_kernels(layer: ODERNN) -> bool:
    return layer.engine != "torch" and layer.solver.schemes is not None  # kernels of a field take explicit methods
