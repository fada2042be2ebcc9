"""Law: sequences that stand still in a rectangle, as on a GPU, give what each gives when it is run by itself."""

from collections.abc import Iterator

import pytest
import torch

from odernn import ODERNN, ElmanRNN, VectorField
from odernn.layer import rectangle, sequences
from odernn.layer.stored_run import StoredRun
from solvers import DivergenceError
from tests.odernn.layer.several_lengths import DOUBLE, FORMS, check, data, layer, together

SCHEMES = [
    ("antisymmetric", "euler"),
    ("gated-antisymmetric", "rk4"),
    ("hamiltonian", "leapfrog"),
    ("cornn", "symplectic-euler"),
    ("lem", "symplectic-euler"),
]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """As on a device; which runs went as a rectangle."""
    found: list[bool] = []
    whether = rectangle.goes_as_rectangle

    def watched(run: StoredRun) -> bool:
        found.append(whether(run))
        return found[-1]

    monkeypatch.setattr(rectangle, "pads_cheaply", lambda _: True)
    monkeypatch.setattr(sequences, "goes_as_rectangle", watched)
    yield found
    assert found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("field", "solver"), SCHEMES)
@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_each_is_as_if_alone(field: str, solver: str, engine: str, form: str, taken: list[bool]) -> None:
    check(layer(field, solver, engine=engine), form)
    assert taken == [True]


@pytest.mark.parametrize("form", FORMS)
def test_a_time_that_the_field_sees(form: str, clocked_field: VectorField, taken: list[bool]) -> None:
    check(ODERNN(clocked_field, "rk4", dt=0.2), form)
    assert taken == [True]


@pytest.mark.parametrize(("solver", "options"), [("rk4", {"hold": "linear"}), ("adams-bashforth3", {}), ("etdrk2", {})])
def test_what_a_step_of_zero_would_change_goes_as_on_the_processor(
    solver: str, options: dict[str, str], taken: list[bool]
) -> None:
    check(layer("lipschitz" if solver == "etdrk2" else "antisymmetric", solver, **options), "lengths")
    assert taken == [False]


@pytest.mark.parametrize("save", ["trajectory", "end"])
def test_padding_after_the_longest_and_steps_of_each_sample(save: str, taken: list[bool]) -> None:
    rnn, (_, y0) = layer("antisymmetric", "rk4"), data()
    x, lengths = torch.randn(9, 4, 2, dtype=torch.float64), [3, 5, 1, 3]
    dt = torch.rand(4, 9, dtype=torch.float64) + 0.1
    output, y_n = rnn(x, y0, lengths=lengths, dt=dt, save=save)
    for b, length in enumerate(lengths):
        alone, y = rnn(x[:length, b : b + 1], y0[:, b : b + 1], dt=dt[b : b + 1, :length])
        torch.testing.assert_close(y_n[:, b], y[:, 0], rtol=0, atol=1e-12)
        if output is not None:
            torch.testing.assert_close(output[:length, b], alone[:, 0], rtol=0, atol=1e-12)
            assert not output[length:, b].any()
    assert (output is None) == (save == "end")
    assert taken == [True]


def test_few_long_sequences_among_short_ones_are_not_padded(taken: list[bool]) -> None:
    rnn = layer("antisymmetric", "euler")
    rnn(torch.randn(90, 20, 2, dtype=torch.float64), lengths=[90, *[1] * 19])
    assert taken == [False]


def test_what_diverges_is_found(taken: list[bool]) -> None:
    rnn = layer("linear-antisymmetric", "euler")
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    x[2, 1] = float("nan")
    rnn(x, lengths=[5, 2])  # of nobody's samples
    with pytest.raises(DivergenceError):
        rnn(x, lengths=[5, 3])
    assert taken == [True, True]


@pytest.mark.parametrize("form", ["lengths", "packed"])
def test_both_directions_as_torch_has_them(form: str, taken: list[bool]) -> None:
    """`bidirectional=True` reads each sequence from its own end."""
    ours = ElmanRNN(2, 4, bidirectional=True, dtype=DOUBLE)
    sequences, _ = data()
    y0 = torch.randn(2, 4, 4, dtype=DOUBLE)
    output, y_n = together(ours, sequences, y0, form)
    for b, sequence in enumerate(sequences):
        alone, y = ours(sequence.unsqueeze(1), y0[:, b : b + 1])
        torch.testing.assert_close(output[b], alone[:, 0], rtol=0, atol=1e-12)
        torch.testing.assert_close(y_n[:, b], y[:, 0], rtol=0, atol=1e-12)
    assert taken == [True, True]
