"""Law: sequences of several lengths give what each gives when it is run by itself, forward and backward."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jacfwd, jacrev, stack_module_state, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from odernn import FIELDS, HOLDS, ODERNN, AffinePointwiseField, AntisymmetricField, RecurrentState, VectorField
from odernn.layer.segments import cuts
from solvers import SOLVERS, DivergenceError, DivergenceWarning, TorchdiffeqSolver, make_solver
from solvers.extend import Time
from tests.pairs import crossed

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
