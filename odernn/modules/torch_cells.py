"""ElmanRNN and GRURNN: torch's own recurrent modules as solvers of a field, and the way from theirs to these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from solvers import Adjoint, Euler
from solvers.extend import OnDivergence

from ..engines.engine import Engine
from ..fields.cells import CellField, ElmanField, GRUField, Nonlinearity
from ..layer.odernn import ODERNN
from .layers import make_layers
from .stacked import StackedODERNN


@final
class ElmanRNN(StackedODERNN):
    """torch.nn.RNN as Euler's method with dt = 1 on `ElmanField`: y_t = y_{t-1} + (g(W y_{t-1} + V x_t + b) - y_{t-1}).

    Its numbers are those of torch.nn.RNN to rounding, and it loads a state_dict of one. `with_solver`, another `dt` in
    a call, or another adjoint make of it what torch.nn.RNN is not: a network in continuous time.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state of a layer in one direction.
        num_layers: layers upon each other.
        nonlinearity: g, "tanh" or "relu".
        bias: whether there is a b; torch's two biases are one here, their sum.
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
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Nonlinearity = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        adjoint: Adjoint | str = "auto",
        engine: Engine | str = "auto",
        on_divergence: OnDivergence = "raise",
        check_input: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:

        def layer(width: int) -> ODERNN:
            field = ElmanField(width, hidden_size, nonlinearity=nonlinearity, bias=bias, device=device, dtype=dtype)
            return ODERNN(
                *(field, Euler()),
                dt=1.0,
                adjoint=adjoint,
                engine=engine,
                on_divergence=on_divergence,
                check_input=check_input,
            )

        layers, reverse = make_layers(layer, input_size, hidden_size, num_layers, bidirectional=bidirectional)
        super().__init__(layers, reverse=reverse, dropout=dropout, batch_first=batch_first)
        self.nonlinearity = nonlinearity
        self.bias = bias
        self.register_load_state_dict_pre_hook(_from_torch_names)


@final
class GRURNN(StackedODERNN):
    """torch.nn.GRU as Euler's method with dt = 1 on `GRUField`: y_t = y_{t-1} + (1 - z) (n - y_{t-1}).

    As `ElmanRNN`, without a nonlinearity; torch's biases of the gates are one, and the candidate's are two.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state of a layer in one direction.
        num_layers: layers upon each other.
        bias: whether there are biases.
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
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        adjoint: Adjoint | str = "auto",
        engine: Engine | str = "auto",
        on_divergence: OnDivergence = "raise",
        check_input: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:

        def layer(width: int) -> ODERNN:
            return ODERNN(
                *(GRUField(width, hidden_size, bias=bias, device=device, dtype=dtype), Euler()),
                dt=1.0,
                adjoint=adjoint,
                engine=engine,
                on_divergence=on_divergence,
                check_input=check_input,
            )

        layers, reverse = make_layers(layer, input_size, hidden_size, num_layers, bidirectional=bidirectional)
        super().__init__(layers, reverse=reverse, dropout=dropout, batch_first=batch_first)
        self.bias = bias
        self.register_load_state_dict_pre_hook(_from_torch_names)


def from_torch(module: nn.Module) -> ElmanRNN | GRURNN:
    """A module of torch as one of these, with a copy of its weights and the same numbers to rounding.

    Args:
        module: a torch.nn.RNN or torch.nn.GRU, of any number of layers and directions.

    Raises:
        TypeError: another module. An LSTM is not a step of one field in its state: its output needs the cell after the
            step.
    """
    if type(module) not in (nn.RNN, nn.GRU):
        why = (
            "; its output needs the cell after the step, so it is not Euler's method" if type(module) is nn.LSTM else ""
        )
        raise TypeError(f"`module` is {type(module).__name__}{why}; give a torch.nn.RNN or a torch.nn.GRU")
    assert isinstance(module, nn.RNN | nn.GRU)
    weight = module.weight_ih_l0
    assert isinstance(weight, Tensor)
    sizes = (module.input_size, module.hidden_size, module.num_layers)
    rest = (module.bias, module.batch_first, module.dropout, module.bidirectional)
    if isinstance(module, nn.RNN):
        made = ElmanRNN(*sizes, module.nonlinearity, *rest, device=weight.device, dtype=weight.dtype)  # pyright: ignore
    else:
        made = GRURNN(*sizes, *rest, device=weight.device, dtype=weight.dtype)
    made.load_state_dict(module.state_dict())
    return made.train(module.training)


def _from_torch_names(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """Rename what a module of torch calls its parameters, in place, where the state_dict is one of torch's."""
    assert isinstance(module, StackedODERNN)
    for k, networks in enumerate(module.directions()):
        for network, stack, suffix in zip(networks, ("layers", "reverse"), ("", "_reverse"), strict=False):
            ends = [f"{name}_l{k}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            if prefix + ends[0] not in state_dict:
                return
            theirs = [state_dict.pop(prefix + end, None) for end in ends]
            field = network.field
            assert isinstance(field, CellField)
            ours = _renamed(field, *theirs)
            state_dict.update({f"{prefix}{stack}.{k}.field.{name}": value for name, value in ours.items()})


def _renamed(
    field: CellField, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
) -> Mapping[str, Tensor]:
    """The parameters of a field by those of a cell of torch."""
    found = {"input_map.weight": weight_ih, "recurrent.weight": weight_hh}
    if bias_ih is None or bias_hh is None:
        return found
    if not isinstance(field, GRUField):
        return found | {"input_map.bias": bias_ih + bias_hh}
    gates = 2 * field.hidden_size
    bias = torch.cat((bias_ih[:gates] + bias_hh[:gates], bias_ih[gates:]))
    return found | {"input_map.bias": bias, "candidate_bias": bias_hh[gates:]}
