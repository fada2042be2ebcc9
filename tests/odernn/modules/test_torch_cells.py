"""Law: torch.nn.RNN and torch.nn.GRU are Euler's method with dt = 1 on their fields, forward and backward."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from odernn import GRURNN, ODERNN, ElmanField, ElmanRNN, GRUField, from_torch
from odernn.fields.cells import CellField
from tests.pairs import crossed

DOUBLE = torch.float64
LENGTHS = torch.tensor([3, 5, 1, 4])
KINDS = {"rnn": nn.RNN, "rnn-relu": nn.RNN, "gru": nn.GRU}


def theirs(kind: str, **options: Any) -> nn.RNN | nn.GRU:
    options |= {"nonlinearity": "relu"} if kind == "rnn-relu" else {}
    return KINDS[kind](3, 4, dtype=DOUBLE, **options)


def plain(output: Tensor | PackedSequence) -> Tensor:
    return output.data if isinstance(output, PackedSequence) else output


@crossed(
    {
        "kind": list(KINDS),
        "layers": [1, 3],
        "bidirectional": [False, True],
        "bias": [False, True],
        "batch_first": [False, True],
        "form": ["batch", "single", "packed"],
        "start": [False, True],
    }
)
def test_the_numbers_are_torchs(
    kind: str, layers: int, bidirectional: bool, bias: bool, batch_first: bool, form: str, start: bool
) -> None:
    module = theirs(kind, num_layers=layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
    ours = from_torch(module)
    x = torch.randn((5, 3) if form == "single" else (4, 5, 3) if batch_first else (5, 4, 3), dtype=DOUBLE)
    states = layers * (2 if bidirectional else 1)
    y0 = torch.randn((states, 4) if form == "single" else (states, 4, 4), dtype=DOUBLE) if start else None
    given: Any = pack_padded_sequence(x, LENGTHS, batch_first, enforce_sorted=False) if form == "packed" else x
    found, wanted = ours(given, y0), module(given, y0)
    assert type(found[0]) is type(wanted[0])
    # y + (g - y) is g but for a rounding, which a few layers and steps carry on
    torch.testing.assert_close(plain(found[0]), plain(wanted[0]), rtol=0, atol=1e-14)
    torch.testing.assert_close(found[1], wanted[1], rtol=0, atol=1e-14)
    plain(found[0]).square().sum().backward()
    plain(wanted[0]).square().sum().backward()
    for network, suffix in zip(ours.layers, range(layers), strict=True):
        field = network.field  # pyright: ignore[reportAttributeAccessIssue]
        assert isinstance(field, CellField)
        hidden, inputs = (module.get_parameter(f"weight_{name}_l{suffix}").grad for name in ("hh", "ih"))
        torch.testing.assert_close(field.recurrent.weight.grad, hidden, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(field.input_map.weight.grad, inputs, rtol=1e-11, atol=1e-12)
        if bias:
            wanted_bias = module.get_parameter(f"bias_ih_l{suffix}").grad
            torch.testing.assert_close(field.input_map.bias.grad, wanted_bias, rtol=1e-11, atol=1e-12)
        if bias and isinstance(field, GRUField):
            candidate = module.get_parameter(f"bias_hh_l{suffix}").grad[8:]  # pyright: ignore[reportOptionalSubscript]
            assert field.candidate_bias is not None
            torch.testing.assert_close(field.candidate_bias.grad, candidate, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("ours", [ElmanRNN, GRURNN])
def test_it_loads_torchs_state_dict_and_its_own(ours: Any) -> None:
    module = (nn.RNN if ours is ElmanRNN else nn.GRU)(3, 4, 2, bidirectional=True)
    rnn, again = ours(3, 4, 2, bidirectional=True), ours(3, 4, 2, bidirectional=True)
    model = nn.Sequential(rnn)  # a prefix
    before = list(module.state_dict())
    model.load_state_dict({f"0.{name}": value for name, value in module.state_dict().items()})
    assert list(module.state_dict()) == before
    again.load_state_dict(rnn.state_dict())
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(rnn(x), module(x), rtol=0, atol=1e-6)  # float32, sums of 4 and rounding of y + (g - y)
    assert torch.equal(again(x)[0], rnn(x)[0])
    with pytest.raises(RuntimeError, match="size mismatch"):
        ours(3, 5, 2, bidirectional=True).load_state_dict(module.state_dict())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        ours(3, 4, 1, bidirectional=True).load_state_dict(module.state_dict())


@pytest.mark.parametrize("field", [ElmanField(2, 4, nonlinearity="relu", dtype=DOUBLE), GRUField(2, 4, dtype=DOUBLE)])
@pytest.mark.parametrize("adjoint", ["auto", "discrete", "checkpointed"])
def test_a_cell_is_a_field_as_any_other(field: CellField, adjoint: str) -> None:
    """Another solver, step and adjoint: the gradients are autograd's."""
    x, results = torch.randn(5, 3, 2, dtype=DOUBLE), []
    for each in (adjoint, "autograd"):
        rnn = ODERNN(field, "rk4", dt=0.4, hold="linear", adjoint=each)
        output, _ = rnn(x)
        assert output is not None
        results.append((output, *torch.autograd.grad(output.square().sum(), list(rnn.parameters()))))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)


def test_its_parameters_are_drawn_as_torchs() -> None:
    """Uniform between -1 / sqrt(n) and 1 / sqrt(n): a deviation of 1 / sqrt(3 n), here of 40,000 numbers."""
    for rnn in (ElmanRNN(200, 200), GRURNN(200, 200)):
        rnn.reset_parameters()
        for parameter in rnn.parameters():
            assert float(parameter.detach().abs().max()) <= 200**-0.5
            # of 200 numbers the sample deviation is off by less than a fifth
            assert float(parameter.detach().std()) == pytest.approx((3 * 200) ** -0.5, rel=0.2)


def test_the_mode_is_taken_over() -> None:
    assert not from_torch(nn.RNN(2, 3).eval()).training
    assert from_torch(nn.GRU(2, 3)).training


def test_what_has_no_exact_map_is_refused() -> None:
    with pytest.raises(TypeError, match="LSTM; its output needs the cell after the step"):
        from_torch(nn.LSTM(2, 3))
    with pytest.raises(TypeError, match="`module` is Linear"):
        from_torch(nn.Linear(2, 3))
