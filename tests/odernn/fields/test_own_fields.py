"""Law: a field of the user's trains by default as by autograd, or says why not: never a gradient lost in silence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils._python_dispatch import TorchDispatchMode

from odernn import ODERNN, AffinePointwiseField, AntisymmetricField, DiscreteAdjoint, RecurrentState
from odernn.fields import TanhField
from solvers import RK4, Autograd, Checkpointed, Euler, LeapfrogMidpoint, Solver

DOUBLE = torch.float64
ROUNDING: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}


class Own(AffinePointwiseField):
    """tanh(W y + V x + b) with parts that a test may replace."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.state_map = nn.Linear(4, 4, bias=False, dtype=DOUBLE)
        self.input_map: nn.Module = nn.Linear(2, 4, dtype=DOUBLE)
        self.shape: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda y, p, u: torch.tanh(p + u)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def weight(self) -> Tensor:
        return self.state_map.weight.T  # no contiguous tensor

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.shape(y, p, u)


def gradients(field: nn.Module, adjoint: str, *, of: list[Tensor], solver: Solver | None = None) -> list[Tensor]:
    torch.manual_seed(1)
    x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE, requires_grad=True)
    rnn = ODERNN(field, RK4() if solver is None else solver, dt=0.3, substeps=2, hold="linear", adjoint=adjoint)
    output, y_n = rnn(x, y0)
    loss = output.square().sum() + (y_n[0].T @ torch.ones(3, dtype=DOUBLE)).sum()
    found = torch.autograd.grad(loss, [y0, *of], allow_unused=True)
    return [torch.zeros_like(leaf) if one is None else one for leaf, one in zip([y0, *of], found, strict=True)]


def agree(field: nn.Module, of: list[Tensor], solver: Solver | None = None) -> None:
    for adjoint in ("auto", "discrete"):
        torch.manual_seed(3)
        found = gradients(field, adjoint, of=of, solver=solver)
        torch.manual_seed(3)
        for got, wanted in zip(found, gradients(field, "autograd", of=of, solver=solver), strict=True):
            torch.testing.assert_close(got, wanted, **ROUNDING)


@pytest.mark.parametrize("solver", [Euler(), RK4(), LeapfrogMidpoint()])
def test_a_weight_that_is_not_contiguous_and_a_gradient_that_is_transposed(solver: Solver) -> None:
    field = Own()
    agree(field, list(field.parameters()), solver)


@pytest.mark.parametrize(
    "shape",
    [
        lambda y, p, u: p.add_(u).tanh_(),
        lambda y, p, u: y,
        lambda y, p, u: u,
        lambda y, p, u: p,
        lambda y, p, u: -0.3 * y,
        lambda y, p, u: torch.zeros_like(y),
    ],
    ids=["in place", "y", "u", "p", "a share of y", "nothing"],
)
def test_a_pointwise_part_that_works_in_place_or_gives_its_argument_back(shape: Callable[..., Tensor]) -> None:
    field = Own()
    field.shape = shape
    agree(field, list(field.parameters()))


def test_frozen_parts() -> None:
    field = Own()
    field.requires_grad_(False)
    field.shape = lambda y, p, u: u
    agree(field, [])
    field.state_map.requires_grad_(True)
    field.shape = lambda y, p, u: torch.tanh(p + u)
    agree(field, [field.state_map.weight])


def test_a_tensor_that_is_no_parameter_of_the_field_is_refused() -> None:
    field, z = Own(), torch.randn(4, dtype=DOUBLE, requires_grad=True)
    gain = z.exp()
    field.shape = lambda y, p, u: gain * torch.tanh(p + u)
    with pytest.raises(ValueError, match="use another adjoint"):
        gradients(field, "auto", of=[z])
    assert gradients(field, "autograd", of=[z])[1].abs().sum() > 0


def test_dropout_in_the_control_is_the_same_forward_and_backward() -> None:
    field = Own()
    field.input_map = nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.Dropout(0.5))
    torch.manual_seed(3)
    found = gradients(field.train(), "auto", of=list(field.parameters()))
    torch.manual_seed(3)
    for got, wanted in zip(found, gradients(field, "autograd", of=list(field.parameters())), strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    assert ODERNN(field, RK4(), dt=0.3).choice(x).adjoint == Autograd()
    field.eval()
    assert isinstance(ODERNN(field, RK4(), dt=0.3).choice(x).adjoint, DiscreteAdjoint)


def test_batch_normalisation_in_the_control_counts_a_batch_once() -> None:
    x, counted = torch.randn(5, 3, 2, dtype=DOUBLE), nn.BatchNorm1d(4, dtype=DOUBLE)
    field = Own()
    field.input_map = nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.Flatten(0, -2), counted, nn.Unflatten(0, (5, 3)))
    rnn = ODERNN(field.train(), RK4(), dt=0.3)
    rnn(x)[0].sum().backward()
    assert counted.num_batches_tracked == 1


