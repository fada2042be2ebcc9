"""A plan of the native kernels: its errors, its life, and calls from several threads."""

import copy
import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from odernn.engines.method import EULER
from odernn.engines.native.plan import Plan
from odernn.engines.program import Call
from tests.reference import LINEAR_METHODS

pytestmark = pytest.mark.kernels


def _call(batch: int = 2, time: int = 1, method: str = "euler") -> Call:
    torch.manual_seed(0)
    y0, weight, samples = torch.zeros(batch, 5), torch.randn(5, 5), torch.zeros(time, batch, 3)
    discretisation = LINEAR_METHODS.get(method, EULER)
    return Call(y0, weight, samples, discretisation, 0.1, input_weight=torch.randn(5, 3), bias=torch.randn(5))


def test_a_step_is_the_formula() -> None:
    call, x, y = _call(), torch.randn(2, 3), torch.randn(2, 5)
    assert call.input_weight is not None
    assert call.bias is not None
    after, nothing, is_finite = Plan(call).advance(x, y)
    expected = y + 0.1 * torch.tanh(y @ call.weight.T + x @ call.input_weight.T + call.bias)
    torch.testing.assert_close(after, expected)
    assert nothing.numel() == 0
    assert is_finite


def test_one_sample_is_wanted() -> None:
    with pytest.raises(ValueError, match="prepared with one sample"):
        Plan(_call(time=2))


def test_wrong_tensors() -> None:
    plan, x, y = Plan(_call(method="adams-bashforth3")), torch.zeros(2, 3), torch.zeros(2, 5)
    with pytest.raises(ValueError, match=r"`x` has shape \[3, 3\]; wanted \[2, 3\]"):
        plan.advance(torch.zeros(3, 3), y)
    with pytest.raises(ValueError, match="`y` has shape"):
        plan.advance(x, torch.zeros(3, 5))
    with pytest.raises(ValueError, match="not contiguous"):
        plan.advance(x, torch.zeros(5, 2).T)
    with pytest.raises(TypeError, match="made for Float"):
        plan.advance(x, y.double())
    with pytest.raises(TypeError, match="`x` has dtype Double"):
        plan.advance(x.double(), y)
    with pytest.raises(ValueError, match=r"`carried` has shape \[3, 2, 5\]; wanted \(1 to 2"):
        plan.advance(x, y, carried=torch.zeros(3, 2, 5))
    with pytest.raises(ValueError, match="`carried` has shape"):
        plan.advance(x, y, carried=torch.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="`coefficients` has shape"):
        plan.advance(x, y, coefficients=torch.zeros(1, 1, 1, 4))
    with pytest.raises(ValueError, match="`carried` has shape"):
        Plan(_call()).advance(x, y, carried=torch.zeros(1, 2, 5))
    with pytest.raises(ValueError, match="`before` has shape"):
        plan.advance(x, y, before=torch.zeros(2, 4))


def test_it_is_freed_with_its_last_reference() -> None:
    plan = Plan(_call())
    advance, number = plan._advance, plan._number
    same = copy.deepcopy(plan)
    del plan
    gc.collect()
    advance(number, torch.zeros(2, 3), torch.zeros(2, 5), None, None, None)
    del same
    gc.collect()
    with pytest.raises(IndexError, match="there is no plan"):
        advance(number, torch.zeros(2, 3), torch.zeros(2, 5), None, None, None)


def test_it_cannot_leave_its_process() -> None:
    with pytest.raises(TypeError, match="lives in the process"):
        pickle.dumps(Plan(_call()))


def test_calls_from_several_threads() -> None:
    plan = Plan(_call(batch=64))
    samples = [torch.randn(64, 3) for _ in range(64)]
    y = torch.randn(64, 5)
    expected = [plan.advance(x, y)[0] for x in samples]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: plan.advance(x, y)[0], samples))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
