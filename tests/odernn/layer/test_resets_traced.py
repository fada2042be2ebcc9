"""Law: a traced call takes any resets, of whose values the program knows nothing, in any layout, and gives the same."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from odernn import HOLDS, ODERNN, AntisymmetricField, AntisymmetricRNN, UnstructuredField, VectorField
from tests.pairs import chosen

DOUBLE = torch.float64
TIME, BATCH = 6, 3
LENGTHS, OTHER = [6, 2, 4], [1, 5, 6]
MASK = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 1]], dtype=torch.bool)
"""The second sequence has no sample."""
RESETS = torch.tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=torch.bool)
# torch's own, while it traces: a context variable of its decomposition tables, and its first use of jit.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
Network = ODERNN | AntisymmetricRNN
FEW = {
    "plain, none",
    "plain, lengths",
    "end, mask",
    "torch, lengths",
    "truncated, none",
    "truncated, mask",
    "stack, lengths",
}
"""The kind of a layer beside what tells its padding: each kind with one, and what tells it with several kinds."""


def layer(solver: str = "rk4", **options: Any) -> ODERNN:
    return ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), solver, dt=0.3, **options)


def a_stack() -> AntisymmetricRNN:
    return AntisymmetricRNN(2, 4, 2, bidirectional=True, dtype=DOUBLE)


def clocked(clocked_field: VectorField) -> ODERNN:
    return ODERNN(clocked_field, "heun", dt=0.3)


def samples() -> Tensor:
    return torch.randn(TIME, BATCH, 2, dtype=DOUBLE)


def outcome(rnn: Callable[..., Any], parameters: list[Tensor], x: Tensor, y0: Tensor, **given: Any) -> list[Tensor]:
    """Output, last states, and the gradients of a loss of both."""
    x, y0 = x.detach().requires_grad_(), y0.detach().requires_grad_()
    output, y_n = rnn(x, y0, **given)
    total = y_n.sin().sum() + (0 if output is None else output.square().sum())
    found = [*([] if output is None else [output]), y_n]
    return found + list(torch.autograd.grad(total, [x, y0, *parameters], materialize_grads=True))


NAMED = {"none": {}, "lengths": {"lengths": torch.tensor(LENGTHS)}, "mask": {"mask": MASK}}
KINDS: dict[str, tuple[Callable[[], Network], dict[str, Any]]] = {
    "plain": (layer, {}),
    "end": (layer, {"save": "end"}),
    "torch": (partial(layer, engine="torch"), {}),
    "truncated": (partial(layer, "heun", adjoint="autograd"), {"truncate": 4}),
    "stack": (a_stack, {}),
}


@chosen("row", [f"{kind}, {name}" for kind in KINDS for name in NAMED], lambda row: row in FEW)
def test_resets_are_inputs_of_the_program(row: str) -> None:
    kind, _, name = row.partition(", ")
    (make, options), named = KINDS[kind], NAMED[name]
    rnn, dt = make(), torch.rand(BATCH, TIME, dtype=DOUBLE) + 0.1
    y0 = torch.randn(1 if isinstance(rnn, ODERNN) else 4, BATCH, 4, dtype=DOUBLE)

    def run(x: Tensor, y0: Tensor, resets: Tensor, dt: Tensor, named: dict[str, Tensor]) -> list[Tensor]:
        return outcome(rnn, list(rnn.parameters()), x, y0, resets=resets, dt=dt, **named, **options)

    x, traced = samples(), make_fx(run)(samples(), y0, RESETS, dt, named)
    for resets in (RESETS, RESETS.flip(0), torch.zeros_like(RESETS), torch.ones_like(RESETS)):
        torch.testing.assert_close(traced(x, y0, resets, dt, named), run(x, y0, resets, dt, named), rtol=0, atol=1e-12)


def test_time_starts_afresh_in_the_program_too(clocked_field: VectorField) -> None:
    rnn, times = ODERNN(clocked_field, "heun", dt=0.3), torch.rand(BATCH, TIME, dtype=DOUBLE).cumsum(1)

    def run(x: Tensor, resets: Tensor, times: Tensor) -> Tensor:
        return rnn(x, resets=resets, timestamps=times)[0]  # pyright: ignore[reportReturnType]

    traced = make_fx(run)(samples(), RESETS, times)
    for resets in (RESETS, RESETS.flip(0)):
        x = samples()
        torch.testing.assert_close(traced(x, resets, times), run(x, resets, times), rtol=0, atol=1e-12)


def compiled_once(run: Callable[..., Any], *calls: tuple[Any, ...]) -> None:
    """Each call of the program that the first was compiled to gives what the function gives."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(run, fullgraph=True, backend="eager")
    for given in calls:
        torch.testing.assert_close(compiled(*given), run(*given), rtol=0, atol=1e-12)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("engine", ["torch", pytest.param("auto", marks=pytest.mark.full)])
def test_a_compiled_call_breaks_nowhere_and_serves_all_resets(engine: str) -> None:
    rnn, y0 = layer(engine=engine), torch.randn(1, BATCH, 4, dtype=DOUBLE)
    parameters = list(rnn.parameters())
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(rnn, fullgraph=True, backend="eager")
    for resets in (RESETS, RESETS.flip(0)):
        x = samples()
        found = outcome(compiled, parameters, x, y0, resets=resets)
        torch.testing.assert_close(found, outcome(rnn, parameters, x, y0, resets=resets), rtol=0, atol=1e-12)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def packed(lengths: list[int]) -> PackedSequence:
    return pack_padded_sequence(samples(), torch.tensor(lengths), enforce_sorted=False)


