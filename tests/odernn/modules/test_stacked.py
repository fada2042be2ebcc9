"""Law: a stack is its layers called one after the other, its other direction the layer on flipped samples."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils import _pytree as pytree

from odernn import (
    FIELDS,
    ODERNN,
    AntisymmetricField,
    AntisymmetricRNN,
    HamiltonianField,
    LipschitzField,
    StackedODERNN,
    StackedState,
    VectorField,
)
from solvers import RK4

DOUBLE = torch.float64


def stack(*, both: bool, **options: Any) -> StackedODERNN:
    """Three layers that differ in field, solver and step."""

    def layers() -> list[Any]:
        width = 8 if both else 4
        return [
            (AntisymmetricField(2, 4, dtype=DOUBLE), "leapfrog-midpoint", 0.1),
            (HamiltonianField(width, 4, dtype=DOUBLE), "leapfrog", 0.2),
            ODERNN(LipschitzField(width, 4, dtype=DOUBLE), RK4(), dt=0.3, hold="linear"),
        ]

    return StackedODERNN(layers(), reverse=layers() if both else None, **options)


def by_hand(rnn: StackedODERNN, x: Tensor, y0: Tensor) -> tuple[Tensor, Tensor]:
    states, ends = iter(y0.split(1)), []
    for networks in rnn.directions():
        outputs = []
        for backward, network in enumerate(networks):
            output, end = network(x.flip(0) if backward else x, next(states))
            outputs.append(output.flip(0) if backward else output)
            ends.append(end)
        x = torch.cat(outputs, dim=-1)
    return x, torch.cat(ends)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_it_is_its_layers_one_after_the_other(both: bool, batch_first: bool) -> None:
    rnn = stack(both=both, batch_first=batch_first)
    x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(6 if both else 3, 3, 4, dtype=DOUBLE)
    output, y_n = rnn(x.transpose(0, 1) if batch_first else x, y0)
    wanted = by_hand(rnn, x, y0)
    assert torch.equal(output.transpose(0, 1) if batch_first else output, wanted[0])
    assert torch.equal(y_n, wanted[1])
    nothing, end = rnn(x.transpose(0, 1) if batch_first else x, y0, save="end")
    assert nothing is None
    torch.testing.assert_close(end, y_n, rtol=0, atol=1e-13)  # the end is not read off the trajectory


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("form", ["lengths", "packed", "mask", "resets"])
def test_each_sequence_is_as_if_alone(form: str, both: bool) -> None:
    rnn, lengths = stack(both=both), [3, 5, 2]
    x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(6 if both else 3, 3, 4, dtype=DOUBLE)
    if form == "packed":
        packed, y_n = rnn(pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False), y0)
        output = pad_packed_sequence(packed)[0]
    elif form == "lengths":
        output, y_n = rnn(x, y0, lengths=lengths)
    elif form == "mask":
        mask = torch.arange(5).unsqueeze(1) >= 5 - torch.tensor(lengths)
        x = torch.stack([x[:, b].roll(5 - length, 0) for b, length in enumerate(lengths)], dim=1)
        output, y_n = rnn(x, y0, mask=mask)
        x, output = (
            torch.stack([each[:, b].roll(length - 5, 0) for b, length in enumerate(lengths)], dim=1)
            for each in (x, output)
        )
    else:
        lengths = [5, 5, 5]
        resets = torch.zeros(5, 3, dtype=torch.bool)
        resets[2, 1] = True
        output, y_n = rnn(x, resets=resets)
        first, second = rnn(x[:2, 1:2])[0], rnn(x[2:, 1:2])[0]
        torch.testing.assert_close(output[:, 1:2], torch.cat((first, second)), rtol=0, atol=1e-12)
        torch.testing.assert_close(output[:, ::2], rnn(x[:, ::2])[0], rtol=0, atol=1e-12)
        return
    for b, length in enumerate(lengths):
        wanted, y = rnn(x[:length, b : b + 1], y0[:, b : b + 1])
        torch.testing.assert_close(output[:length, b], wanted[:, 0], rtol=0, atol=1e-12)
        torch.testing.assert_close(y_n[:, b], y[:, 0], rtol=0, atol=1e-12)


def test_a_mask_holds_in_each_direction() -> None:
    rnn, x = stack(both=True), torch.randn(4, 1, 2, dtype=DOUBLE)
    output, _ = rnn(x, mask=torch.tensor([[False, True, False, True]]).T)
    assert torch.equal(output[2, :, :4], output[1, :, :4])  # forward: the sample before
    assert torch.equal(output[2, :, 4:], output[3, :, 4:])  # the other direction: the sample after
    assert torch.equal(output[0, :, 4:], output[1, :, 4:])
    assert not output[0, :, :4].any()


@pytest.mark.parametrize("given", ["dt", "timestamps"])
def test_uneven_steps_from_the_end(given: str, clocked_field: VectorField) -> None:
    """Each sample keeps its own step; timestamps run backward."""
    rnn = StackedODERNN([(clocked_field, "rk4", 0.2)], reverse=[(copy.deepcopy(clocked_field), "rk4", 0.2)])
    x, steps = torch.randn(5, 3, 2, dtype=DOUBLE), 0.1 + torch.rand(3, 5, dtype=DOUBLE)
    value = steps if given == "dt" else steps.cumsum(1)
    turned = value.flip(1) if given == "dt" else -value.flip(1)
    assert rnn.reverse is not None
    wanted = rnn.reverse[0](x.flip(0), **{given: turned})[0].flip(0)
    for rest in ({}, {"lengths": [5, 5, 5]}):
        output, _ = rnn(x, **{given: value}, **rest)
        torch.testing.assert_close(output[..., 4:], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("split", [1, 3])
def test_chunks_samples_and_a_stream_are_one_call(split: int) -> None:
    rnn, x = stack(both=False), torch.randn(5, 3, 2, dtype=DOUBLE)
    whole, end = rnn(x, rnn.initial_state(3))
    first, state = rnn(x[:split], rnn.initial_state(3))
    second, state = rnn(x[split:], state)
    torch.testing.assert_close(torch.cat((first, second)), whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(state.y, end.y, rtol=0, atol=1e-13)
    single, stream, y = None, rnn.stream(3), torch.zeros(3, 3, 4, dtype=DOUBLE)
    for n in range(5):
        output, single = rnn.step(x[n], single)
        torch.testing.assert_close(output, whole[n], rtol=0, atol=1e-13)
        torch.testing.assert_close(stream(x[n]), whole[n], rtol=0, atol=1e-13)
    torch.testing.assert_close(stream.state.y, end.y, rtol=0, atol=1e-13)
    output, y = rnn.step(x[0], y)
    torch.testing.assert_close(output, whole[0], rtol=0, atol=1e-13)
    assert torch.equal(y[-1], output)


def test_a_cell_takes_and_gives_a_tensor() -> None:
    rnn, x = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), "rk4", dt=0.1), torch.randn(5, 3, 2, dtype=DOUBLE)
    y = torch.randn(3, 4, dtype=DOUBLE)
    wanted, _ = rnn(x, y.unsqueeze(0))
    for n in range(5):
        output, y = rnn.step(x[n], y)
        assert output is y
        torch.testing.assert_close(y, wanted[n], rtol=0, atol=1e-13)
    assert rnn.step(x[0, 0], y[0])[1].shape == (4,)
    with pytest.raises(ValueError, match=r"`state\.y` has shape"):
        rnn.step(x[0], y[:2])


def test_dropout_lies_between_layers_and_only_in_training() -> None:
    rnn, x = AntisymmetricRNN(2, 4, 2, dropout=1.0, dtype=DOUBLE), torch.randn(5, 3, 2, dtype=DOUBLE)
    nothing = rnn.layers[1](torch.zeros(5, 3, 4, dtype=DOUBLE))[0]
    assert torch.equal(rnn(x)[0], nothing)
    assert torch.equal(rnn.eval()(x)[0], rnn.layers[1](rnn.layers[0](x)[0])[0])
    rnn.train().dropout = 0.5
    torch.manual_seed(3)
    first = rnn(x)[0]
    torch.manual_seed(3)
    mask = torch.nn.functional.dropout(torch.ones(5, 3, 4, dtype=DOUBLE), 0.5)
    assert torch.equal(first, rnn.layers[1](mask * rnn.layers[0](x)[0])[0])


def test_the_state_is_a_pytree_detaches_moves_and_loads_safely(tmp_path: Path) -> None:
    rnn = stack(both=False)
    _, state = rnn(torch.randn(5, 3, 2, dtype=DOUBLE), rnn.initial_state(3))
    torch.save(state, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    leaves, spec = pytree.tree_flatten(state)
    for other in (loaded, pytree.tree_unflatten(leaves, spec), state.clone(), copy.deepcopy(state.detach())):
        assert isinstance(other, StackedState)
        torch.testing.assert_close(other.y, state.y, rtol=0, atol=0)
    assert state.y.requires_grad
    assert not state.detach().y.requires_grad
    assert state.to(torch.float32).y.dtype == torch.float32
    assert torch.as_tensor(state.t) == pytest.approx(0.5)


@pytest.mark.parametrize("name", FIELDS)
def test_parameters_are_drawn_again(name: str) -> None:
    kind: Any = FIELDS[name]
    torch.manual_seed(0)
    field, fresh = kind(2, 32), kind(2, 32)
    deviations = {key: float(value.std()) for key, value in fresh.state_dict().items() if value.std() > 0}
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.fill_(7)
    ODERNN(field, "euler", dt=0.1).reset_parameters()
    for key, value in field.named_parameters():
        assert not (value == 7).any(), key
        # sixteen numbers or more: the sample deviations of two draws differ by less than a factor of three
        if key in deviations:
            assert 1 / 3 < float(value.detach().std()) / deviations[key] < 3, key
        else:
            assert torch.equal(value, dict(fresh.named_parameters())[key]), key


def test_a_field_that_does_not_say_how_is_named(clocked_field: VectorField) -> None:
    with pytest.raises(NotImplementedError, match="ClockedField does not say how its parameters are drawn"):
        StackedODERNN([(clocked_field, "rk4", 0.1)]).reset_parameters()


def test_attributes_and_repr_are_those_of_torchs() -> None:
    rnn = AntisymmetricRNN(3, 5, 2, bidirectional=True, dropout=0.1, batch_first=True, bias=False)
    theirs = nn.RNN(3, 5, 2, bidirectional=True, dropout=0.1, batch_first=True, bias=False)
    for name in ("input_size", "hidden_size", "num_layers", "bidirectional", "dropout", "batch_first", "bias"):
        assert getattr(rnn, name) == getattr(theirs, name)
    assert not any("bias" in name for name, _ in rnn.named_parameters())
    assert repr(rnn).startswith(
        "AntisymmetricRNN(\n  3, 5, num_layers=2, dropout=0.1, batch_first=True, bidirectional=True\n"
    )
    rnn.flatten_parameters()


def test_with_solver_shares_the_parameters() -> None:
    rnn = AntisymmetricRNN(2, 4, 2, bidirectional=True)
    finer = rnn.with_solver("rk4", substeps=2)
    assert {id(value) for value in finer.parameters()} == {id(value) for value in rnn.parameters()}
    assert {repr(network.solver) for networks in finer.directions() for network in networks} == {"RK4()"}


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: StackedODERNN([]), TypeError, "`layers` is"),
        (lambda: StackedODERNN([3]), TypeError, r"`layers\[0\]` is int"),  # pyright: ignore[reportArgumentType]
        (lambda: AntisymmetricRNN(2, 4, dropout=1.5), ValueError, "`dropout` is 1.5"),
        (
            lambda: StackedODERNN([(AntisymmetricField(2, 4), "rk4", 0.1), (AntisymmetricField(3, 4), "rk4", 0.1)]),
            ValueError,
            "a field of layer 1 takes 3 features and layer 0 has 4",
        ),
        (
            lambda: StackedODERNN([(AntisymmetricField(2, 4), "rk4", 0.1), (AntisymmetricField(4, 6), "rk4", 0.1)]),
            ValueError,
            "layer 1 has 6 units and layer 0 4",
        ),
        (
            lambda: StackedODERNN(
                [(AntisymmetricField(2, 4), "rk4", 0.1)], reverse=[(AntisymmetricField(2, 4), "rk4", 0.1)] * 2
            ),
            ValueError,
            "`reverse` has 2 layers and `layers` 1",
        ),
        (
            lambda: StackedODERNN([ODERNN(AntisymmetricField(2, 4), "rk4", dt=0.1, batch_first=True)]),
            ValueError,
            "`layers.0.` has batch_first=True",
        ),
        (lambda: AntisymmetricRNN(2, 4, bidirectional=True).initial_state(3), ValueError, "bidirectional"),
        (lambda: AntisymmetricRNN(2, 4, bidirectional=True).stream(3), ValueError, "bidirectional"),
        (lambda: AntisymmetricRNN(2, 4)(torch.zeros(5, 3, 2), torch.zeros(2, 3, 4)), ValueError, r"give \(1, 3, 4\)"),
        (
            lambda: AntisymmetricRNN(2, 4)(torch.zeros(5, 3, 2), AntisymmetricRNN(2, 4, 2).initial_state(3)),
            ValueError,
            "`y0` is of 2 layers and the stack has 1",
        ),
    ],
)
def test_what_is_wrong_is_named(make: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make()
