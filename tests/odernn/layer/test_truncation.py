"""Law: a truncated call is a loop over chunks that detaches the state between them, in numbers and in gradients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from odernn import HOLDS, ODERNN, AntisymmetricField, LipschitzField, RecurrentState, StackedODERNN, StackedState
from tests.pairs import crossed

DOUBLE = torch.float64
TIME, BATCH, LENGTHS = 7, 4, [5, 7, 3, 6]
RESETS = torch.zeros(TIME, BATCH, dtype=torch.bool)
RESETS[[2, 0, 3, 4, 1, 6], [0, 1, 1, 1, 3, 3]] = True
Network = ODERNN | StackedODERNN
Result = tuple[Tensor, Tensor]


def layer(solver: str = "rk4", **options: Any) -> ODERNN:
    return ODERNN(LipschitzField(2, 4, dtype=DOUBLE), solver, dt=0.3, **options)


def a_stack() -> StackedODERNN:
    """Of two layers, whose chunks meet at the same samples."""
    upper = AntisymmetricField(4, 4, dtype=DOUBLE)
    return StackedODERNN([layer("heun"), ODERNN(upper, "leapfrog-midpoint", dt=0.2, hold="linear")])


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(TIME, BATCH, 2, dtype=DOUBLE, requires_grad=True)
    return x, torch.randn(1, BATCH, 4, dtype=DOUBLE, requires_grad=True)


def y_of(state: RecurrentState | StackedState) -> Tensor:
    return state.y.unsqueeze(0) if isinstance(state, RecurrentState) else torch.stack([each.y for each in state.layers])


def loop(rnn: Network, x: Tensor, state: Any, every: int, **steps: Tensor) -> tuple[Result, Any]:
    """The chunks one by one; output and last states, and the whole state."""
    parts = []
    for first in range(0, TIME, every):
        some = slice(first, first + every)
        given = {name: value[:, some] for name, value in steps.items()}
        part, state = rnn(x[some], state.detach() if first else state, **given)
        parts.append(part)
    return (torch.cat(parts), y_of(state)), state


def ragged_loop(rnn: ODERNN, x: Tensor, y0: Tensor, every: int) -> Result:
    """Of sequences of several lengths with resets, each by itself: it ends with its last sample, not with a chunk."""
    outputs, ends = [], []
    for b, length in enumerate(LENGTHS):
        state, parts = RecurrentState(y0[0, b : b + 1]), []
        for n in range(length):
            state = state.detach() if n and n % every == 0 else state
            state = rnn.initial_state() if RESETS[n, b] else state
            part, state = rnn(x[n : n + 1, b : b + 1], state)
            parts.append(part)
        outputs.append(torch.cat([*parts, torch.zeros(TIME - length, 1, 4, dtype=DOUBLE)]))
        ends.append(state.y)
    return torch.cat(outputs, dim=1), torch.cat(ends).unsqueeze(0)


def gradients(found: Result, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(0.5, 1.5, 4, dtype=DOUBLE)
    total = (found[0].square() * weights).sum() + (found[1] * weights).sin().sum()
    return torch.autograd.grad(total, given, materialize_grads=True, retain_graph=True)


def check(found: Result, wanted: Result, given: Sequence[Tensor]) -> None:
    # products of other numbers of rows are summed otherwise
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients(found, given), gradients(wanted, given), rtol=0, atol=1e-12)


RUNS = {
    "hold": list(HOLDS),
    "every": [1, 3, 7, 50],
    "adjoint, engine": [
        ("auto", "auto"),
        ("auto", "torch"),
        ("autograd", "auto"),
        ("checkpointed", "auto"),
        ("discrete", "torch"),
    ],
}


@crossed({"solver": ["rk4", "leapfrog-midpoint", "etdrk2", "adams-bashforth3"]} | RUNS)
def test_one_call_is_a_loop_that_detaches(solver: str, hold: str, every: int, adjoint: str, engine: str) -> None:
    rnn, (x, y0) = layer(solver, hold=hold, adjoint=adjoint, engine=engine), data()
    wanted, _ = loop(rnn, x, RecurrentState(y0[0]), every)
    check(rnn(x, y0, truncate=every), wanted, [*rnn.parameters(), x, y0])


@crossed({"solver": ["rk4", "leapfrog-midpoint", "etdrk2"]} | RUNS)
def test_with_lengths_and_resets(solver: str, hold: str, every: int, adjoint: str, engine: str) -> None:
    """A sequence that has ended is not cut off from its last samples by what comes after it in others."""
    rnn, (x, y0) = layer(solver, hold=hold, adjoint=adjoint, engine=engine), data()
    given = [*rnn.parameters(), x, y0]
    found, wanted = rnn(x, y0, lengths=LENGTHS, resets=RESETS, truncate=every), ragged_loop(rnn, x, y0, every)
    check(found, wanted, given)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    output, y_n = rnn(packed, y0, resets=RESETS, truncate=every)
    check((pad_packed_sequence(output)[0], y_n), wanted, given)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("make", [layer, a_stack])
def test_a_call_continues_from_a_state_and_may_be_continued(make: Any, every: int) -> None:
    """The state that is given has its gradient, and the one that is returned that of the last chunk."""
    rnn, (x, _) = make(), data()
    first = torch.randn(2, BATCH, 2, dtype=DOUBLE, requires_grad=True)
    _, state = rnn(first, rnn.initial_state(BATCH))
    (output, _), after = loop(rnn, x, state, every)
    found, end = rnn(x, state, truncate=every)
    check((found, y_of(end)), (output, y_of(after)), [*rnn.parameters(), x, first])


def test_steps_that_are_learned_and_differ() -> None:
    rnn, (x, y0) = layer("heun", hold="linear"), data()
    dt = (torch.rand(BATCH, TIME, dtype=DOUBLE) + 0.1).requires_grad_()
    wanted, _ = loop(rnn, x, RecurrentState(y0[0]), 3, dt=dt)
    check(rnn(x, y0, dt=dt, truncate=3), wanted, [x, y0, dt])


def test_both_directions_are_counted_from_where_they_begin() -> None:
    networks, (x, _) = [layer("heun"), layer("heun")], data()
    both, given = StackedODERNN(networks[:1], reverse=networks[1:]), [x, *networks[0].parameters()]
    forward, _ = loop(networks[0], x, networks[0].initial_state(BATCH), 3)
    backward, _ = loop(networks[1], x.flip(0), networks[1].initial_state(BATCH), 3)
    output, y_n = both(x, truncate=3)
    wanted = torch.cat((forward[0], backward[0].flip(0)), dim=-1), torch.cat((forward[1], backward[1]))
    weights = torch.randn(output.shape, dtype=DOUBLE)
    torch.testing.assert_close((output, y_n), wanted, rtol=0, atol=1e-12)
    found, wanted = (torch.autograd.grad((each * weights).sum(), given) for each in (output, wanted[0]))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@contextmanager
def counting() -> Iterator[list[int]]:
    """The numbers of all tensors that are saved for a backward pass."""
    sizes: list[int] = []

    def pack(saved: Tensor) -> Tensor:
        sizes.append(saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        yield sizes


@pytest.mark.parametrize("adjoint", ["auto", "autograd"])
def test_to_the_end_only_the_last_chunk_is_kept(adjoint: str) -> None:
    """Of a sequence ten times as long no more is."""
    rnn, saved = layer("heun", adjoint=adjoint), []
    for chunks in (1, 10):
        x = torch.randn(5 * chunks, BATCH, 2, dtype=DOUBLE)
        with counting() as sizes:
            rnn(x, truncate=5, save="end")
        saved.append(sum(sizes))
    assert 0 < saved[1] <= saved[0]
