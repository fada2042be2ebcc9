"""Law: what a program says of the blocks of K changes no number, but gradients by what it says is zero."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN
from odernn.engines.method import exponential
from odernn.engines.operators import NATIVE, TORCH
from odernn.engines.program import Call
from odernn.engines.scheme import explicit_method
from odernn.engines.weight_blocks import NUMBERS
from solvers import make_solver
from solvers.extend import Entry
from tests.pairs import crossed

TIME, BATCH = 7, 8  # rows that are more than one tile
UNITS = {torch.float64: 16, torch.float32: 32}  # two halves of whole vectors on every processor
LENGTHS = [7, 7, 5, 4, 4, 2, 1, 1]
BOUNDS = {torch.float64: 1e-11, torch.float32: 2e-4}  # rounding, in sums over some fifty rows
DOUBLE = torch.float64
ONE = Entry(1.0, -1)
ROWS = [" ".join(each) for each in product(NUMBERS, repeat=2)]
PAIRS = [
    *product(["cornn", "unicornn"], ["symplectic-euler", "midpoint", "rk4", "exponential-euler", "etdrk2"]),
    *product(["hamiltonian"], ["euler", "rk4", "adams-bashforth2", "reversible-heun", "symplectic-euler"]),
]


def filled(filling: str, half: int) -> Tensor:
    full = torch.randn(half, half, dtype=DOUBLE) / 4
    return {"zero": 0 * full, "diagonal": full.diagonal().diag(), "dense": full}[filling]


def weight_of(fillings: tuple[str, ...], units: int) -> Tensor:
    blocks = [filled(filling, units // 2) for filling in fillings]
    return torch.cat((torch.cat(blocks[:2], dim=1), torch.cat(blocks[2:], dim=1)))


def mask_of(fillings: tuple[str, ...], units: int) -> Tensor:
    """Where K may be other than zero."""
    half = units // 2
    masks = {"zero": torch.zeros(half, half), "diagonal": torch.eye(half), "dense": torch.ones(half, half)}
    return torch.cat([torch.cat([masks[each] for each in fillings[i : i + 2]], dim=1) for i in (0, 2)]).bool()


def call(fillings: tuple[str, ...], units: int, kind: str = "tanh", scheme: str = "", **facts: Any) -> Call:
    """Of a scheme, or two stages of which the second is made by a matrix and from the first's slope."""
    torch.manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=DOUBLE).requires_grad_()

    controls = 2 * units if kind == "gated-tanh" else units
    method = exponential([ONE, Entry(1.0, 0), Entry(1.0, 1)], [[], [Entry(0.5, -1)]], [ONE, Entry(0.5, 0)], [0.0, 1.0])
    blocks = (torch.randn(1, 2, 2, 2, units // 2, dtype=DOUBLE) / 3).requires_grad_()  # so that no state grows
    weight = weight_of(fillings, units).requires_grad_()
    told: dict[str, Any] = {"kind": kind, "method": method, "blocks": blocks}
    if scheme:
        told |= {"method": explicit_method(make_solver(scheme), apart=True), "blocks": None}
    return Call(normal(BATCH, units), weight, normal(TIME, BATCH, controls), dt=0.1, **(told | facts))


def found(made: Call, namespace: str) -> tuple[list[Tensor], Tensor]:
    """The states and all gradients but K's, and K's."""
    leaves = [each for each in made.operands if isinstance(each, Tensor) and each.requires_grad]
    saved, last, *_ = getattr(torch.ops, namespace).solve(*made.arguments(), True)
    gradients = list(torch.autograd.grad(saved.sin().sum() + last.cos().sum(), leaves))
    of_weight = gradients.pop(next(i for i, each in enumerate(leaves) if each is made.weight))
    return [saved, last, *gradients], of_weight


@crossed(
    {
        "above": ROWS,
        "below": ROWS,
        "scheme": ["", "rk4", "adams-bashforth2", "reversible-heun"],
        "kind": ["tanh", "gated-tanh", "linear"],
        "hold": ["zero-order", "linear"],
        "units": [6, 16],  # halves of no whole vectors, and of whole ones
        "namespace": [TORCH, pytest.param(NATIVE, marks=pytest.mark.kernels)],
        "substeps": [1, 2],
    }
)
def test_a_call_that_is_told_has_the_numbers_of_one_that_is_not(
    above: str, below: str, scheme: str, kind: str, hold: str, units: int, namespace: str, substeps: int
) -> None:
    fillings = (*above.split(), *below.split())
    untold = call(fillings, units, kind, scheme, hold=hold, substeps=substeps)
    told = replace(untold, weight_blocks=tuple(NUMBERS[each] for each in fillings))
    (others, of_weight), (wanted, every) = found(told, namespace), found(untold, namespace)
    mask = mask_of(fillings, units)
    for ours, theirs in zip([*others, of_weight[mask]], [*wanted, every[mask]], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)  # rounding: products come in two parts
    assert (units == 6 and namespace == NATIVE) or not of_weight[~mask].any()


@crossed(
    {
        "name, solver": PAIRS,
        "hold": ["zero-order", "linear"],
        "given": [{}, {"lengths": LENGTHS}, {"lengths": LENGTHS, "save": "end"}],
        "dtype": list(UNITS),
        "engine": ["torch", pytest.param("native", marks=pytest.mark.kernels)],
    }
)
def test_a_registered_field_has_autograds_numbers(
    name: str, solver: str, hold: str, given: dict[str, Any], dtype: torch.dtype, engine: str
) -> None:
    def trained(dtype: torch.dtype, units: int, **facts: Any) -> list[Tensor]:
        torch.manual_seed(0)
        field = FIELDS[name](2, units, dtype=DOUBLE)
        torch.nn.init.normal_(field.get_submodule("input_map").bias)
        rnn = ODERNN(field.to(dtype), solver, dt=0.3, hold=hold, **facts)
        x, y0 = (
            torch.randn(*size, dtype=DOUBLE).to(dtype).requires_grad_()
            for size in ((TIME, BATCH, 2), (1, BATCH, units))
        )
        states = [each for each in rnn(x, y0, **given) if each is not None]
        loss = sum((each.sin().sum() for each in states), torch.zeros((), dtype=dtype))
        return [*states, *torch.autograd.grad(loss, [x, y0, *rnn.parameters()], materialize_grads=True)]

    wanted = trained(DOUBLE, UNITS[dtype], engine="torch", adjoint="autograd")
    for ours, theirs in zip(trained(dtype, UNITS[dtype], engine=engine), wanted, strict=True):
        assert (ours - theirs).abs().max() <= BOUNDS[dtype] * theirs.abs().max().clamp(min=1)


@pytest.mark.parametrize("namespace", [TORCH, pytest.param(NATIVE, marks=pytest.mark.kernels)])
@pytest.mark.parametrize("units", [6, 16])
@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        ((0, 2, 2, 2), "block 0 of row 0 is 'zero', and `weight` has other entries there"),
        ((2, 1, 2, 2), "block 1 of row 0 is 'diagonal', and"),
        ((2, 2, 1, 2), "block 0 of row 1 is 'diagonal', and"),
        ((2, 2, 2, 0), "block 1 of row 1 is 'zero', and"),
    ],
)
def test_what_the_program_says_of_k_and_is_not_so(
    blocks: tuple[int, ...], match: str, units: int, namespace: str
) -> None:
    made = replace(call(("dense",) * 4, units), weight_blocks=blocks)
    with pytest.raises(ValueError, match=match):
        getattr(torch.ops, namespace).solve(*made.arguments(), False)
