"""The fields with a linear part: their formulas, their structure, and every solver that takes them."""

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN, AffinePointwiseField, LinearAntisymmetricField, LipschitzField, SemilinearField
from solvers import RK4, SOLVERS, Euler, ExponentialEuler, Need

FITTING = [name for name, solver in SOLVERS.items() if solver.needs in (None, Need.LINEAR_PART)]


def build(name: str) -> AffinePointwiseField:
    field = FIELDS[name](3, 6, dtype=torch.float64)
    assert isinstance(field, AffinePointwiseField)
    torch.nn.init.normal_(field.get_parameter("input_map.bias"))
    return field


def blend(m: Tensor, beta: float, gamma: float) -> Tensor:
    return (1 - beta) * (m + m.T) + beta * (m - m.T) - gamma * torch.eye(len(m), dtype=m.dtype)


def test_lipschitz_formula() -> None:
    field = LipschitzField(3, 6, damping=0.1, damping_w=0.2, beta=0.7, beta_w=0.9, dtype=torch.float64)
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    a = blend(field.linear.matrix, 0.7, 0.1)
    w = blend(field.recurrent.matrix, 0.9, 0.2)
    v, b = field.input_map.weight, field.input_map.bias
    expected = torch.stack([a @ y[i] + torch.tanh(w @ y[i] + v @ x[i] + b) for i in range(5)])
    assert torch.allclose(field(0.0, y, field.control(x)), expected, rtol=0, atol=1e-14)


def test_linear_antisymmetric_formula() -> None:
    field = LinearAntisymmetricField(3, 6, damping=0.1, dtype=torch.float64)
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    w = torch.zeros(6, 6, dtype=torch.float64)
    w[*torch.triu_indices(6, 6, offset=1)] = field.recurrent.upper.detach()
    v, b = field.input_map.weight, field.input_map.bias
    m = w - w.T - 0.1 * torch.eye(6, dtype=torch.float64)
    expected = torch.stack([m @ y[i] + torch.tanh(v @ x[i] + b) for i in range(5)])
    assert torch.allclose(field(0.0, y, field.control(x)), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["lipschitz", "linear-antisymmetric"])
def test_the_structures_agree(name: str) -> None:
    field = build(name)
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    u = field.control(x)
    whole = field(0.0, y, u)
    # rounding of a product of six terms, which two routines may sum in another order
    torch.testing.assert_close(field.pointwise(y, y @ field.weight().T, u), whole, rtol=0, atol=1e-14)
    assert field.weight().shape[0] % 6 == 0
    assert isinstance(field, SemilinearField)
    linear, remainder = field.semilinear()
    assert isinstance(linear, Tensor)
    assert torch.allclose(y @ linear.T + remainder(0.0, y, u), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["lipschitz", "linear-antisymmetric"])
@pytest.mark.parametrize("solver", FITTING)
def test_every_solver_without_a_partition_steps_them(name: str, solver: str) -> None:
    layer = ODERNN(build(name), SOLVERS[solver](), dt=0.05, substeps=10)
    x = torch.randn(1, 2, 3, dtype=torch.float64).expand(4, 2, 3)  # constant: multi-step methods want no jumps
    exact = layer.with_solver(RK4())(x)[0]
    # Euler's error at this step; a method that took another field would be off by its size, about 0.5.
    assert float((layer(x)[0] - exact).detach().abs().max()) < 5e-3


def test_one_step_of_euler() -> None:
    field = build("lipschitz")
    x = torch.randn(1, 2, 3, dtype=torch.float64)
    y0 = torch.randn(1, 2, 6, dtype=torch.float64)
    output, _ = ODERNN(field, Euler(), dt=0.1)(x, y0)
    assert torch.allclose(output[0], y0[0] + 0.1 * field(0.0, y0[0], field.control(x[0])), rtol=0, atol=1e-15)


def test_beta_one_is_antisymmetric() -> None:
    field = LipschitzField(1, 5, beta=1.0, beta_w=1.0, damping=0.0, damping_w=0.0)
    a, w = field.weight().chunk(2)
    assert torch.equal(a, -a.T)
    assert torch.equal(w, -w.T)


def test_an_undriven_linear_antisymmetric_field_keeps_the_norm() -> None:
    field = LinearAntisymmetricField(1, 8, sigma_v=0.0, dtype=torch.float64)
    y0 = torch.randn(1, 2, 8, dtype=torch.float64)
    output, _ = ODERNN(field, ExponentialEuler(), dt=0.7)(torch.zeros(100, 2, 1, dtype=torch.float64), y0)
    # A hundred products with a matrix that is orthogonal to rounding.
    assert torch.allclose(output.norm(dim=-1), y0.norm(dim=-1).expand(100, 2), rtol=1e-13, atol=0)


def test_number_of_parameters() -> None:
    count = {name: sum(p.numel() for p in FIELDS[name](3, 6).parameters()) for name in FIELDS}
    assert count["lipschitz"] == 2 * 36 + 3 * 6 + 6
    assert count["linear-antisymmetric"] == 15 + 3 * 6 + 6


@pytest.mark.parametrize("name", ["beta", "beta_w", "damping", "damping_w", "sigma_a", "sigma_w", "sigma_v"])
def test_bad_numbers_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` is -0.1"):
        LipschitzField(1, 4, **{name: -0.1})
    with pytest.raises(TypeError, match=rf"^`{name}` is 'x'"):
        LipschitzField(1, 4, **{name: "x"})


@pytest.mark.parametrize("name", ["beta", "beta_w"])
def test_beta_above_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` is 1.5; give a number from 0"):
        LipschitzField(1, 4, **{name: 1.5})


@pytest.mark.parametrize("name", ["damping", "sigma_w", "sigma_v"])
def test_bad_numbers_of_the_linear_field_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` is -0.1"):
        LinearAntisymmetricField(1, 4, **{name: -0.1})


@pytest.mark.parametrize("name", ["lipschitz", "linear-antisymmetric"])
def test_gradients_reach_every_parameter(name: str) -> None:
    field = build(name)
    x = torch.randn(3, 2, 3, dtype=torch.float64)
    layer = ODERNN(field, RK4(), dt=0.2)
    assert torch.autograd.gradcheck(lambda *_: layer(x)[0], tuple(field.parameters()))