@pytest.mark.parametrize("engine", ["auto", pytest.param("torch", marks=pytest.mark.full)])
def test_a_packed_sequence_goes_through_a_compiled_program(engine: str) -> None:
    """In and out, with resets and without; as many samples in all, or the first dimension would be another."""
    rnn = layer(engine=engine)

    def run(x: PackedSequence, y0: Tensor, resets: Tensor) -> tuple[Tensor, ...]:
        output, y_n = rnn(x, y0)
        again, _ = rnn(output._replace(data=output.data[:, :2]), resets=resets)  # pyright: ignore
        return *output, y_n, again.data  # pyright: ignore[reportReturnType]

    y0 = torch.randn(1, BATCH, 4, dtype=DOUBLE)
    compiled_once(run, (packed(LENGTHS), y0, RESETS), (packed(OTHER), y0, RESETS.flip(1)))
    whole = torch.compile(rnn, fullgraph=True, backend="eager")
    x = packed(LENGTHS)
    found, wanted = whole(x)[0], rnn(x)[0]
    assert isinstance(found, PackedSequence)
    torch.testing.assert_close(list(found), list(wanted))
    padded = pack_padded_sequence(samples(), torch.tensor([6, 4, 2]))
    with pytest.raises(Exception, match="enforce_sorted=False"):
        whole(padded)


def test_a_nested_tensor_goes_through_a_compiled_program() -> None:
    """Resets beside it want sizes that are symbols from the first call on, as its own length is one."""
    rnn = layer()

    def run(x: Tensor, resets: Tensor) -> tuple[Tensor, ...]:
        output, y_n = rnn(x)
        return output.values(), y_n, rnn(x, resets=resets)[0].values()  # pyright: ignore

    rows = [torch.randn(length, 2, dtype=DOUBLE) for length in LENGTHS]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    torch.compiler.reset()
    compiled = torch.compile(run, fullgraph=True, backend="eager", dynamic=True)
    torch.testing.assert_close(compiled(nested, RESETS), run(nested, RESETS), rtol=0, atol=1e-12)


def test_a_state_goes_on_through_a_compiled_program() -> None:
    rnn = layer()

    def run(x: Tensor, resets: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        output, state = rnn(x, rnn.initial_state(BATCH), resets=resets)
        further, end = rnn(x, state, lengths=lengths, resets=resets.flip(1))
        return output, further, end.y, torch.as_tensor(end.t)  # pyright: ignore[reportReturnType]

    calls = [(samples(), RESETS, torch.tensor(LENGTHS)), (samples(), RESETS.flip(0), torch.tensor(OTHER))]
    compiled_once(run, *calls)


class WithResets(nn.Module):
    """A layer whose resets are an input of the exported program."""

    def __init__(self, rnn: ODERNN) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor, resets: Tensor) -> tuple[Tensor, Tensor]:
        return self.rnn(x, resets=resets)  # pyright: ignore[reportReturnType]


@pytest.mark.kernels
def test_an_exported_program_has_any_length_batch_and_resets() -> None:
    module = WithResets(layer())
    time, batch = torch.export.Dim("time", min=2), torch.export.Dim("batch", min=2)
    shapes = {0: time, 1: batch}
    program = torch.export.export(module, (samples(), RESETS), dynamic_shapes=(shapes, shapes)).module()
    other = (torch.randn(9, 2, 2, dtype=DOUBLE), torch.rand(9, 2) < 0.3)
    torch.testing.assert_close(program(*other), module(*other), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({"hold": "linear"}, {"resets": RESETS}, "`resets` with the hold"),
        ({"solver": "leapfrog-midpoint"}, {"resets": RESETS}, "which carries more than the state"),
        ({"solver": "leapfrog-midpoint"}, {"lengths": torch.tensor(LENGTHS), "state": True}, "beside a state as `y0`"),
    ],
)
def test_what_has_no_program_is_said(options: dict[str, Any], given: dict[str, Any], message: str) -> None:
    rnn, given = layer(**options), dict(given)
    y0 = rnn.initial_state(BATCH) if given.pop("state", False) else None
    with pytest.raises(ValueError, match=message):
        make_fx(lambda x: rnn(x, y0, **given)[0])(samples())


def test_padding_beside_resets_neither_diverges_nor_is_read() -> None:
    rnn = ODERNN(UnstructuredField(2, 4, dtype=DOUBLE), "euler", dt=0.3)
    x, lengths = samples(), torch.tensor(LENGTHS)
    x[2:, 1] = float("nan")
    parameters, y0 = list(rnn.parameters()), torch.zeros(1, BATCH, 4, dtype=DOUBLE)

    def run(x: Tensor, lengths: Tensor, resets: Tensor) -> list[Tensor]:
        return outcome(rnn, parameters, x, y0, lengths=lengths, resets=resets)

    traced = make_fx(run)(x, lengths, RESETS)
    torch.testing.assert_close(traced(x, lengths, RESETS), run(x, lengths, RESETS), rtol=0, atol=1e-12)


def test_every_hold_runs_where_no_sequence_starts_afresh() -> None:
    """A mask in the program does not want the form with resets."""
    for hold in HOLDS:
        rnn, x = layer(hold=hold), samples()
        found = make_fx(lambda x, mask: rnn(x, mask=mask)[0])(x, MASK)(x, MASK)  # noqa: B023 - called within the loop
        torch.testing.assert_close(found, rnn(x, mask=MASK)[0], rtol=0, atol=1e-12)
