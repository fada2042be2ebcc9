"""Laws of the average vector field method: its formula, its quadrature, and energy kept to rounding."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from solvers import AverageVectorField, ImplicitMidpoint, Structured, integrate
from solvers.methods.implicit.methods import Method
from solvers.methods.implicit.quadrature import gauss_legendre

DOUBLE = torch.float64


@pytest.mark.parametrize("count", [1, 2, 5, 12, 40])
def test_the_quadrature_is_exact_up_to_its_degree(count: int) -> None:
    rule = gauss_legendre(count)
    assert [node for node, _ in rule] == sorted(node for node, _ in rule)
    for degree in range(2 * count):
        integral = sum(weight * node**degree for node, weight in rule)
        assert integral * (degree + 1) == pytest.approx(1, abs=3e-14)  # rounding of a node, times the degree
    missed = 1 - sum(weight * node ** (2 * count) for node, weight in rule) * (2 * count + 1)
    assert missed > 0.1 * 4.0 ** (-2 * count) or count > 10  # below rounding there


@pytest.mark.parametrize("structure", ["affine", "structured", "plain"])
@pytest.mark.parametrize("way", ["newton", "fixed-point"])
def test_a_step_solves_the_formula(structure: str, way: Method, nonlinear: Structured, start: Tensor) -> None:
    f = {"affine": nonlinear, "structured": Structured(nonlinear.f), "plain": lambda t, y: nonlinear(t, y)}[structure]
    after, _ = AverageVectorField(method=way).step(f, 0.3, 0.4, start, ())
    points = [start + xi * (after - start) for xi in torch.linspace(0, 1, 1001)]
    slopes = torch.stack([nonlinear(0.5, point) for point in points])
    mean = torch.trapezoid(slopes, dx=1e-3, dim=0)
    assert (after - start - 0.4 * mean).abs().max() < 1e-7  # the error of a thousand trapezia


def energy_error(nodes: int, dt: float, steps: int = 150) -> float:
    """The largest relative change of E = sum log cosh(M y + V x + b) under a constant input, through the layer."""
    torch.manual_seed(0)
    field = AntisymmetricField(2, 16, dtype=DOUBLE)
    x, y0 = torch.randn(1, 2, 2, dtype=DOUBLE), torch.randn(1, 2, 16, dtype=DOUBLE)
    rnn = ODERNN(field, AverageVectorField(nodes=nodes), dt=dt)
    with torch.no_grad():
        output, _ = rnn(x.expand(steps, -1, -1), y0)
        states = torch.cat((y0, output))
        energy = torch.log(torch.cosh(states @ field.weight().T + field.control(x))).sum(-1)
    return float(((energy - energy[0]).abs() / energy[0]).max())


@pytest.mark.parametrize("dt", [0.1, 0.5])
def test_energy_is_kept_to_rounding(dt: float) -> None:
    assert energy_error(AverageVectorField().nodes, dt) < 1e-14  # 150 steps of a rounding or so, mostly of either sign


def test_the_error_of_energy_is_that_of_the_quadrature() -> None:
    errors = [energy_error(nodes, 0.5, steps=50) for nodes in (1, 2, 4, 8)]
    assert errors[0] > 1e-3  # one node is the implicit midpoint rule
    assert all(fine < coarse / 30 for coarse, fine in pairwise(errors))


def test_one_node_is_the_implicit_midpoint_rule(nonlinear: Structured, start: Tensor) -> None:
    got = integrate(nonlinear, start, t1=2.0, dt=0.2, solver=AverageVectorField(nodes=1)).y
    torch.testing.assert_close(got, integrate(nonlinear, start, t1=2.0, dt=0.2, solver=ImplicitMidpoint()).y)


def test_the_nodes_are_no_part_of_what_is_shown_or_compared() -> None:
    assert repr(AverageVectorField(nodes=3)).endswith("nodes=3)")
    assert AverageVectorField(nodes=3) == AverageVectorField(nodes=3) != AverageVectorField()
    assert hash(AverageVectorField(nodes=3)) == hash(AverageVectorField(nodes=3))
    with pytest.raises(ValueError, match="`nodes` is 0; give a whole number from 1"):
        AverageVectorField(nodes=0)
