"""The energy that the flow of an antisymmetric field keeps under a constant input."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from odernn import (
    ODERNN,
    AffinePointwiseField,
    AntisymmetricField,
    HamiltonianField,
    LinearAntisymmetricField,
    VectorField,
)
from solvers.checks import check_tensor


def energy(
    model: ODERNN | VectorField, y: Float[Tensor, "*batch hidden"], x: Float[Tensor, "*batch input"]
) -> Float[Tensor, "*batch"]:
    """The energy E(y) under the constant input x, which the flow keeps where there is no damping.

    All these fields are dy/dt = phi'(M y + c), with c the control of x and M = K - damping I, K antisymmetric. Then
    E = sum phi(M y + c) has the derivative dE/dt = f^T M f = -damping |f|^2 along the flow, f = dy/dt: with phi =
    log cosh for AntisymmetricField and HamiltonianField (a part of q and a part of p), and phi = p^2 / 2 for
    LinearAntisymmetricField. Of a network it is the energy of its field. Gradients flow through it.

    Args:
        model: an AntisymmetricField, HamiltonianField or LinearAntisymmetricField, or an ODERNN of one.
        y: states (..., hidden), of the dtype and device of the field.
        x: inputs (..., input), constant; its leading dimensions broadcast against those of `y`.

    Returns:
        (...), in units of phi: a number without unit.

    Raises:
        TypeError: `model` is neither a layer nor a field, or `y` or `x` is not a tensor.
        ValueError: the field has no such energy, or a last dimension is not its size.

    Source: the derivative of E, with f^T K f = 0; for the Hamiltonian form Haber & Ruthotto, Stable architectures for
    deep neural networks (2017), sec. 3.2.
    """
    field = _field_with_energy(model)
    potential = _potential(field)
    for name, value, size in (("y", y, field.hidden_size), ("x", x, field.input_size)):
        check_tensor(name, value)
        if value.ndim == 0 or value.shape[-1] != size:
            raise ValueError(f"`{name}` has shape {tuple(value.shape)}; its last dimension is {size} for this field")
    return potential(linear(y, field.weight()) + field.control(x)).sum(dim=-1)


def log_cosh(p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The logarithm of cosh(p), without overflow: log(exp(p) + exp(-p)) - log 2."""
    return torch.logaddexp(p, -p) - log(2)


def half_square(p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half the square, p^2 / 2."""
    return 0.5 * p * p


def _potential(field: AffinePointwiseField) -> Callable[[Tensor], Tensor]:
    return half_square if isinstance(field, LinearAntisymmetricField) else log_cosh


def _field_with_energy(model: object) -> AffinePointwiseField:
    field = model.field if isinstance(model, ODERNN) else model
    if isinstance(field, AntisymmetricField | HamiltonianField | LinearAntisymmetricField):
        return field
    if not isinstance(field, VectorField):
        raise TypeError(f"`model` is {type(model).__name__}; give an ODERNN or a VectorField")
    raise ValueError(
        f"`model` is of a {type(field).__name__}, whose flow keeps no energy that is known; AntisymmetricField, "
        "HamiltonianField and LinearAntisymmetricField have one"
    )
