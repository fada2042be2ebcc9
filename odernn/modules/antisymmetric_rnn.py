"""AntisymmetricRNN: the paper's network under the paper's name and symbols."""

from __future__ import annotations

from typing import final

import torch

from solvers import Adjoint, Euler
from solvers.checks import check_flag, check_not_negative, check_positive
from solvers.extend import OnDivergence

from ..engines.engine import Engine
from ..fields import AntisymmetricField, GatedAntisymmetricField
from ..layer.odernn import ODERNN
from .layers import make_layers
from .stacked import StackedODERNN


@final
class AntisymmetricRNN(StackedODERNN):
    """y_t = y_{t-1} + epsilon tanh((W - W^T - gamma I) y_{t-1} + V x_t + b), or its gated form, in one layer or more.

    The paper's network: Euler's method on `AntisymmetricField`, or on `GatedAntisymmetricField`, with dt = epsilon. The
    paper chooses epsilon and gamma by a search; the defaults lie in the middle of it.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state of a layer in one direction.
        num_layers: layers upon each other.
        epsilon: the step; the paper searches {0.01, 0.1, 1}.
        gamma: the diffusion, as the paper calls it: a damping; the paper searches {0.001, 0.01, 0.1}.
        gated: equation (13) instead of (12).
        sigma_w: the strictly upper entries of W are drawn from N(0, sigma_w^2 / n).
        sigma_v: V is drawn from N(0, sigma_v^2 / m); the paper's is 1.
        bias: whether there is a b.
        batch_first: as in `StackedODERNN`.
        dropout: as in `StackedODERNN`.
        bidirectional: whether each layer has a second network, which reads from the end.
        adjoint: as in `ODERNN`.
        engine: as in `ODERNN`.
        on_divergence: as in `ODERNN`.
        check_input: as in `ODERNN`.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.

    Source: Chang et al., AntisymmetricRNN (2019), eqs. (12) and (13).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        epsilon: float = 0.1,
        gamma: float = 0.01,
        gated: bool = False,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        adjoint: Adjoint | str = "auto",
        engine: Engine | str = "auto",
        on_divergence: OnDivergence = "raise",
        check_input: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive("epsilon", epsilon)
        check_not_negative("gamma", gamma)
        check_flag("gated", gated)
        kind = GatedAntisymmetricField if gated else AntisymmetricField

        def layer(width: int) -> ODERNN:
            field = kind(
                *(width, hidden_size),
                damping=gamma,
                sigma_w=sigma_w,
                sigma_v=sigma_v,
                bias=bias,
                device=device,
                dtype=dtype,
            )
            return ODERNN(
                *(field, Euler()),
                dt=epsilon,
                adjoint=adjoint,
                engine=engine,
                on_divergence=on_divergence,
                check_input=check_input,
            )

        layers, reverse = make_layers(layer, input_size, hidden_size, num_layers, bidirectional=bidirectional)
        super().__init__(layers, reverse=reverse, dropout=dropout, batch_first=batch_first)
        self.bias = bias