def test_what_is_drawn_within_a_checkpoint_is_drawn_again() -> None:
    """A field whose evaluations draw random numbers, which the backward pass makes a second time."""

    def noisy(y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u) * (1 + 0.3 * torch.randn_like(p))

    field, parts = Own(), Checkpointed(every=2)
    field.shape = noisy
    results = []
    for adjoint in (parts, Autograd()):
        torch.manual_seed(3)
        rnn, x = ODERNN(field, RK4(), dt=0.3, adjoint=adjoint), torch.randn(5, 3, 2, dtype=DOUBLE)
        loss = rnn(x)[0].square().sum()
        torch.manual_seed(4)  # what is drawn between forward and backward does not matter
        results.append(torch.autograd.grad(loss, list(field.parameters())))
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


@pytest.mark.parametrize("adjoint", ["auto", "discrete"])
def test_a_parametrised_map_of_the_input_over_two_chunks(adjoint: str) -> None:
    def found(name: str) -> list[Tensor]:
        torch.manual_seed(0)
        field = Own()
        field.input_map = parametrizations.weight_norm(nn.Linear(2, 4, dtype=DOUBLE))
        rnn = ODERNN(field, RK4(), dt=0.3, hold="linear", adjoint=name)
        x, state = torch.randn(6, 3, 2, dtype=DOUBLE), RecurrentState(torch.zeros(3, 4, dtype=DOUBLE))
        with parametrize.cached():
            total = torch.zeros((), dtype=DOUBLE)
            for chunk in x.split(3):
                output, state = rnn(chunk, state)
                total = total + output.square().sum()
            return list(torch.autograd.grad(total, list(field.parameters())))

    for got, wanted in zip(found(adjoint), found("autograd"), strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


def test_functional_call_reads_what_the_forward_pass_read() -> None:
    x, parameters = torch.randn(5, 3, 2, dtype=DOUBLE), {}

    def found(adjoint: str, own: bool) -> list[Tensor]:
        torch.manual_seed(0)
        rnn = ODERNN(Own() if own else AntisymmetricField(2, 4, dtype=DOUBLE), RK4(), dt=0.3, adjoint=adjoint)
        fast = {name: (1.5 * p).detach().requires_grad_() for name, p in rnn.named_parameters()}
        parameters.update(fast)
        output, _ = torch.func.functional_call(rnn, fast, (x,))
        return list(torch.autograd.grad(output.square().sum(), list(fast.values())))

    for own in (True, False):
        for got, wanted in zip(found("auto", own), found("autograd", own), strict=True):
            torch.testing.assert_close(got, wanted, **ROUNDING)


def test_parameters_that_were_swapped_by_the_backward_pass_are_those_of_the_forward_pass() -> None:
    def found(adjoint: str) -> list[Tensor]:
        torch.manual_seed(0)
        field = Own()
        field.shape = lambda y, p, u: torch.tanh(field.state_map.weight[0] * p + u)
        own = list(field.parameters())
        loss = ODERNN(field, RK4(), dt=0.3, adjoint=adjoint)(torch.randn(5, 3, 2, dtype=DOUBLE))[0].square().sum()
        field.state_map.weight = nn.Parameter(field.state_map.weight.detach().clone())
        return list(torch.autograd.grad(loss, own))

    for got, wanted in zip(found("discrete"), found("autograd"), strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


def test_parameters_that_were_written_into_are_refused() -> None:
    rnn = ODERNN(Own(), RK4(), dt=0.3)
    loss = rnn(torch.randn(5, 3, 2, dtype=DOUBLE))[0].square().sum()
    loss.backward(retain_graph=True)
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.add_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


class Leaky(TanhField):
    """Derives from a registered field and computes something else."""

    matrix, activation = AntisymmetricField.matrix, AntisymmetricField.activation

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return super().pointwise(y, p, u) - 0.3 * y


def test_a_field_that_derives_from_a_registered_one_keeps_what_it_overrides() -> None:
    field = Leaky(2, 4, dtype=DOUBLE)
    agree(field, list(field.parameters()))


def test_a_map_of_the_input_that_is_not_linear_with_a_bias() -> None:
    field = AntisymmetricField(2, 4, dtype=DOUBLE)
    field.input_map = nn.Linear(2, 4, bias=False, dtype=DOUBLE)
    agree(field, list(field.parameters()))


def test_inference_keeps_no_state_but_the_last() -> None:
    """Nothing of a sequence's length is made of states, for a field of one's own too; its control runs once, whole."""
    field, sizes = Own(), []
    field.input_map = nn.Linear(2, 1, dtype=DOUBLE)  # a control of another width than the state
    rnn = ODERNN(field, RK4(), dt=0.3, adjoint=DiscreteAdjoint(chunk=250))

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> object:
            result = func(*args, **(kwargs or {}))
            sizes.extend(
                [result.shape[0]] if isinstance(result, Tensor) and result.ndim == 3 and result.shape[-1] == 4 else []
            )
            return result

    length = 2_000
    with torch.no_grad(), Sizes():
        rnn(torch.randn(1, 1, 2, dtype=DOUBLE).expand(length, 1, 2), save="end")
    assert 0 < max(sizes) < length
