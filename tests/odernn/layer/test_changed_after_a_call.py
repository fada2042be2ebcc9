"""Law: nothing of a call is kept that a change afterwards should reach: the next call is that of a new layer."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AntisymmetricField

DOUBLE = torch.float64


class _Twice(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def _field(seed: int) -> AntisymmetricField:
    torch.manual_seed(seed)
    return AntisymmetricField(2, 4, dtype=DOUBLE)


def _set_map(rnn: ODERNN) -> None:
    torch.manual_seed(2)
    rnn.field.input_map = _Twice(2, 4, dtype=DOUBLE)


def _add_hook(rnn: ODERNN) -> None:
    field = rnn.field
    assert isinstance(field, AntisymmetricField)
    field.input_map.register_forward_hook(lambda module, given, u: torch.add(u, 1))


CHANGES: dict[str, Callable[[ODERNN], object]] = {
    "dt": lambda rnn: setattr(rnn, "dt", 0.3),
    "a tensor dt": lambda rnn: setattr(rnn, "dt", torch.tensor(0.3, dtype=DOUBLE)),
    "substeps": lambda rnn: setattr(rnn, "substeps", 3),
    "solver": lambda rnn: setattr(rnn, "solver", "euler"),
    "hold": lambda rnn: setattr(rnn, "hold", "linear"),
    "field": lambda rnn: setattr(rnn, "field", _field(5)),
    "damping": lambda rnn: setattr(rnn.field, "damping", 0.5),
    "input_map": _set_map,
    "a hook": _add_hook,
}


@pytest.mark.parametrize("engine", ["torch", "native"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_next_call_is_that_of_a_layer_that_was_never_called(change: str, engine: str) -> None:
    """Bit by bit: the same operations."""
    called = ODERNN(_field(0), "rk4", dt=0.1, engine=engine)
    fresh = deepcopy(called)
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    before, _ = called(x)
    for rnn in (called, fresh):
        CHANGES[change](rnn)
    after, _ = called(x)
    torch.testing.assert_close(after, fresh(x)[0], rtol=0, atol=0)
    assert not torch.equal(after, before)
