"""Lengths, masks and resets that are wrong are named."""

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from odernn import ODERNN, AntisymmetricField


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"lengths": [1, 2]}, ValueError, "`lengths` has 2 entries and `x` a batch of 3"),
        ({"lengths": [1, 0, 2]}, ValueError, "`lengths` at 1 is 0 .* left out of the batch"),
        ({"lengths": [1, 2, 6]}, ValueError, "`lengths` at 2 is 6 and `x` has 5 samples"),
        ({"lengths": torch.ones(3)}, TypeError, "`lengths` has dtype torch.float32"),
        ({"lengths": [1, 2, 3], "mask": torch.ones(5, 3, dtype=torch.bool)}, ValueError, "`lengths` and `mask`"),
        ({"mask": torch.ones(3, 5, dtype=torch.bool)}, ValueError, r"`mask` has shape \(3, 5\).* give \(5, 3\)"),
        ({"mask": torch.ones(5, 3)}, TypeError, "`mask` has dtype torch.float32"),
        ({"resets": torch.ones(5, 4, dtype=torch.bool)}, ValueError, r"`resets` has shape \(5, 4\)"),
        ({"truncate": 0}, ValueError, "`truncate` is 0"),
        ({"truncate": 2, "dt": torch.ones(6)}, ValueError, r"`dt` has shape \(6,\)"),
        ({"lengths": [1, 2, 3], "dt": torch.zeros(3, 5)}, ValueError, "`dt` has the entry 0"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], error: type[Exception], said: str) -> None:
    rnn = ODERNN(AntisymmetricField(2, 4), "euler", dt=0.1)
    with pytest.raises(error, match=said):
        rnn(torch.randn(5, 3, 2), **change)


def test_a_packed_or_nested_input_has_lengths_of_its_own() -> None:
    rnn, x = ODERNN(AntisymmetricField(2, 4), "euler", dt=0.1), torch.randn(5, 3, 2)
    with pytest.raises(ValueError, match="`lengths` is given and `x` is packed"):
        rnn(pack_padded_sequence(x, torch.tensor([5, 3, 2])), lengths=[5, 3, 2])  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="`mask` is given and `x` is nested"):
        rnn(torch.nested.as_nested_tensor([x[0], x[1]], layout=torch.jagged), mask=torch.ones(3, 2))
    with pytest.raises(ValueError, match="`x` has 3 features"):
        rnn(pack_padded_sequence(torch.randn(5, 3, 3), torch.tensor([5, 3, 2])))


def test_only_samples_that_count_must_be_finite() -> None:
    rnn = ODERNN(AntisymmetricField(2, 4), "euler", dt=0.1, check_input=True)
    x = torch.randn(5, 3, 2)
    x[3, 1] = float("nan")
    rnn(x, lengths=[5, 3, 4])
    with pytest.raises(ValueError, match="first in sequence 1 at sample 3"):
        rnn(x, lengths=[5, 4, 4])
