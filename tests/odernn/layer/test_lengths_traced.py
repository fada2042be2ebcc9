"""Law: a traced call takes any lengths and masks, of whose values the program knows nothing.

It gives what a plain loop gives.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from odernn import ODERNN, AntisymmetricField, AntisymmetricRNN, VectorField
from solvers.extend import Time
from tests.odernn.layer.by_hand import by_hand, stack_by_hand

DOUBLE = torch.float64
TIME, BATCH = 6, 3
LENGTHS, OTHER = torch.tensor([6, 2, 4]), torch.tensor([1, 6, 3])
MASK = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 1]], dtype=torch.bool)
# torch's own, while it traces: a context variable of its decomposition tables, and its first use of jit.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


def samples() -> Tensor:
    return torch.randn(TIME, BATCH, 2, dtype=DOUBLE)


def layer(solver: str = "rk4", **options: Any) -> ODERNN:
    return ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), solver, dt=0.3, **options)


def outcome(rnn: Callable[..., Any], x: Tensor, parameters: list[nn.Parameter], **given: Any) -> tuple[Tensor, ...]:
    """Output, last states, and the gradients of a loss of both."""
    x = x.detach().requires_grad_()
    output, y_n = rnn(x, **given)
    return output, y_n, *torch.autograd.grad(output.square().sum() + y_n.sin().sum(), [x, *parameters])


def a_stack() -> AntisymmetricRNN:
    return AntisymmetricRNN(2, 4, bidirectional=True, dtype=DOUBLE)


@pytest.mark.parametrize(
    ("make", "loop", "options"),
    [
        (layer, by_hand, {}),
        (partial(layer, engine="torch", hold="linear"), by_hand, {}),
        (partial(layer, "leapfrog-midpoint", substeps=2), ODERNN.__call__, {}),
        (partial(layer, "heun", adjoint="autograd"), by_hand, {"truncate": 4}),
        (a_stack, stack_by_hand, {}),
    ],
)
def test_lengths_and_masks_are_inputs_of_the_program(
    make: Callable[[], ODERNN | AntisymmetricRNN], loop: Callable[..., Any], options: dict[str, Any]
) -> None:
    """The plain loop knows one-step methods; two steps of one vector are compared with the untraced call."""
    rnn, dt = make(), torch.rand(BATCH, TIME, dtype=DOUBLE) + 0.1
    for name, first, other in (("lengths", LENGTHS, OTHER), ("mask", MASK, MASK.flip(0))):

        def run(each: Callable[..., Any], x: Tensor, given: Tensor, dt: Tensor) -> tuple[Tensor, ...]:
            named = {name: given, **options}  # noqa: B023 - called within the loop
            return outcome(each, x, list(rnn.parameters()), dt=dt, **named)

        x, traced = samples(), make_fx(partial(run, rnn))(samples(), first, dt)
        for given in (first, other):
            wanted = run(partial(loop, rnn), x, given, dt)
            torch.testing.assert_close(traced(x, given, dt), wanted, rtol=0, atol=1e-12)


def test_a_compiled_call_breaks_nowhere_and_serves_all_lengths() -> None:
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    rnn, x = layer(), samples()
    compiled = torch.compile(rnn, fullgraph=True, backend="eager")
    for lengths in (LENGTHS, OTHER):
        wanted = outcome(partial(by_hand, rnn), x, list(rnn.parameters()), lengths=lengths)
        torch.testing.assert_close(outcome(compiled, x, list(rnn.parameters()), lengths=lengths), wanted)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    with pytest.raises(RuntimeError, match="`lengths` are whole numbers from 1"):
        compiled(x, lengths=torch.tensor([0, 1, 2]))


class Exploding(VectorField):
    """y' = y^2 + x + b: infinite in finite time, in padding too."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.offset = nn.Parameter(torch.zeros(1, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return x + self.offset

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return y * y + u


def test_padding_of_a_traced_call_neither_diverges_nor_is_read() -> None:
    """It holds what is infinite, and a sequence that went on in it would be too, and spoil the parameter's gradient."""
    rnn, lengths = ODERNN(Exploding(), "rk4", dt=1.0), torch.tensor([12, 2])
    x = torch.tensor([[0.0, 1.0]] * 12, dtype=DOUBLE).unsqueeze(-1)
    x[3:, 1] = float("inf")
    parameters = list(rnn.parameters())
    traced = make_fx(lambda x, lengths: outcome(rnn, x, parameters, lengths=lengths))(x, lengths)
    wanted = outcome(partial(by_hand, rnn), x, parameters, lengths=lengths)
    torch.testing.assert_close(traced(x, lengths), wanted, rtol=0, atol=1e-12)


class Stepped(nn.Module):
    """A layer whose lengths and steps are inputs of the exported program."""

    def __init__(self, rnn: ODERNN) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor, lengths: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        return self.rnn(x, lengths=lengths, dt=dt)  # pyright: ignore[reportReturnType]


def test_an_exported_program_has_any_length_batch_lengths_and_steps() -> None:
    module, given = Stepped(layer()), (samples(), LENGTHS, torch.rand(BATCH, TIME, dtype=DOUBLE))
    time, batch = torch.export.Dim("time", min=2), torch.export.Dim("batch", min=2)
    shapes = ({0: time, 1: batch}, {0: batch}, {0: batch, 1: time})
    program = torch.export.export(module, given, dynamic_shapes=shapes).module()
    other = (torch.randn(9, 2, 2, dtype=DOUBLE), torch.tensor([3, 9]), torch.rand(2, 9, dtype=DOUBLE))
    wanted = by_hand(module.rnn, other[0], lengths=other[1], dt=other[2])
    torch.testing.assert_close(program(*other), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [[6, 2, 4], LENGTHS])
def test_there_need_be_no_values_at_all(lengths: list[int] | Tensor) -> None:
    rnn = layer().to("meta")
    output, y_n = rnn(torch.empty(TIME, BATCH, 2, dtype=DOUBLE, device="meta"), lengths=lengths)
    assert output.shape == (TIME, BATCH, 4)
    assert y_n.shape == (1, BATCH, 4)
    with FakeTensorMode(allow_non_fake_inputs=True):
        given = {"lengths": torch.tensor([6, 2, 4])} if isinstance(lengths, Tensor) else {"lengths": lengths}
        assert layer()(torch.randn(TIME, BATCH, 2, dtype=DOUBLE), **given)[0].shape == (TIME, BATCH, 4)
