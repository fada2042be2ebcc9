"""Law: sequences of several lengths give what each gives when it is run by itself, forward and backward."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from odernn import FIELDS, HOLDS, ODERNN, RecurrentState, VectorField
from odernn.layer.segments import cuts
from solvers import SOLVERS, DivergenceError, DivergenceWarning, TorchdiffeqSolver, make_solver
from solvers.extend import Time
from tests.odernn.layer.several_lengths import BATCH, DOUBLE, FORMS, LENGTHS, apart, check, data, gradients, layer
from tests.pairs import crossed

SCHEMES = [
    ("antisymmetric", "euler"),
    ("gated-antisymmetric", "rk4"),
    ("unstructured", "leapfrog-midpoint"),
    ("gated-unstructured", "adams-bashforth3"),
    ("hamiltonian", "leapfrog"),
    ("lipschitz", "etdrk2"),
    ("linear-antisymmetric", "implicit-midpoint"),
    ("oscillator", "linearly-exact-euler"),
    ("gated-oscillator", "exponential-euler"),
    ("unstructured-oscillator", "dopri5"),
    ("cornn", "symplectic-euler"),
    ("unicornn", "symplectic-euler"),
    ("lem", "symplectic-euler"),
    ("antisymmetric", "asynchronous-leapfrog"),
    ("antisymmetric", "average-vector-field"),
]
"""Every field of the registry once, and a solver of every family."""
SLOW = ("dopri5", "average-vector-field", "implicit-midpoint")
"""Those that iterate; whatever the adjoint, they go step by step."""
AS_ANOTHER = [each for each in SCHEMES if each[0] in ("antisymmetric", "oscillator", "unicornn", "lem")]
"""Those that an engine takes as another of them; `dopri5` and the like meet one run only."""


def test_every_field_and_family_is_there() -> None:
    assert {field for field, _ in SCHEMES} == set(FIELDS)
    families = {make_solver(name).family for name in SOLVERS} - {"stochastic"}
    assert {make_solver(solver).family for _, solver in SCHEMES} == families


@crossed(
    {
        "field, solver": SCHEMES,
        "hold": list(HOLDS),
        "form": FORMS,
        "adjoint, engine": [
            ("auto", "auto"),
            ("auto", "torch"),
            ("autograd", "auto"),
            ("checkpointed", "torch"),
            ("discrete", "torch"),
        ],
    },
    where=lambda scheme, hold, form, run: scheme[1] not in SLOW or run == ("auto", "auto"),
    once={"field, solver": AS_ANOTHER},
)
def test_each_is_as_if_alone(field: str, solver: str, hold: str, form: str, adjoint: str, engine: str) -> None:
    # products of one row or four are summed otherwise; the step control of an adaptive method sees the whole batch
    rounding = 1e-6 if issubclass(SOLVERS[solver], TorchdiffeqSolver) else 1e-12
    check(layer(field, solver, hold=hold, adjoint=adjoint, engine=engine), form, rounding=rounding)


@pytest.mark.parametrize("form", FORMS)
def test_under_the_reversible_adjoint(form: str) -> None:
    # what stepping back loses to rounding in five steps
    check(layer("antisymmetric", "reversible-heun", adjoint="reversible"), form, rounding=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_a_time_that_the_field_sees_and_uneven_steps(form: str, clocked_field: VectorField) -> None:
    check(ODERNN(clocked_field, "rk4", dt=0.2, hold="linear"), form)


@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint"])
@pytest.mark.parametrize("given", ["dt", "timestamps"])
def test_steps_of_each_sample_and_padding_in_them(given: str, solver: str, clocked_field: VectorField) -> None:
    """Steps of zero, or timestamps of nothing, are padding where the lengths say so."""
    rnn = ODERNN(clocked_field, solver, dt=0.2, hold="linear")
    sequences, y0 = data()
    steps = [0.1 + torch.rand(length, dtype=DOUBLE) for length in LENGTHS]
    steps = [each if given == "dt" else each.cumsum(0) for each in steps]
    padded = pad_sequence(steps, batch_first=True, padding_value=0.0 if given == "dt" else float("nan"))
    output, y_n = rnn(pad_sequence(sequences), y0, lengths=LENGTHS, **{given: padded})
    for b, length in enumerate(LENGTHS):
        alone, y = rnn(sequences[b].unsqueeze(1), y0[:, b : b + 1], **{given: steps[b]})
        torch.testing.assert_close(output[:length, b], alone[:, 0], rtol=0, atol=1e-12)
        torch.testing.assert_close(y_n[:, b], y[:, 0], rtol=0, atol=1e-12)


def test_timestamps_of_masked_samples_are_left_out(clocked_field: VectorField) -> None:
    rnn, mask = ODERNN(clocked_field, "rk4", dt=0.2), torch.tensor([True, False, False, True, True])
    x, times = torch.randn(5, 1, 2, dtype=DOUBLE), torch.tensor([0.3, 0.4, 1.0, 1.5, 1.7], dtype=DOUBLE)
    output, _ = rnn(x, mask=mask.unsqueeze(1), timestamps=times)
    wanted, _ = rnn(x[mask], timestamps=times[mask])
    torch.testing.assert_close(output[mask], wanted, rtol=0, atol=1e-12)


def test_a_masked_step_leaves_the_state_as_it_is() -> None:
    rnn, mask = layer("antisymmetric", "rk4"), torch.tensor([[False, True, False, False, True, False]]).T
    x, y0 = torch.randn(6, 1, 2, dtype=DOUBLE), torch.randn(1, 1, 4, dtype=DOUBLE)
    output, y_n = rnn(x, y0, mask=mask)
    for first, then in ((1, 2), (1, 3), (4, 5)):
        assert torch.equal(output[then], output[first])
    assert torch.equal(output[0], y0[0])
    assert torch.equal(y_n[0], output[-1])
    nothing, y_n = rnn(x, y0, mask=torch.zeros_like(mask))
    assert torch.equal(nothing, y0.expand(6, 1, 4))
    assert torch.equal(y_n, y0)


@pytest.mark.parametrize("save", ["trajectory", "end"])
@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("adjoint", ["auto", "autograd"])
@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint"])
def test_the_end_is_that_of_the_last_sample_and_padding_is_zero(
    solver: str, adjoint: str, hold: str, save: str
) -> None:
    rnn = layer("antisymmetric", solver, hold=hold, adjoint=adjoint, on_divergence="ignore")  # which runs nothing twice
    sequences, y0 = data()
    output, y_n = rnn(pad_sequence(sequences), y0, lengths=LENGTHS, save=save)
    wanted = apart(rnn, sequences, y0)[1]
    torch.testing.assert_close(y_n, wanted, rtol=0, atol=1e-12)
    given = [*rnn.parameters(), *sequences, y0]
    torch.testing.assert_close(gradients([], y_n, given), gradients([], wanted, given), rtol=0, atol=1e-11)
    assert (output is None) == (save == "end")
    if output is not None:
        assert all(not output[length:, b].any() for b, length in enumerate(LENGTHS))


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint", "adams-bashforth2", "reversible-heun"])
def test_chunks_of_sequences_of_several_lengths_are_one_call(solver: str, hold: str) -> None:
    """The state that comes back is each sequence's own: carry, time and hold."""
    rnn, (sequences, _) = layer("antisymmetric", solver, hold=hold), data()
    x = pad_sequence(sequences)
    _, state = rnn(x, rnn.initial_state(BATCH), lengths=LENGTHS)
    assert isinstance(state, RecurrentState)
    more = torch.randn(3, BATCH, 2, dtype=DOUBLE)
    output, _ = rnn(more, state)
    for b, sequence in enumerate(sequences):
        whole, _ = rnn(torch.cat((sequence, more[:, b])).unsqueeze(1), rnn.initial_state(1))
        torch.testing.assert_close(output[:, b], whole[-3:, 0], rtol=0, atol=1e-12)
        torch.testing.assert_close(torch.as_tensor(state.t)[b], torch.tensor([0.3 * len(sequence)], dtype=DOUBLE))


