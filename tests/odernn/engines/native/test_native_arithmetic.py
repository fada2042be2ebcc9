"""What the native kernels compute with: elementary functions, threads, rows that do not know of each other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn.engines import native
from odernn.engines.method import EULER
from odernn.engines.program import Call, Kind
from tests.odernn.engines.native.calls import (
    BOUND,
    CASES,
    METHODS,
    compare,
    make_call,
    saved_states_of,
)

pytestmark = pytest.mark.kernels


def elementary(kind: Kind, x: Tensor) -> Tensor:
    """tanh(x), or sigmoid(x) as the gate of tanh(50) = 1, read off one Euler step of length one from zero."""
    u = x[None, :, None]
    u = u if kind == "tanh" else torch.cat((torch.full_like(u, 50.0), u), -1)
    zero = torch.zeros(len(x), 1, dtype=x.dtype)
    call = Call(zero, torch.zeros(1, 1, dtype=x.dtype), u.contiguous(), EULER, 1.0, kind=kind)
    return native.solve(call, save=False).last[:, 0]


@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_the_elementary_functions_are_off_by_three_units_in_the_last_place_at_most(kind: Kind) -> None:
    x = torch.cat((torch.linspace(-90, 90, 200_001), torch.linspace(-1, 1, 200_001), torch.logspace(-30, 0, 50_001)))
    exact = torch.tanh(x.double()) if kind == "tanh" else torch.sigmoid(x.double())
    unit = 2.0 ** (torch.floor(torch.log2(exact.abs().clamp_min(2.0**-126))) - 23)
    error = (elementary(kind, x).double() - exact).abs() / unit
    if kind == "gated-tanh":
        error = error[x > -87]  # below, the kernel stays at exp(-87)
    assert float(error.max()) <= 3


@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_the_elementary_functions_in_double_precision(kind: Kind) -> None:
    x = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    exact = torch.tanh(x) if kind == "tanh" else torch.sigmoid(x)
    error = ((elementary(kind, x) - exact) / exact).nan_to_num().abs().max()
    assert float(error) < 8e-16  # 3.6 times 2^-52, torch's own error in it


def test_what_is_not_a_number_stays_so() -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
    assert torch.isnan(elementary("tanh", x)[0])
    assert elementary("tanh", x)[1:].tolist() == [1.0, -1.0, 0.0, 0.0]
    assert torch.isnan(elementary("gated-tanh", x)[0])
    assert elementary("gated-tanh", x)[1] == 1.0
    assert elementary("gated-tanh", x)[2] < 2e-38


@pytest.mark.parametrize("name", METHODS)
def test_threads_change_nothing_but_the_order_of_sums(name: str) -> None:
    call = make_call(METHODS[name], batch=13, units=32, times=20, dt="batch", dtype=torch.float32)
    results = []
    for threads in (1, 2, 2, 5):
        torch.set_num_threads(threads)
        saved, kept = saved_states_of(call), native.solve(call, save=True).kept
        results.append((saved, native.pull_back(call, saved, kept, grad_saved=saved)))
    first, reference_gradients = results[0]
    for saved, gradients in results[1:]:
        assert torch.equal(saved, first)
        assert torch.equal(gradients.y0, reference_gradients.y0)
        close = torch.allclose(gradients.weight, reference_gradients.weight, rtol=1e-4, atol=1e-4)
        assert close  # sums of 260 terms of size ten
    assert torch.equal(results[1][1].weight, results[2][1].weight)


def test_rows_do_not_know_of_each_other() -> None:
    call = make_call(EULER, batch=9, units=32, times=20)
    alone = dataclasses.replace(call, y0=call.y0[4:5].contiguous(), samples=call.samples[:, 4:5].contiguous())
    whole, one = saved_states_of(call), saved_states_of(alone)
    assert torch.allclose(whole[:, 4:5], one, rtol=0, atol=1e-14)  # register tiles of one row may sum in another order


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_one_row_of_one_unit(name: str, kind: Kind) -> None:
    units = 2 if METHODS[name].family == "shears" else 1
    compare(make_call(METHODS[name], kind=kind, batch=1, units=units, hold="linear", substeps=2), 1e-10)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_is_not_a_number_stays_in_its_row(name: str, kind: Kind) -> None:
    call = make_call(METHODS[name], kind=kind, batch=9, units=34, dt="batch", hold="linear")
    spoilt = dataclasses.replace(call, samples=call.samples.clone())
    spoilt.samples[2, 4] = float("nan")
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    results = []
    for one in (call, spoilt):
        saved, kept = saved_states_of(one), native.solve(one, save=True).kept
        facts: dict[str, Any] = {"want_samples": True, "want_dt": True}
        found = native.pull_back(one, saved, kept, grad_last=torch.ones_like(one.y0), **facts)
        assert found.samples is not None
        assert found.dt is not None
        results.append((saved[:, others], found.y0[others], found.samples[:, others], found.dt[others]))
        assert bool(torch.isnan(saved[-1, 4]).all()) == (one is spoilt)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_tensors_may_begin_at_any_number(name: str, kind: Kind) -> None:
    """As slices of other tensors do: no alignment but that of their dtype is asked for."""

    def moved(x: Tensor) -> Tensor:
        buffer = x.new_empty(x.numel() + 1)
        buffer[1:] = x.flatten()
        return buffer[1:].view(x.shape)

    call = make_call(METHODS[name], kind=kind, units=64, dt="time", dtype=torch.float32)
    tensors = {
        f: moved(x)
        for f in ("y0", "weight", "samples", "input_weight", "bias", "dt")
        if (x := getattr(call, f)) is not None
    }
    saved = saved_states_of(call)
    elsewhere = dataclasses.replace(call, **tensors)
    assert torch.equal(saved, saved_states_of(elsewhere))
    kept = native.solve(call, save=True).kept
    wanted = native.pull_back(call, saved, kept, grad_saved=saved, want_samples=True)
    kept = None if kept is None else moved(kept)
    found = native.pull_back(elsewhere, moved(saved), kept, grad_saved=moved(saved), want_samples=True)
    assert all(
        a is b is None or (a is not None and b is not None and a.equal(b)) for a, b in zip(wanted, found, strict=True)
    )


@pytest.mark.parametrize("name", ["rk4", "leapfrog", "adams-bashforth2"])
def test_the_gradient_of_the_saved_states_may_lie_anyhow(name: str) -> None:
    call = make_call(METHODS[name], batch=5, units=10, times=7, substeps=2)
    solution = native.solve(call, save=True)
    saved = solution.saved
    assert saved is not None
    time, batch, units = saved.shape
    for gradient in (
        torch.randn(batch, units, dtype=saved.dtype).expand(time, -1, -1),  # of a mean over time
        torch.randn(time, units, dtype=saved.dtype).unsqueeze(1).expand(-1, batch, -1),
        torch.randn(time, batch, 1, dtype=saved.dtype).expand(-1, -1, units),
        torch.randn((), dtype=saved.dtype).expand(saved.shape),
        torch.randn(batch, time, units, dtype=saved.dtype).transpose(0, 1),  # of a layer with the batch first
        torch.randn(units, batch, time, dtype=saved.dtype).movedim(2, 0).transpose(1, 2),
    ):
        assert not gradient.is_contiguous()
        wanted = native.pull_back(call, saved, solution.kept, grad_saved=gradient.contiguous(), want_samples=True)
        found = native.pull_back(call, saved, solution.kept, grad_saved=gradient, want_samples=True)
        for field in ("y0", "weight", "input_weight", "bias", "samples"):
            assert torch.equal(getattr(found, field), getattr(wanted, field)), field


def test_results_do_not_share_memory() -> None:
    call = make_call(EULER, batch=16, units=128, times=300, dtype=torch.float32)  # large enough for the pool
    first, second = saved_states_of(call), saved_states_of(call)
    assert first.data_ptr() != second.data_ptr()
    copy = first.clone()
    del second
    native.solve(call, save=True)
    assert torch.equal(first, copy)
    native.release_memory()


@pytest.mark.parametrize("rows", [1, 16, 23, 40])
@pytest.mark.parametrize("name", METHODS)
def test_rows_of_zeros_in_the_weight_change_nothing(name: str, rows: int) -> None:
    """The first of them are not multiplied, but have gradients."""
    call = make_call(METHODS[name], units=40, batch=5)
    weight = call.weight.clone()
    weight[:rows] = 0
    compare(dataclasses.replace(call, weight=weight), BOUND[torch.float64])
