"""Whether networks of one architecture run at once, their weights stacked."""

from __future__ import annotations

from torch import Tensor

from solvers import Adjoint, Autograd, Solver

from ..control.hold import Hold
from ..fields.field import VectorField, activation_of
from ..fields.overrides import affine_control_of
from .choice import Auto
from .engine import Engine
from .lowering import unsupported
from .program import products_around
from .registry import candidates
from .scheme import explicit_method, outline
from .torch.discrete_adjoint import DiscreteAdjoint


def run_at_once(
    field: VectorField,
    solver: Solver,
    hold: Hold,
    dt: float | Tensor,
    adjoint: Adjoint,
    engine: Engine | str,
    like: Tensor,
) -> bool:
    """Whether it pays to run all networks at once, under vmap over the weights: on a CUDA device.

    It is one launch of the Triton kernels; or, by autograd, the torch engine's loop with a launch for all networks. On
    the CPU that takes as long as one network after the other.

    Args:
        field: of the networks; its parameters may be stacked.
        solver: likewise, as the others.
        hold: of the control.
        dt: between samples.
        adjoint: of the layer.
        engine: of the layer.
        like: a tensor on the networks' device, of their dtype.
    """
    on_cuda = like.device.type == "cuda"
    if isinstance(adjoint, Autograd):
        return on_cuda and explicit_method(solver, apart=False) is not None
    if not isinstance(adjoint, Auto | DiscreteAdjoint) or isinstance(dt, Tensor):
        return False
    activation = activation_of(field)
    if activation is None or unsupported(field, hold, solver, dt) is not None or affine_control_of(field)[0] is None:
        return False
    groups = 1 if activation.remainder is None else 2
    method, groups = outline(field, solver, dt, groups * field.hidden_size)
    state = like.new_empty(1, field.hidden_size)
    products = products_around(like)
    return any(each.takes_stacked(state, method, groups, products) for each in candidates(engine, like.device.type))