def test_pieces_are_few_and_none_costs_more_than_it_saves() -> None:
    assert cuts([5, 3, 3, 1], everywhere=False) == [5]
    assert cuts([5, 3, 3, 1], everywhere=True) == [1, 3, 5]
    lengths = sorted(range(196, 784, 5), reverse=True)
    found = cuts(lengths, everywhere=False)
    assert 4 <= len(found) <= 12
    assert found == sorted(set(found))
    assert found[-1] == lengths[0]
    assert cuts([10_000] + [10] * 1_000, everywhere=False) == [10, 10_000]


class Exploding(VectorField):
    """y' = y^2: infinite in finite time, in padding too."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return y * y + u


@pytest.mark.parametrize("policy", ["raise", "warn"])
def test_what_diverges_in_padding_has_not_diverged(policy: Any) -> None:
    rnn = ODERNN(Exploding(), "leapfrog-midpoint", dt=1.0, on_divergence=policy)
    x = torch.tensor([[1.0, 0.0]] * 12).unsqueeze(-1)
    with pytest.raises(DivergenceError) if policy == "raise" else pytest.warns(DivergenceWarning):
        rnn(x)
    with pytest.raises(DivergenceError) if policy == "raise" else pytest.warns(DivergenceWarning):
        rnn(x, lengths=[12, 11])
    x.requires_grad_()
    output, y_n = rnn(x, lengths=[3, 12])
    torch.testing.assert_close(y_n[:, :1], rnn(x[:3, :1])[1])
    assert output.isfinite().all()
    assert torch.autograd.grad(output.sum(), x)[0].isfinite().all()
