"""What a training builds on the CPU before it begins."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.models.kernels import build_kernels
from benchmarks.models.learner import Learner
from benchmarks.objectives import Classification
from benchmarks.settings.names import RunName
from benchmarks.settings.parser import read_settings
from odernn import ODERNN, AntisymmetricField, ODERecurrence, SequenceNetwork, VectorField
from odernn.engines.traced.operator import FieldOperator
from solvers import Euler, ImplicitMidpoint, Solver
from tests.odernn.engines.native.builds import built
from tests.odernn.engines.native.fields import Every

SIZES = 2, 8
X = torch.zeros(3, 2, SIZES[0], dtype=torch.float64)


class Ranked(VectorField):
    """Units that see each other: no operators of elementwise parts have it."""

    def __init__(self, input_size: int, hidden_size: int, dtype: torch.dtype) -> None:
        super().__init__(input_size, hidden_size)
        self.input_map = nn.Linear(input_size, hidden_size, dtype=dtype)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return (u - y).sort(dim=-1).values


def runs_by_kernels(layer: ODERNN) -> bool:
    """Whether kernels that were compiled for the field run a call, and not only the recursion of its backward pass."""
    return isinstance(layer.choice(X).adjoint, FieldOperator)


def after_building(layer: ODERNN) -> ODERNN:
    build_kernels(nn.Sequential(nn.Identity(), layer))
    return layer


@pytest.mark.kernels
@pytest.mark.ahead.with_args(built)
def test_a_field_that_no_engine_has_kernels_for_gets_its_own(unoptimised: None) -> None:
    assert not runs_by_kernels(ODERNN(Every(), Euler(), dt=0.1))
    assert runs_by_kernels(after_building(ODERNN(Every(), Euler(), dt=0.1)))


@pytest.mark.kernels
@pytest.mark.ahead.with_args(built)
def test_a_training_begins_with_it(unoptimised: None) -> None:
    layer = ODERNN(Every(), Euler(), dt=0.1, batch_first=True)
    network = SequenceNetwork(ODERecurrence(layer), layer.field.hidden_size, 10)
    settings = read_settings(RunName("digits", "antisymmetric"))
    Learner(network, Classification(10), settings).on_fit_start()
    assert runs_by_kernels(layer)


def test_a_layer_that_names_torch_keeps_it() -> None:
    field = Every()
    before = set(vars(field))
    build_kernels(ODERNN(field, Euler(), dt=0.1, engine="torch"))
    assert set(vars(field)) == before


def test_a_field_without_kernels_goes_on_in_torch() -> None:
    layer = after_building(ODERNN(Ranked(*SIZES, dtype=torch.float64), Euler(), dt=0.1))
    assert layer.choice(X).engine == "torch"


@pytest.mark.parametrize("solver", [Euler(), ImplicitMidpoint()], ids=str)
def test_a_registered_field_is_left_as_it_is(solver: Solver) -> None:
    """It has kernels, and an implicit method takes none."""
    field = AntisymmetricField(*SIZES, dtype=torch.float64)
    before = set(vars(field))
    after_building(ODERNN(field, solver, dt=0.1))
    assert set(vars(field)) == before


def test_no_sample_is_made_up_to_ask_a_field() -> None:
    """A field may want samples of its own kind, as one that takes tokens does."""

    class Particular(Ranked):
        def control(self, x: Tensor) -> Tensor:
            pytest.fail("the field was called")

    build_kernels(ODERNN(Particular(*SIZES, dtype=torch.float64), Euler(), dt=0.1))
