"""Law: a traced call takes any resets, of whose values the program knows nothing, in any layout.

It gives what a plain loop gives, and not only what the same code gives untraced.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from odernn import HOLDS, ODERNN, AntisymmetricField, AntisymmetricRNN, UnstructuredField, VectorField
from tests.odernn.layer.by_hand import Given, by_hand, stack_by_hand, walk
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
ROUNDING = {"rtol": 0, "atol": 1e-12}
"""Sums of some twenty products of numbers of about one, in another order."""
FEW = {"plain, none", "end, mask", "torch, lengths", "truncated, mask", "stack, lengths"}
"""The kind of a layer beside what tells its padding: every kind and every way to tell it."""


def layer(solver: str = "rk4", **options: Any) -> ODERNN:
    return ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), solver, dt=0.3, **options)


def a_stack() -> AntisymmetricRNN:
    return AntisymmetricRNN(2, 4, 2, bidirectional=True, dtype=DOUBLE)


def samples() -> Tensor:
    return torch.randn(TIME, BATCH, 2, dtype=DOUBLE)


def loop(rnn: Network) -> Callable[..., tuple[Tensor | None, Tensor]]:
    """The network as a plain loop."""
    return partial(by_hand, rnn) if isinstance(rnn, ODERNN) else partial(stack_by_hand, rnn)


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

    def run(
        each: Callable[..., Any], x: Tensor, y0: Tensor, resets: Tensor, dt: Tensor, named: dict[str, Tensor]
    ) -> list[Tensor]:
        return outcome(each, list(rnn.parameters()), x, y0, resets=resets, dt=dt, **named, **options)

    x, traced = samples(), make_fx(partial(run, rnn))(samples(), y0, RESETS, dt, named)
    for resets in (RESETS, RESETS.flip(0), torch.zeros_like(RESETS), torch.ones_like(RESETS)):
        given = x, y0, resets, dt, named
        torch.testing.assert_close(traced(*given), run(loop(rnn), *given), **ROUNDING)


def test_time_starts_afresh_in_the_program_too(clocked_field: VectorField) -> None:
    rnn, times = ODERNN(clocked_field, "heun", dt=0.3), torch.rand(BATCH, TIME, dtype=DOUBLE).cumsum(1)

    def run(x: Tensor, resets: Tensor, times: Tensor) -> Tensor:
        return rnn(x, resets=resets, timestamps=times)[0]  # pyright: ignore[reportReturnType]

    traced = make_fx(run)(samples(), RESETS, times)
    for resets in (RESETS, RESETS.flip(0)):
        x = samples()
        wanted, _ = by_hand(rnn, x, resets=resets, timestamps=times)
        torch.testing.assert_close(traced(x, resets, times), wanted, **ROUNDING)


def compiled_once(run: Callable[..., Any], wanted: Callable[..., Any], *calls: tuple[Any, ...]) -> None:
    """Each call of the program that the first was compiled to gives what is wanted."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(run, fullgraph=True, backend="eager")
    for given in calls:
        torch.testing.assert_close(compiled(*given), wanted(*given), **ROUNDING)
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
        torch.testing.assert_close(found, outcome(loop(rnn), parameters, x, y0, resets=resets), **ROUNDING)
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

    def wanted(x: PackedSequence, y0: Tensor, resets: Tensor) -> tuple[Tensor, ...]:
        padded, lengths = pad_packed_sequence(x)
        output, y_n = by_hand(rnn, padded, y0, lengths=lengths)
        assert output is not None
        again, _ = by_hand(rnn, output[..., :2], resets=resets, lengths=lengths)
        assert again is not None
        data = [pack_padded_sequence(each, lengths, enforce_sorted=False).data for each in (output, again)]
        return *x._replace(data=data[0]), y_n, data[1]  # pyright: ignore[reportReturnType]

    y0 = torch.randn(1, BATCH, 4, dtype=DOUBLE)
    compiled_once(run, wanted, (packed(LENGTHS), y0, RESETS), (packed(OTHER), y0, RESETS.flip(1)))
    whole = torch.compile(rnn, fullgraph=True, backend="eager")
    x = packed(LENGTHS)
    found, same = whole(x)[0], rnn(x)[0]
    assert isinstance(found, PackedSequence)
    torch.testing.assert_close(list(found), list(same))
    padded = pack_padded_sequence(samples(), torch.tensor([6, 4, 2]))
    with pytest.raises(Exception, match="enforce_sorted=False"):
        whole(padded)


def test_a_nested_tensor_goes_through_a_compiled_program() -> None:
    """Resets beside it want sizes that are symbols from the first call on, as its own length is one."""
    rnn = layer()

    def run(x: Tensor, resets: Tensor) -> tuple[Tensor, ...]:
        output, y_n = rnn(x)
        return output.values(), y_n, rnn(x, resets=resets)[0].values()  # pyright: ignore

    x = samples()
    rows = [x[:length, b] for b, length in enumerate(LENGTHS)]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    torch.compiler.reset()
    compiled = torch.compile(run, fullgraph=True, backend="eager", dynamic=True)
    plain, y_n = by_hand(rnn, x, lengths=LENGTHS)
    parted, _ = by_hand(rnn, x, lengths=LENGTHS, resets=RESETS)
    assert plain is not None
    assert parted is not None
    values = [torch.cat([each[:length, b] for b, length in enumerate(LENGTHS)]) for each in (plain, parted)]
    torch.testing.assert_close(compiled(nested, RESETS), (values[0], y_n, values[1]), **ROUNDING)


def test_a_state_goes_on_through_a_compiled_program() -> None:
    rnn = layer()

    def run(x: Tensor, resets: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        output, state = rnn(x, rnn.initial_state(BATCH), resets=resets)
        further, end = rnn(x, state, lengths=lengths, resets=resets.flip(1))
        return output, further, end.y, torch.as_tensor(end.t).flatten()  # pyright: ignore[reportReturnType]

    def wanted(x: Tensor, resets: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        output, y, t = walk(rnn, x, x.new_zeros(BATCH, 4), x.new_zeros(BATCH), Given(resets))
        further, *ends = walk(rnn, x, y, t, Given(resets.flip(1), lengths))
        return output, further, *ends  # pyright: ignore[reportReturnType]

    calls = [(samples(), RESETS, torch.tensor(LENGTHS)), (samples(), RESETS.flip(0), torch.tensor(OTHER))]
    compiled_once(run, wanted, *calls)


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
    torch.testing.assert_close(program(*other), by_hand(module.rnn, other[0], resets=other[1]), **ROUNDING)


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

    def run(each: Callable[..., Any], x: Tensor, lengths: Tensor, resets: Tensor) -> list[Tensor]:
        return outcome(each, parameters, x, y0, lengths=lengths, resets=resets)

    traced, given = make_fx(partial(run, rnn))(x, lengths, RESETS), (x, lengths, RESETS)
    torch.testing.assert_close(traced(*given), run(loop(rnn), *given), **ROUNDING)


def test_every_hold_runs_where_no_sequence_starts_afresh() -> None:
    """A mask in the program does not want the form with resets; a sequence without a sample ends where it began."""
    y0 = torch.randn(1, BATCH, 4, dtype=DOUBLE)
    for hold in HOLDS:
        rnn, x = layer(hold=hold), samples()
        found = make_fx(lambda x, mask: rnn(x, y0, mask=mask))(x, MASK)(x, MASK)  # noqa: B023 - called within the loop
        torch.testing.assert_close(found, by_hand(rnn, x, y0, mask=MASK), **ROUNDING)
