"""The paper's family: tanh of one shared matrix, antisymmetric or not, gated or not."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import check_flag, check_not_negative

from ..control.input_map import AffineControl
from .activation import GATED_TANH, TANH, Activation
from .field import AffinePointwiseField
from .parametrise import SkewSymmetric, Unconstrained, damped, draw_input_map, input_map


class TanhField(AffinePointwiseField):
    """dy/dt = activation(M y, V x + b), M = matrix - damping I. Abstract: a field names its matrix and its activation.

    Arguments and errors as `AntisymmetricField`.
    """

    matrix: ClassVar[type[SkewSymmetric] | type[Unconstrained]]
    activation: ClassVar[Activation]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        damping: float = 0.0,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_not_negative("damping", damping)
        check_not_negative("sigma_w", sigma_w)
        check_flag("bias", bias)
        self.damping = damping
        controls = self.activation.controls * hidden_size
        self.recurrent = self.matrix(hidden_size, sigma_w, device=device, dtype=dtype)
        self.sigma_v = sigma_v
        self.input_map = input_map(input_size, controls, sigma_v, bias=bias, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        self.recurrent.reset_parameters()
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch control"]:
        """Return V x + b; of a gated field the candidate's, then the gate's."""
        return self.input_map(x)

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)

    def weight(self) -> Float[Tensor, "hidden hidden"]:
        """M, the matrix minus damping I."""
        return damped(self.recurrent(), self.damping)

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch hidden"]:
        """The activation of p and u; y itself does not enter."""
        return self.activation.function(p, u)

    def extra_repr(self) -> str:
        """Sizes and damping."""
        return f"{self.input_size}, {self.hidden_size}, damping={self.damping}"


@final
class AntisymmetricField(TanhField):
    """dy/dt = tanh((W - W^T - damping I) y + V x + b): the paper's field.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state.
        damping: the paper's gamma, which it calls diffusion, in units of 1 / time.
        sigma_w: W is drawn from N(0, sigma_w^2 / n); of an antisymmetric matrix, its strictly upper entries.
        sigma_v: V is drawn from N(0, sigma_v^2 / m); the paper's sigma_v is 1.
        bias: whether there is a b, which starts at zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError: a size that is not a whole number, a scale that is not a number.
        ValueError: a size below 1, a scale or a damping below zero or not finite.

    Source: Chang et al., AntisymmetricRNN (2019), eqs. (8) and (12).
    """

    matrix = SkewSymmetric
    activation = TANH


@final
class GatedAntisymmetricField(TanhField):
    """dy/dt = sigmoid(M y + V_z x + b_z) * tanh(M y + V x + b), M = W - W^T - damping I, shared by gate and candidate.

    Arguments and errors as `AntisymmetricField`.

    Source: Chang et al., AntisymmetricRNN (2019), eq. (13).
    """

    matrix = SkewSymmetric
    activation = GATED_TANH


@final
class UnstructuredField(TanhField):
    """dy/dt = tanh((W - damping I) y + V x + b), W unconstrained.

    Arguments and errors as `AntisymmetricField`.

    Source: the plain field of Chang et al., AntisymmetricRNN (2019), eq. (8), without its constraint.
    """

    matrix = Unconstrained
    activation = TANH


@final
class GatedUnstructuredField(TanhField):
    """dy/dt = sigmoid(M y + V_z x + b_z) * tanh(M y + V x + b), M = W - damping I shared, W unconstrained.

    Arguments and errors as `AntisymmetricField`.

    Source: Chang et al., AntisymmetricRNN (2019), sec. 4, the ablation.
    """

    matrix = Unconstrained
    activation = GATED_TANH
