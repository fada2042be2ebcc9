"""Law: parts that draw at random, count their calls or mix units train as under autograd, or an error says why not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from odernn import VectorField
from odernn.fields.determinism import is_deterministic
from solvers import Checkpointed
from tests.odernn.layer.backward_evaluation import (
    DOUBLE,
    NAMES,
    ROUNDING,
    Own,
    Plain,
    adjoint_of,
    agree,
    agree_or_say,
    layer,
)
from tests.pairs import crossed


class Inside(Plain):
    """With something of the user's in the evaluation, or in the control."""

    def __init__(self, part: str, where: str) -> None:
        super().__init__()
        self.where = where
        width = 2 if where == "control" else 4
        self.part = PARTS[part](width)

    def control(self, x: Tensor) -> Tensor:
        if self.where != "control":
            return super().control(x)
        return super().control(self.part(x.flatten(0, -2)).view_as(x))

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.part(y) @ self.W.T + u) - y if self.where == "forward" else super().forward(t, y, u)


class InsidePointwise(Own):
    def __init__(self, part: str, where: str) -> None:
        super().__init__()
        self.part = PARTS[part](4)

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.part(p) + u) - y


class Drawn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Counting(nn.Module):
    """Scaled by how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x / (1 + self.calls % 7)


PARTS: dict[str, Callable[[int], nn.Module]] = {
    "dropout": lambda width: nn.Dropout(0.5),
    "randn_like": lambda width: Drawn(),
    "batch norm": lambda width: nn.BatchNorm1d(width, dtype=DOUBLE),
    "layer norm": lambda width: nn.LayerNorm(width, dtype=DOUBLE),
    "softmax": lambda width: nn.Softmax(-1),
    "spectral norm": lambda width: nn.utils.spectral_norm(nn.Linear(width, width, dtype=DOUBLE)),
}
PLACES: dict[str, Callable[[str, str], VectorField]] = {
    "control": Inside,
    "forward": Inside,
    "pointwise": InsidePointwise,
}


@crossed({"part": list(PARTS), "where": list(PLACES), "name": NAMES})
def test_parts_that_draw_count_or_mix(part: str, where: str, name: str) -> None:
    """By default, checkpointed and discrete they train as under autograd; in a control, under every adjoint."""

    def found(adjoint: object) -> tuple[list[Tensor], dict[str, Tensor]]:
        torch.manual_seed(0)
        field = PLACES[where](part, where)
        rnn = layer(field, adjoint, name)
        torch.manual_seed(7)
        x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE)
        loss = rnn(x, y0)[0].square().sum()
        torch.manual_seed(8)
        found = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True, materialize_grads=True)
        return list(found), dict(field.named_buffers())

    wanted, buffers = found("autograd")
    deterministic = part in ("layer norm", "softmax")
    if where != "control" and name in ("reversible", "continuous") and not deterministic:
        agree_or_say(lambda: found(adjoint_of(name))[0], wanted, name)
        return
    got, others = found(adjoint_of(name))
    agree(got, wanted, name)
    for key, buffer in buffers.items():
        torch.testing.assert_close(others[key], buffer, **ROUNDING)


@pytest.mark.parametrize("part", ["dropout", "batch norm"])
def test_what_draws_or_counts_is_known_by_its_modules(part: str) -> None:
    field = InsidePointwise(part, "pointwise")
    assert not is_deterministic(field)
    assert is_deterministic(field.eval())


def test_a_field_that_counts_its_calls_is_replayed() -> None:
    def found(adjoint: object) -> list[Tensor]:
        torch.manual_seed(0)
        field = Inside("softmax", "forward")
        field.part = Counting()
        loss = layer(field, adjoint, "checkpointed")(torch.randn(5, 3, 2, dtype=DOUBLE))[0].square().sum()
        calls = field.part.calls
        grads = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True, materialize_grads=True)
        assert field.part.calls == calls
        return list(grads)

    agree(found(Checkpointed(every=2)), found("autograd"), "checkpointed")
