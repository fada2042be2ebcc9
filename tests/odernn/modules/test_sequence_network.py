"""A recurrence of several layers is the layers one by one, and a readout that sees half of a state sees its half."""

import pytest
import torch

from odernn import LEM, ODERNN, AntisymmetricField, ODERecurrence, SequenceNetwork, UnICORNN, UnICORNNField


def layers() -> list[ODERNN]:
    """Two layers of four oscillators, of which the upper one sees positions."""
    return [UnICORNN(inputs, 8, dt=0.3, alpha=1.0, batch_first=True) for inputs in (2, 4)]


@pytest.mark.parametrize("read_from", ["end", "trajectory"])
def test_it_is_its_layers_one_by_one(read_from: str) -> None:
    x = torch.randn(3, 5, 2)
    below, above = layers()
    recurrence = ODERecurrence(below, read_from, upper=[above], visible="first-half")
    trajectory, _ = below(x)
    wanted, _ = above(trajectory[..., :4])
    wanted = wanted[..., :4] if read_from == "trajectory" else wanted[:, -1, :4]
    torch.testing.assert_close(recurrence(x), wanted, rtol=0, atol=0)
    assert recurrence.visible_size == 4


def test_a_single_layer_that_is_seen_whole_is_the_layer() -> None:
    rnn = LEM(2, 6, batch_first=True)
    x = torch.randn(3, 5, 2)
    torch.testing.assert_close(ODERecurrence(rnn)(x), rnn(x)[1][0], rtol=0, atol=0)


def test_other_layers_are_read_in_the_same_way() -> None:
    below, above = layers()
    recurrence = ODERecurrence(below, "end", upper=[above], visible="first-half")
    finer = recurrence.with_layers([each.with_solver("leapfrog", substeps=2) for each in recurrence.layers])
    assert [layer.substeps for layer in finer.layers] == [2, 2]
    assert (finer.visible, finer.read_from) == ("first-half", "end")
    assert finer.rnn.field is below.field


def test_the_readout_is_linear_in_what_it_sees() -> None:
    below, above = layers()
    recurrence = ODERecurrence(below, "end", upper=[above], visible="first-half")
    network = SequenceNetwork(recurrence, recurrence.visible_size, 3)
    x = torch.randn(2, 5, 2)
    wanted = torch.nn.functional.linear(recurrence(x), network.readout.weight, network.readout.bias)
    torch.testing.assert_close(network(x), wanted, rtol=0, atol=0)


def antisymmetric(inputs: int, units: int, *, batch_first: bool = True) -> ODERNN:
    return ODERNN(AntisymmetricField(inputs, units), "euler", dt=0.1, batch_first=batch_first)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: ODERecurrence(antisymmetric(2, 4), "last"), ValueError, "`read_from` is 'last'"),
        (lambda: ODERecurrence(antisymmetric(2, 4), visible="half"), ValueError, "`visible` is 'half'"),
        (lambda: ODERecurrence(antisymmetric(2, 5), visible="first-half"), ValueError, "5 units, an odd number"),
        (lambda: ODERecurrence(antisymmetric(2, 4), upper=[antisymmetric(2, 4)]), ValueError, "takes 2 features and"),
        (lambda: ODERecurrence(antisymmetric(2, 4, batch_first=False)), TypeError, "batch_first=True"),
        (lambda: ODERecurrence(UnICORNNField(2, 4)), TypeError, "give an ODERNN"),
    ],
)
def test_what_does_not_fit_is_named(make, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make()
