"""CoRNN, UnICORNN and LEM: networks of oscillators and time scales under their papers' names, symbols and schemes."""

from __future__ import annotations

from typing import final

import torch

from solvers import Adjoint, SymplecticEuler
from solvers.checks import check_positive

from ..engines.engine import Engine
from ..fields import CoRNNField, LEMField, UnICORNNField
from .odernn import ODERNN


@final
class CoRNN(ODERNN):
    """The coupled oscillatory network, `CoRNNField` with its paper's explicit scheme.

    z_n = z_{n-1} + dt (tanh(W y_{n-1} + W_2 z_{n-1} + V x_n + b) - gamma y_{n-1} - epsilon z_{n-1}) and
    y_n = y_{n-1} + dt z_n. The state and the output are (y, z), two halves; the paper's readout sees y only.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 oscillators.
        dt: the step.
        gamma: as in `CoRNNField`.
        epsilon: likewise.
        batch_first: as in `ODERNN`.
        adjoint: as in `ODERNN`.
        engine: as in `ODERNN`.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.

    Source: Rusch & Mishra, Coupled oscillatory recurrent neural network (ICLR 2021), eq. (3), its damping at n - 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float,
        gamma: float,
        epsilon: float,
        batch_first: bool = False,
        adjoint: Adjoint | str = "auto",
        engine: Engine | str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive("dt", dt)
        field = CoRNNField(input_size, hidden_size, gamma=gamma, epsilon=epsilon, device=device, dtype=dtype)
        super().__init__(field, SymplecticEuler(), dt=dt, batch_first=batch_first, adjoint=adjoint, engine=engine)


@final
class UnICORNN(ODERNN):
    """A layer of the undamped independent oscillators, `UnICORNNField` with its paper's symplectic scheme.

    z_n = z_{n-1} - dt s (tanh(w y_{n-1} + V x_n + b) + alpha y_{n-1}) and y_n = y_{n-1} + dt s z_n, s = sigmoid(c). The
    state and the output are (y, z), two halves; the paper's next layer sees y only.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 oscillators.
        dt: the step.
        alpha: as in `UnICORNNField`.
        batch_first: as in `ODERNN`.
        adjoint: as in `ODERNN`.
        engine: as in `ODERNN`.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.

    Source: Rusch & Mishra, UnICORNN: a recurrent model for learning very long time dependencies (ICML 2021), eq. (4).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float,
        alpha: float,
        batch_first: bool = False,
        adjoint: Adjoint | str = "auto",
        engine: Engine | str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive("dt", dt)
        field = UnICORNNField(input_size, hidden_size, alpha=alpha, device=device, dtype=dtype)
        super().__init__(field, SymplecticEuler(), dt=dt, batch_first=batch_first, adjoint=adjoint, engine=engine)


@final
class LEM(ODERNN):
    """Long expressive memory, `LEMField` with its paper's scheme: y moves by the new z.

    z_n = z_{n-1} + dt g_1 (tanh(W_z y_{n-1} + V_z x_n + b_z) - z_{n-1}) and
    y_n = y_{n-1} + dt g_2 (tanh(W_y z_n + V_y x_n + b_y) - y_{n-1}), with the gates
    g_i = sigmoid(W_i y_{n-1} + V_i x_n + b_i). The state and the output are (y, z), two halves; the paper's readout
    sees y only.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 of y and n / 2 of z.
        dt: the step.
        batch_first: as in `ODERNN`.
        adjoint: as in `ODERNN`.
        engine: as in `ODERNN`.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.

    Source: Rusch, Mishra, Erichson & Mahoney, Long expressive memory for sequence modeling (ICLR 2022), eq. (3).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float = 1.0,
        batch_first: bool = False,
        adjoint: Adjoint | str = "auto",
        engine: Engine | str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive("dt", dt)
        field = LEMField(input_size, hidden_size, device=device, dtype=dtype)
        super().__init__(field, SymplecticEuler(), dt=dt, batch_first=batch_first, adjoint=adjoint, engine=engine)
