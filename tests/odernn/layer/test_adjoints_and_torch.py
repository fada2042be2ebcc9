"""Law: under the tools of torch (kept graphs, second derivatives, transforms) an adjoint is right or says it is not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from odernn import (
    ADJOINTS,
    ODERNN,
)
from tests.odernn.layer.under_adjoints import (
    DOUBLE,
    EXACT,
    ROUNDING,
    agree,
    layer,
)


@pytest.mark.parametrize("adjoint", EXACT)
def test_gradcheck(adjoint: str) -> None:
    rnn = layer("gated-antisymmetric", "leapfrog-midpoint", EXACT[adjoint])
    names, values = zip(*rnn.named_parameters(), strict=True)

    def output(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(rnn, dict(zip(names, parameters, strict=True)), (x,))[0]

    x = torch.randn(3, 2, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(output, (x, *values), fast_mode=True)


@pytest.mark.parametrize("adjoint", EXACT)
def test_the_graph_may_be_kept(adjoint: str) -> None:
    rnn = layer("antisymmetric", "leapfrog-midpoint", EXACT[adjoint])
    loss = rnn(torch.randn(7, 3, 2, dtype=DOUBLE))[0].square().sum()
    first = torch.autograd.grad(loss, list(rnn.parameters()), retain_graph=True)
    agree(torch.autograd.grad(loss, list(rnn.parameters())), first)


@pytest.mark.parametrize("adjoint", EXACT)
def test_without_gradients_the_numbers_are_the_same(adjoint: str) -> None:
    rnn, x = layer("antisymmetric", "leapfrog-midpoint", EXACT[adjoint]), torch.randn(7, 3, 2, dtype=DOUBLE)
    with torch.no_grad():
        output, _ = rnn(x)
    assert not output.requires_grad
    torch.testing.assert_close(output, rnn(x)[0].detach(), **ROUNDING[DOUBLE])


@pytest.mark.parametrize("adjoint", ["reversible", "continuous"])
@pytest.mark.parametrize("linear", [True, False])
def test_a_second_derivative_is_refused_where_it_is_asked_for(adjoint: str, linear: bool) -> None:
    """By once_differentiable alone a part of it would come out, by way of W - W^T and the gradient of the loss."""
    rnn = layer("antisymmetric", "leapfrog-midpoint", adjoint)
    output, _ = rnn(torch.randn(4, 3, 2, dtype=DOUBLE))
    loss = output.sum() if linear else output.square().sum()
    with pytest.raises(NotImplementedError, match="has no second derivative, and `create_graph=True` asks"):
        torch.autograd.grad(loss, list(rnn.parameters()), create_graph=True)


@pytest.mark.parametrize("adjoint", ["autograd", "auto", "discrete", "checkpointed"])
def test_second_derivatives_where_they_are_supported(adjoint: str) -> None:
    rnn = layer("antisymmetric", "rk4", adjoint)
    x = torch.randn(3, 2, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: rnn(x)[0], (x,), fast_mode=True)


TRANSFORMS: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], object]] = {
    "grad": lambda f, x: torch.func.grad(lambda x: f(x).square().sum())(x),
    "vmap": lambda f, x: torch.func.vmap(f, in_dims=1, out_dims=1)(x),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (x.cos(),))[1],
    "jacrev": lambda f, x: torch.func.jacrev(f)(x),
    "vmap of grad": lambda f, x: torch.func.vmap(torch.func.grad(lambda x: f(x).square().sum()), in_dims=1)(x),
}
BY_REVERSE = ("grad", "jacrev", "vmap of grad")


def silent(adjoint: str) -> ODERNN:
    """A layer that reads nothing back, as a transform wants it."""
    rnn = layer("antisymmetric", "leapfrog-midpoint", adjoint)
    rnn.on_divergence = "ignore"
    return rnn


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, at its first jvp
@pytest.mark.parametrize("adjoint", ADJOINTS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_of_torch_func_gives_autograds_number_or_an_error(adjoint: str, transform: str) -> None:
    x, run, rnn, exact = torch.randn(4, 3, 2, dtype=DOUBLE), TRANSFORMS[transform], silent(adjoint), silent("autograd")
    if adjoint in ("autograd", "auto") or (adjoint == "checkpointed" and transform not in BY_REVERSE):
        torch.testing.assert_close(run(lambda x: rnn(x)[0], x), run(lambda x: exact(x)[0], x), **ROUNDING[DOUBLE])
    else:
        with pytest.raises(NotImplementedError, match=r"not go through .* adjoint='autograd'"):
            run(lambda x: rnn(x)[0], x)


def test_transforms_of_autograd_are_right() -> None:
    rnn, x = silent("autograd"), torch.randn(5, 3, 2, dtype=DOUBLE)
    v, step = x.cos(), 1e-6
    difference = (rnn(x + step * v)[0] - rnn(x - step * v)[0]) / (2 * step)
    tangent = torch.func.jvp(lambda x: rnn(x)[0], (x,), (v,))[1]
    torch.testing.assert_close(tangent, difference, rtol=1e-6, atol=1e-8)  # the square of the step
    torch.testing.assert_close(TRANSFORMS["vmap"](lambda x: rnn(x)[0], x), rnn(x)[0])
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(rnn(leaf)[0].square().sum(), leaf)
    torch.testing.assert_close(TRANSFORMS["grad"](lambda x: rnn(x)[0], x), gradient)
