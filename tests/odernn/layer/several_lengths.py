"""Sequences of several lengths, together in each form that a call takes and each in a call of its own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from odernn import FIELDS, ODERNN, RecurrentState

DOUBLE = torch.float64
LENGTHS = [3, 5, 1, 3]
TIME, BATCH = max(LENGTHS), len(LENGTHS)
FORMS = ["lengths", "packed", "nested", "mask"]


def layer(field: str, solver: str, **options: Any) -> ODERNN:
    return ODERNN(FIELDS[field](2, 4, dtype=DOUBLE), solver, dt=0.3, **options)  # pyright: ignore[reportCallIssue]


def data() -> tuple[list[Tensor], Tensor]:
    """The sequences, and the states before them."""
    sequences = [torch.randn(length, 2, dtype=DOUBLE, requires_grad=True) for length in LENGTHS]
    return sequences, torch.randn(1, BATCH, 4, dtype=DOUBLE, requires_grad=True)


def holes() -> Tensor:
    """A mask (time, batch) with as many samples as the lengths say, not the first ones."""
    mask = torch.zeros(2 * TIME, BATCH, dtype=torch.bool)
    for b, length in enumerate(LENGTHS):
        mask[torch.randperm(2 * TIME)[:length], b] = True
    return mask


def together(rnn: ODERNN, sequences: Sequence[Tensor], y0: Tensor | RecurrentState, form: str) -> tuple[Any, Any]:
    """All in one call; the output of each sequence, and the states at the end."""
    padded = pad_sequence(list(sequences), padding_value=float("nan"))
    if form == "lengths":
        output, y_n = rnn(padded, y0, lengths=LENGTHS)  # pyright: ignore[reportCallIssue, reportArgumentType]
    elif form == "packed":
        packed, y_n = rnn(pack_padded_sequence(padded, torch.tensor(LENGTHS), enforce_sorted=False), y0)  # pyright: ignore
        output, lengths = pad_packed_sequence(packed)
        assert lengths.tolist() == LENGTHS
    elif form == "nested":
        nested, y_n = rnn(torch.nested.as_nested_tensor(list(sequences), layout=torch.jagged), y0)  # pyright: ignore
        return list(nested.unbind()), y_n
    else:
        mask = holes()
        rows = [torch.full((2 * TIME, 2), float("nan"), dtype=DOUBLE) for _ in sequences]
        rows = [row.index_put((mask[:, b],), sequences[b]) for b, row in enumerate(rows)]
        output, y_n = rnn(torch.stack(rows, dim=1), y0, mask=mask)  # pyright: ignore[reportCallIssue, reportArgumentType]
        return [output[mask[:, b], b] for b in range(BATCH)], y_n
    return [output[:length, b] for b, length in enumerate(LENGTHS)], y_n


def apart(rnn: ODERNN, sequences: Sequence[Tensor], y0: Tensor) -> tuple[list[Tensor], Tensor]:
    """One call for each."""
    found = [rnn(sequence.unsqueeze(1), y0[:, b : b + 1]) for b, sequence in enumerate(sequences)]
    return [output[:, 0] for output, _ in found if output is not None], torch.cat([y for _, y in found], dim=1)


def gradients(outputs: Sequence[Tensor], y_n: Tensor, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(0.5, 1.5, 4, dtype=DOUBLE)
    total = sum(((output.square() * weights).sum() for output in outputs), (y_n * weights).sin().sum())
    return torch.autograd.grad(total, given, materialize_grads=True)


def check(rnn: ODERNN, form: str, *, rounding: float = 1e-12) -> None:
    sequences, y0 = data()
    given = [*rnn.parameters(), *sequences, y0]
    found, wanted = together(rnn, sequences, y0, form), apart(rnn, sequences, y0)
    close = {"rtol": rounding, "atol": rounding}
    torch.testing.assert_close(found[0], wanted[0], **close)
    torch.testing.assert_close(found[1], wanted[1], **close)
    torch.testing.assert_close(gradients(*found, given), gradients(*wanted, given), rtol=rounding, atol=10 * rounding)
