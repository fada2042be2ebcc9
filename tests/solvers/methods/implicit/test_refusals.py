"""What the implicit methods refuse, each in words: half precision, tolerances below a rounding, torch.func."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField, GatedAntisymmetricField
from odernn.fields import TanhField
from solvers import AverageVectorField, BackwardEuler, ConvergenceError, ImplicitMidpoint, ImplicitSolver, Trapezoidal
from tests import children
from tests.solvers.methods.implicit.formulas import DOUBLE, WAYS

ALL = [BackwardEuler, ImplicitMidpoint, Trapezoidal, AverageVectorField]


def decay(t: float, y: Tensor) -> Tensor:
    return -y


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(method: type[ImplicitSolver], dtype: torch.dtype) -> None:
    for way in WAYS:
        with pytest.raises(TypeError, match=rf"`y0` is {dtype}, and {method.__name__} .* torch.float32"):
            method(method=way).step(decay, 0.0, 0.1, torch.ones(2, dtype=dtype), ())
    rnn = ODERNN(AntisymmetricField(2, 4, dtype=dtype), method(), dt=0.1)
    with pytest.raises(TypeError, match=f"`y0` is {dtype}"):
        rnn(torch.ones(3, 1, 2, dtype=dtype))


@pytest.mark.parametrize("way", WAYS)
def test_a_tolerance_below_a_rounding_is_refused(way) -> None:
    with pytest.raises(ValueError, match=r"`tolerance` is 1e-20, below one rounding of torch.float64, 2.22e-16"):
        BackwardEuler(method=way, tolerance=1e-20)
    solver = BackwardEuler(method=way, tolerance=1e-10)
    with pytest.raises(ValueError, match=r"`tolerance` is 1e-10, below one rounding of torch.float32, 1.19e-07"):
        solver.step(decay, 0.0, 0.1, torch.ones(2), ())
    after, _ = solver.step(decay, 0.0, 0.1, torch.ones(2, dtype=DOUBLE), ())
    torch.testing.assert_close(after, torch.full_like(after, 1 / 1.1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("method", ALL)
def test_torch_func_is_refused(method: type[ImplicitSolver]) -> None:
    def step(y: Tensor) -> Tensor:
        return method().step(decay, 0.0, 0.1, y, ())[0]

    y = torch.ones(2, 3, dtype=DOUBLE)
    transforms = (torch.func.vmap(step), torch.func.jacrev(step), torch.func.grad(lambda y: step(y).sum()))
    for transformed in transforms:
        with pytest.raises(NotImplementedError, match=rf"{method.__name__} reads back .* torch.autograd.grad"):
            transformed(y)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("field", [AntisymmetricField, GatedAntisymmetricField])
def test_inference_mode_gives_the_same(method: type[ImplicitSolver], field: type[TanhField]) -> None:
    rnn = ODERNN(field(2, 4, sigma_w=4.0, dtype=DOUBLE), method(), dt=0.5)
    x, steps = torch.randn(5, 3, 2, dtype=DOUBLE), torch.full((3, 5), 0.5, dtype=DOUBLE)
    with torch.no_grad():
        expected, _ = rnn(x)
    with torch.inference_mode():
        made_there, _ = rnn(x.clone(), dt=steps.clone())
    torch.testing.assert_close(made_there, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", ALL)
def test_a_right_hand_side_of_tensors_made_in_inference_mode(method: type[ImplicitSolver]) -> None:
    # Autograd saves no such tensor for a backward pass, and the derivative of a product asks for it.
    with torch.inference_mode():
        rate = torch.linspace(0.5, 2.0, 3, dtype=DOUBLE)
        got, _ = method().step(lambda t, y: -rate * torch.sinh(y), 0.0, 0.5, torch.ones(3, dtype=DOUBLE), ())
    rate = torch.linspace(0.5, 2.0, 3, dtype=DOUBLE)
    expected, _ = method().step(lambda t, y: -rate * torch.sinh(y), 0.0, 0.5, torch.ones(3, dtype=DOUBLE), ())
    torch.testing.assert_close(got, expected, rtol=1e-14, atol=0)


# The error -----------------------------------------------------------------------------------------------------------


def fail() -> None:
    """A step that has no root, in a process of its own."""
    BackwardEuler().step(lambda t, y: y * y, 0.5, 1.0, torch.ones(1, dtype=DOUBLE), ())


def test_the_error_survives_pickle_and_copy() -> None:
    with pytest.raises(ConvergenceError) as caught:
        fail()
    error = caught.value
    error.add_note("a note")
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(other) is ConvergenceError
        assert str(other) == str(error)
        assert "did not converge at t = 1.5 in sample 0" in str(other)
        assert (other.residuals, other.time, other.row) == (error.residuals, 1.5, 0)
        assert other.__notes__ == ["a note"]


def test_the_error_comes_back_from_a_process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=children.context()) as pool:
        error = pool.submit(fail).exception()  # it waits for ever if the error does not unpickle
    assert isinstance(error, ConvergenceError)
    assert error.time == 1.5
