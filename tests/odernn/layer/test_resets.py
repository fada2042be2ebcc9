"""Law: after a reset a sequence gives what the episode gives by itself."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from odernn import HOLDS, ODERNN, AntisymmetricField, HamiltonianField, LipschitzField, VectorField
from tests.pairs import crossed

DOUBLE = torch.float64
TIME, BATCH = 7, 4
RESETS = torch.tensor(
    [
        [0, 0, 1, 0, 0, 0, 0],
        [1, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 1],
    ],
    dtype=torch.bool,
).T
SCHEMES = [
    (AntisymmetricField, "rk4"),
    (AntisymmetricField, "leapfrog-midpoint"),
    (AntisymmetricField, "adams-bashforth3"),
    (AntisymmetricField, "asynchronous-leapfrog"),
    (AntisymmetricField, "implicit-midpoint"),
    (HamiltonianField, "leapfrog"),
    (LipschitzField, "etdrk2"),
]


def episodes(b: int, length: int = TIME) -> list[tuple[int, int, bool]]:
    """First sample, end, and whether it starts afresh, of the episodes of a sequence."""
    starts = [0, *(n for n in range(1, length) if RESETS[n, b])]
    return [(a, e, a > 0 or bool(RESETS[0, b])) for a, e in pairwise([*starts, length])]


def apart(rnn: ODERNN, x: Tensor, y0: Tensor, **steps: Tensor) -> tuple[Tensor, Tensor]:
    """Every episode in a call of its own."""
    outputs, ends = [], []
    for b in range(BATCH):
        y, parts = y0[:, b : b + 1], []
        for first, end, fresh in episodes(b):
            given = {name: value[b : b + 1, first:end] for name, value in steps.items()}
            part, y = rnn(x[first:end, b : b + 1], None if fresh else y0[:, b : b + 1], **given)  # pyright: ignore
            parts.append(part)
        outputs.append(torch.cat(parts))
        ends.append(y)
    return torch.cat(outputs, dim=1), torch.cat(ends, dim=1)


def gradients(found: tuple[Tensor, Tensor], given: list[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(0.5, 1.5, 4, dtype=DOUBLE)
    total = (found[0].square() * weights).sum() + (found[1] * weights).sin().sum()
    return torch.autograd.grad(total, given, materialize_grads=True)


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(TIME, BATCH, 2, dtype=DOUBLE, requires_grad=True)
    return x, torch.randn(1, BATCH, 4, dtype=DOUBLE, requires_grad=True)


@crossed(
    {
        "kind, solver": SCHEMES,
        "hold": list(HOLDS),
        "adjoint, engine": [
            ("auto", "auto"),
            ("auto", "torch"),
            ("autograd", "auto"),
            ("checkpointed", "torch"),
            ("discrete", "torch"),
        ],
    },
    where=lambda scheme, hold, run: scheme[1] != "implicit-midpoint" or run == ("auto", "auto"),
)
def test_an_episode_is_as_if_alone(kind: Any, solver: str, hold: str, adjoint: str, engine: str) -> None:
    rnn = ODERNN(kind(2, 4, dtype=DOUBLE), solver, dt=0.3, hold=hold, adjoint=adjoint, engine=engine)
    x, y0 = data()
    given = [*rnn.parameters(), x, y0]
    found, wanted = rnn(x, y0, resets=RESETS), apart(rnn, x, y0)
    # products of other numbers of rows are summed otherwise
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients(found, given), gradients(wanted, given), rtol=0, atol=1e-11)


@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint"])
@pytest.mark.parametrize("given", ["dt", "timestamps", None])
def test_time_starts_afresh_too(given: str | None, solver: str, clocked_field: VectorField) -> None:
    rnn, (x, y0) = ODERNN(clocked_field, solver, dt=0.2, hold="linear"), data()
    steps = 0.1 + torch.rand(BATCH, TIME, dtype=DOUBLE)
    named = {} if given is None else {given: steps if given == "dt" else steps.cumsum(1)}
    torch.testing.assert_close(rnn(x, y0, resets=RESETS, **named), apart(rnn, x, y0, **named), rtol=0, atol=1e-12)


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint", "asynchronous-leapfrog"])
@pytest.mark.parametrize("split", [1, 3, 6])
def test_chunks_with_resets_are_one_call(split: int, solver: str, hold: str) -> None:
    """Wherever the chunks meet, at a reset or not."""
    rnn, (x, _) = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), solver, dt=0.3, hold=hold), data()
    whole, end = rnn(x, rnn.initial_state(BATCH), resets=RESETS)
    first, state = rnn(x[:split], rnn.initial_state(BATCH), resets=RESETS[:split])
    second, state = rnn(x[split:], state, resets=RESETS[split:])
    torch.testing.assert_close(torch.cat((first, second)), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(state.y, end.y, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.as_tensor(state.t), torch.as_tensor(end.t))


def test_a_state_that_has_no_common_form_is_refused() -> None:
    """After one step a method of three steps carries less than after three."""
    rnn, (x, _) = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), "adams-bashforth3", dt=0.3), data()
    with pytest.raises(ValueError, match="too short for the solver to have started"):
        rnn(x, rnn.initial_state(BATCH), resets=RESETS)


def test_resets_in_a_packed_sequence_and_with_lengths() -> None:
    rnn, (x, y0) = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), "rk4", dt=0.3), data()
    lengths = [5, 7, 2, 6]
    output, y_n = rnn(x, y0, lengths=lengths, resets=RESETS)
    packed, y_p = rnn(pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False), y0, resets=RESETS)
    torch.testing.assert_close(pad_packed_sequence(packed)[0], output, rtol=0, atol=1e-12)
    torch.testing.assert_close(y_p, y_n, rtol=0, atol=1e-12)
    wanted, _ = apart(rnn, x, y0)  # causal: what comes after the length changes nothing before it
    for b, length in enumerate(lengths):
        torch.testing.assert_close(output[:length, b], wanted[:length, b], rtol=0, atol=1e-12)


def test_a_reset_at_a_masked_sample_counts_for_the_next() -> None:
    rnn, x = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), "rk4", dt=0.3), torch.randn(5, 1, 2, dtype=DOUBLE)
    mask = torch.tensor([[True, False, True, True, False]]).T
    late, early = torch.zeros(5, 1, dtype=torch.bool), torch.zeros(5, 1, dtype=torch.bool)
    early[1], late[2] = True, True
    found, wanted = rnn(x, mask=mask, resets=early)[0], rnn(x, mask=mask, resets=late)[0]
    assert torch.equal(found, wanted)
    torch.testing.assert_close(found[2:4], rnn(x[2:4])[0], rtol=0, atol=1e-12)
