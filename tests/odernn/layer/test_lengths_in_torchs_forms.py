"""Sequences of several lengths as torch has them: unbatched, packed, nested, under its transforms and second passes."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jacfwd, jacrev, stack_module_state, vmap
from torch.nn.utils.rnn import pack_padded_sequence

from odernn import ODERNN, AffinePointwiseField, AntisymmetricField
from odernn.layer.segments import cuts
from tests.odernn.layer.several_lengths import BATCH, DOUBLE, LENGTHS, TIME, gradients, layer


def test_unbatched_and_batch_first() -> None:
    rnn, x = layer("antisymmetric", "rk4"), torch.randn(5, 3, 2, dtype=DOUBLE)
    output, y_n = rnn(x[:, 0], lengths=[3])
    assert output.shape == (5, 4)
    assert y_n.shape == (1, 4)
    first = copy.deepcopy(rnn)
    first.batch_first = True
    mask = torch.rand(5, 3) < 0.6
    torch.testing.assert_close(first(x.transpose(0, 1), mask=mask.T)[0].transpose(0, 1), rnn(x, mask=mask)[0])


@pytest.mark.parametrize("sorted_", [True, False])
def test_a_packed_sequence_comes_back_as_torchs(sorted_: bool) -> None:
    rnn, theirs = ODERNN(AntisymmetricField(2, 4), "euler", dt=0.1), torch.nn.RNN(2, 4)
    x = pack_padded_sequence(torch.randn(5, 3, 2), torch.tensor([5, 3, 2]), enforce_sorted=sorted_)
    ours, _ = rnn(x)
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        found, wanted = getattr(ours, name), getattr(theirs(x)[0], name)
        assert found is wanted is None or torch.equal(found, wanted)


class Counting(AffinePointwiseField):
    """A field that counts how often its weight is built."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.map = torch.nn.Linear(2, 4)
        self.matrix = torch.nn.Parameter(torch.randn(4, 4))
        self.built = 0

    def control(self, x: Tensor) -> Tensor:
        return self.map(x)

    def weight(self) -> Tensor:
        self.built += 1
        return self.matrix - self.matrix.T

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u)


def test_the_weight_is_built_once_for_all_pieces() -> None:
    """Two pieces, of which the short sequences of the first are many."""
    field = Counting()
    rnn, lengths = ODERNN(field, "rk4", dt=0.1), [60] + [2] * 40
    assert len(cuts(lengths, everywhere=False)) == 2
    _, y_n = rnn(torch.randn(60, 41, 2), lengths=lengths)
    assert field.built == 1
    y_n.square().sum().backward()
    assert field.matrix.grad is not None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")  # torch's own
def test_under_transforms() -> None:
    """An ensemble of weights, and jacobians in both modes."""
    rnns, x = [layer("antisymmetric", "rk4") for _ in range(2)], torch.randn(TIME, BATCH, 2, dtype=DOUBLE)
    parameters, buffers = stack_module_state(rnns)  # pyright: ignore[reportArgumentType]
    base = copy.deepcopy(rnns[0])
    found = vmap(lambda p, b: functional_call(base, (p, b), (x,), {"lengths": LENGTHS})[0])(parameters, buffers)
    torch.testing.assert_close(found, torch.stack([rnn(x, lengths=LENGTHS)[0] for rnn in rnns]))
    wanted = torch.autograd.functional.jacobian(lambda x: base(x, lengths=LENGTHS)[0], x)
    for transform in (jacrev, jacfwd):
        torch.testing.assert_close(transform(lambda x: base(x, lengths=LENGTHS)[0])(x), wanted)


@pytest.mark.parametrize("form", ["lengths", "mask"])
def test_the_output_may_be_written_into(form: str) -> None:
    rnn, x, results = layer("antisymmetric", "rk4"), torch.randn(TIME, BATCH, 2, dtype=DOUBLE), []
    given: dict[str, Any] = {"lengths": LENGTHS} if form == "lengths" else {"mask": torch.rand(TIME, BATCH) < 0.6}
    for in_place in (False, True):
        output, y_n = rnn(x, **given)
        output, y_n = (output.relu_(), y_n.mul_(2)) if in_place else (output.relu(), y_n * 2)
        results.append(gradients([output], y_n, list(rnn.parameters())))
    torch.testing.assert_close(results[0], results[1])


def test_second_derivatives() -> None:
    rnn = layer("antisymmetric", "rk4", adjoint="autograd")
    x = torch.randn(TIME, BATCH, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: rnn(x, lengths=LENGTHS)[0], (x,), fast_mode=True)


def test_under_the_continuous_adjoint() -> None:
    """One sequence and padding: of a batch this adjoint integrates the sum, to its own error."""
    rnn, x = layer("antisymmetric", "rk4", adjoint="continuous"), torch.randn(TIME, 1, 2, dtype=DOUBLE)
    output, y_n = rnn(x, lengths=[3])
    found = gradients([output[:3]], y_n, list(rnn.parameters()))
    output, y_n = rnn(x[:3])
    torch.testing.assert_close(found, gradients([output], y_n, list(rnn.parameters())), rtol=0, atol=1e-13)


def test_a_nested_tensor_with_gaps() -> None:
    rnn, x = layer("antisymmetric", "rk4"), torch.randn(3, 6, 2, dtype=DOUBLE)
    starts, lengths = torch.tensor([0, 2, 1]), torch.tensor([4, 3, 5])
    nested = torch.nested.narrow(x, 1, starts, lengths, layout=torch.jagged)
    output, _ = rnn(nested)
    for b, found in enumerate(output.unbind()):
        wanted, _ = rnn(x[b, starts[b] : starts[b] + lengths[b]])
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
