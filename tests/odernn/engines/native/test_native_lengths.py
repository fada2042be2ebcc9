"""Law: rows of several lengths in one call of the native kernels are what each row is in a call of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN
from odernn.engines import native
from odernn.engines.method import Method, exponential
from odernn.engines.operators import NATIVE, TORCH
from odernn.engines.problem import Storage, packed_samples
from odernn.engines.program import Call, Hold, Kind
from odernn.layer.segments import PIECE
from solvers import ETDRK2
from tests.odernn.engines.native.calls import BOUND, METHODS, make_call, saved_states_of
from tests.pairs import crossed

pytestmark = pytest.mark.kernels

LENGTHS = (9, 9, 7, 7, 6, 2, 1)
TIME, BATCH = LENGTHS[0], len(LENGTHS)
PLACES = sum(LENGTHS) + 5  # five that no row has
ETD = exponential(ETDRK2.tableau.flow_entries, ETDRK2.tableau.a_entries, ETDRK2.tableau.b_entries, ETDRK2.tableau.c)
STARTS_LONG = ("adams-bashforth3", "everything")  # three vectors, which a sequence of one step does not make
EVERY = METHODS | {"exponential": ETD}


def padded_call(method: Method, **facts: Any) -> Call:
    """The call with every row as long as the longest; what lies beyond a row's own length is NaN."""
    blocks = None
    if method.family == "exponential":
        blocks = torch.randn(1, len(ETDRK2.tableau.functions), 2, 2, facts.get("units", 6) // 2, dtype=torch.float64)
    kept = METHODS["euler"] if blocks is not None else method
    call = make_call(kept, batch=BATCH, times=TIME, **facts)
    beyond = torch.arange(TIME).unsqueeze(1) >= torch.tensor(LENGTHS)
    samples = call.samples.masked_fill(beyond.unsqueeze(-1), float("nan"))
    return replace(call, method=method, samples=samples, blocks=None if blocks is None else 0.3 * blocks.to(samples))


def together(call: Call, *, packed: bool) -> Call:
    """The same as rows of several lengths, whose samples lie in any order."""
    number, row = packed_samples(torch.tensor(LENGTHS))
    index = torch.randperm(PLACES)[: len(number)]
    samples = call.samples.new_full((PLACES, call.samples.shape[-1]), float("nan"))
    samples[index] = call.samples[number, row]
    dt = call.dt
    if isinstance(dt, Tensor) and dt.ndim:
        dt = dt.expand(BATCH, TIME)[row, number]
    return replace(call, samples=samples, dt=dt, index=index, lengths=torch.tensor(LENGTHS), packed=packed)


def alone(call: Call, b: int) -> Call:
    """One row of the padded call, to its own end."""
    of_row: dict[str, Any] = {
        name: None if (value := getattr(call, name)) is None else value[b : b + 1] for name in ("y0", "before")
    }
    if call.carried is not None:
        of_row["carried"] = call.carried[:, b : b + 1].contiguous()
    if call.coefficients is not None:
        of_row["coefficients"] = call.coefficients.expand(-1, -1, BATCH, -1)[: LENGTHS[b], :, b : b + 1].contiguous()
    dt = call.dt
    if isinstance(dt, Tensor) and dt.ndim:
        dt = dt.expand(BATCH, TIME)[b, : LENGTHS[b]].contiguous()
    return replace(call, samples=call.samples[: LENGTHS[b], b : b + 1].contiguous(), dt=dt, **of_row)


def states_of(call: Call, b: int, saved: Tensor) -> Tensor:
    """The saved states of a row, in the order of time."""
    assert call.index is not None
    _, row = packed_samples(torch.tensor(LENGTHS))
    each = call.substeps if call.method.family == "general-linear" else 1
    if not call.packed:
        return saved.unflatten(0, (-1, each))[call.index[row == b]].flatten(0, 1)
    at = torch.stack([torch.tensor(LENGTHS).clamp(max=n).sum() for n in range(TIME)])  # the samples before a time
    having = torch.tensor([sum(length > n for length in LENGTHS) for n in range(TIME)])
    steps = [int(at[n]) * each + int(having[n]) * k + b for n in range(LENGTHS[b]) for k in range(each)]
    return saved[steps]


@crossed(
    {
        "method": list(EVERY),
        "kind": ["tanh", "gated-tanh", "linear-plus-tanh"],
        "hold": ["zero-order", "linear"],
        "dt": ["number", "scalar", "batch"],
        "substeps": [1, 3],
        "units": [6, 16],  # padded to whole vectors, or not
        "dtype": [torch.float64, torch.float32],
        "packed": [False, True],
        "carry": [False, True],
    },
    where=lambda method, kind, hold, dt, substeps, units, dtype, packed, carry: (
        (EVERY[method].family != "shears" or kind == "tanh")
        and (EVERY[method].family != "exponential" or kind != "linear-plus-tanh")
        and (EVERY[method].family == "general-linear" or not carry)
        and (carry or substeps > 1 or method not in STARTS_LONG)
    ),
)
@pytest.mark.parametrize("threads", [1, 3])
def test_each_row_is_as_if_alone(
    method: str,
    kind: Kind,
    hold: Hold,
    dt: str,
    substeps: int,
    units: int,
    dtype: torch.dtype,
    packed: bool,
    carry: bool,
    threads: int,
) -> None:
    facts = {"kind": kind, "hold": hold, "dt": dt, "substeps": substeps, "units": units, "dtype": dtype}
    padded = padded_call(EVERY[method], carry=carry, before=hold == "linear", **facts)
    call = together(padded, packed=packed)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check(padded, call, BOUND[dtype])
    finally:
        torch.set_num_threads(before)


def check(padded: Call, call: Call, bound: float) -> None:
    assert call.index is not None
    found = native.solve(call, save=True)
    assert found.saved is not None
    grads = [torch.randn_like(each) for each in (found.saved, found.last)]
    facts: dict[str, Any] = {"want_samples": True, "want_dt": True}
    back = native.pull_back(call, found.saved, found.kept, grad_saved=grads[0], grad_last=grads[1], **facts)
    sums: dict[str, Tensor] = {}
    _, row = packed_samples(torch.tensor(LENGTHS))
    for b in range(BATCH):
        one = alone(padded, b)
        wanted = native.solve(one, save=True)
        assert wanted.saved is not None
        close(states_of(call, b, found.saved), wanted.saved[:, 0], bound)
        close(found.last[b], wanted.last[0], bound)
        if wanted.carried is not None and found.carried is not None:
            close(found.carried[:, b], wanted.carried[:, 0], bound)
        theirs = native.pull_back(
            *(one, wanted.saved, wanted.kept),
            grad_saved=states_of(call, b, grads[0]).unsqueeze(1).contiguous(),
            grad_last=grads[1][b : b + 1],
            **facts,
        )
        for name in ("y0", "before"):
            if (mine := getattr(back, name)) is not None:
                close(mine[b : b + 1], getattr(theirs, name), bound)
        if back.carried is not None and theirs.carried is not None:
            close(back.carried[:, b], theirs.carried[:, 0], bound)
        if back.coefficients is not None and theirs.coefficients is not None:
            close(back.coefficients[: LENGTHS[b], :, b], theirs.coefficients[:, :, 0], bound)
        assert back.samples is not None
        assert theirs.samples is not None
        assert back.dt is not None
        assert theirs.dt is not None
        close(back.samples[call.index[row == b]], theirs.samples[:, 0], bound)
        close(back.dt[row == b], theirs.dt[0], bound)
        for name in ("weight", "input_weight", "bias", "blocks"):
            if (mine := getattr(theirs, name)) is not None:
                sums[name] = sums.get(name, torch.zeros_like(mine)) + mine
    for name, total in sums.items():
        close(getattr(back, name), total, bound)
    empty = torch.ones(PLACES, dtype=torch.bool).index_fill_(0, call.index, False)
    assert back.samples is not None
    assert not back.samples[empty].any()
    if not call.packed:
        assert not found.saved.unflatten(0, (PLACES, -1))[empty].any()


def close(found: Tensor, wanted: Tensor, bound: float) -> None:
    # a gradient of fifty steps of two or three terms each, of size one
    torch.testing.assert_close(found, wanted, rtol=10 * bound, atol=10 * bound)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("method", ["rk4", "leapfrog", "exponential"])
def test_rows_without_a_sample_end_where_they_begin(method: str, threads: int) -> None:
    call = together(padded_call(EVERY[method], hold="linear", before=True), packed=False)
    assert call.lengths is not None
    assert call.before is not None
    y0, before = (torch.cat((each, torch.randn_like(each[:5]))) for each in (call.y0, call.before))
    more = replace(call, y0=y0, before=before, lengths=torch.cat((call.lengths, call.lengths.new_zeros(5))))
    gradient, at = torch.randn_like(y0), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wanted, found = native.solve(call, save=True), native.solve(more, save=True)
        assert wanted.saved is not None
        assert found.saved is not None
        last = gradient[:BATCH].contiguous()
        theirs = native.pull_back(call, wanted.saved, wanted.kept, grad_last=last, want_samples=True)
        back = native.pull_back(more, found.saved, found.kept, grad_last=gradient, want_samples=True)
    finally:
        torch.set_num_threads(at)
    close(found.saved, wanted.saved, BOUND[torch.float64])
    close(found.last, torch.cat((wanted.last, y0[BATCH:])), BOUND[torch.float64])
    close(back.y0, torch.cat((theirs.y0, gradient[BATCH:])), BOUND[torch.float64])
    for name in ("weight", "samples", "input_weight", "bias"):
        close(getattr(back, name), getattr(theirs, name), BOUND[torch.float64])
    assert back.before is not None
    assert not back.before[BATCH:].any()


def test_a_method_with_memory_wants_a_sample_of_each_row() -> None:
    call = together(padded_call(METHODS["leapfrog-midpoint"], carry=True), packed=False)
    assert call.lengths is not None
    lengths = call.lengths.clone()
    lengths[0], lengths[-1] = lengths[0] + 1, 0
    with pytest.raises(ValueError, match="too short to start the method in"):
        native.solve(replace(call, lengths=lengths), save=True)


@pytest.mark.parametrize("method", ["reversible-heun", "adams-bashforth2"])
def test_what_is_kept_where_no_row_has_a_sample_is_zero(method: str) -> None:
    """Whatever lay in that memory before."""
    call = together(padded_call(EVERY[method], dt="batch", substeps=2), packed=False)
    assert call.index is not None
    arguments = call.arguments()
    unused = torch.ones(PLACES, dtype=torch.bool).index_fill(0, call.index, False)
    for _ in range(20):
        *_, kept = torch.ops.odernn_native.solve(*arguments, True)
        assert kept.numel()
        assert not kept.unflatten(1, (PLACES, -1))[:, unused].any()
        kept.fill_(1e281)  # the next one may get this memory


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own while it traces
@crossed(
    {"method": ["rk4", "leapfrog", "reversible-heun", "adams-bashforth2", "exponential"], "packed": [False, True]},
    strength=1,
)
def test_opcheck(method: str, packed: bool) -> None:
    call = together(padded_call(EVERY[method], dt="batch", hold="linear", before=True), packed=packed)
    tensors = {
        name: value.clone().requires_grad_()
        for name in ("y0", "weight", "samples", "input_weight", "bias", "before", "dt", "coefficients", "blocks")
        if isinstance(value := getattr(call, name), Tensor)
    }
    tensors["samples"] = call.samples.nan_to_num(0.0).requires_grad_()  # the checks compare values
    arguments = replace(call, **tensors).arguments()
    assert set(torch.library.opcheck(torch.ops.odernn_native.solve.default, (*arguments, True)).values()) == {"SUCCESS"}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"lengths": torch.tensor([9, 9, 7, 7, 6, 1, 2])}, ValueError, "`lengths` at 6 is 2.*the largest first"),
        ({"lengths": torch.tensor([9, 9, 7, 7, 6, 3, -1])}, ValueError, "`lengths` at 6 is -1"),
        ({"lengths": torch.tensor([0, 0, 0, 0, 0, 0, 0])}, ValueError, "`lengths` at 0 is 0"),
        ({"lengths": torch.tensor([9, 9, 7, 7, 6, 1, 1])}, ValueError, "`lengths` has the sum 40 and `index` 41"),
        ({"lengths": torch.tensor([9, 9, 9, 9, 9, 9, 9])}, ValueError, "`lengths` has a sum above 41"),
        ({"lengths": torch.tensor([9, 9])}, ValueError, r"`lengths` has shape \[2\]"),
        ({"lengths": torch.ones(7)}, TypeError, "`lengths` has dtype"),
        ({"lengths": None}, ValueError, "both `index` and `lengths`"),
        ({"index": torch.zeros(41, dtype=torch.int64)}, ValueError, "`index` has the entry 0 twice"),
        ({"index": torch.arange(10, 51)}, ValueError, "`index` has the entry 46 and `samples` 46 rows"),
        ({"index": torch.arange(82)[::2]}, ValueError, "`index` is not contiguous"),
        ({"dt": torch.ones(7, 9, dtype=torch.float64)}, ValueError, r"`dt` has shape \[7, 9\]; with `lengths`"),
        ({"samples": torch.randn(9, 7, 2, dtype=torch.float64)}, ValueError, r"with `lengths` wanted \(places"),
        ({"index": None, "lengths": None, "packed": True}, ValueError, "`packed` is true and there are no `lengths`"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], error: type[Exception], said: str) -> None:
    call = together(padded_call(METHODS["euler"]), packed=False)
    with pytest.raises(error, match=said):
        native.solve(replace(call, **change), save=True)


def test_the_torch_engine_refuses_them() -> None:
    call = together(padded_call(METHODS["euler"]), packed=False)
    with pytest.raises(NotImplementedError, match="take no `lengths`"):
        getattr(torch.ops, TORCH).solve(*call.arguments(), True)


@pytest.mark.parametrize("given", ["lengths", "mask", "resets"])
def test_a_layer_makes_one_call(given: str) -> None:
    """However much a piece more would save."""
    rnn, time, batch = ODERNN(FIELDS["antisymmetric"](2, 4), "rk4", dt=0.1, engine="native"), 2 * PIECE, 3
    x = torch.randn(time, batch, 2)
    options: dict[str, Any] = {
        "lengths": {"lengths": [time, 5, 1000]},
        "mask": {"mask": torch.rand(time, batch) < 0.5},
        "resets": {"resets": torch.rand(time, batch) < 0.1},
    }[given]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        output, y_n = rnn(x, **options)
        (output.sum() + y_n.sum()).backward()
    calls = {event.key: event.count for event in profile.key_averages()}
    assert calls[f"{NATIVE}::solve"] == calls[f"{NATIVE}::pull_back"] == 1


def test_where_the_last_samples_stand() -> None:
    number, row = packed_samples(torch.tensor(LENGTHS))
    ends = Storage(torch.arange(len(number)), torch.tensor(LENGTHS)).ends
    assert row[ends].tolist() == list(range(BATCH))
    assert (number[ends] + 1).tolist() == list(LENGTHS)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("units", [6, 32])  # padded to whole vectors, and not
def test_the_gradient_of_the_saved_states_may_lie_anyhow(units: int, packed: bool) -> None:
    call = together(padded_call(METHODS["rk4"], units=units), packed=packed)
    saved = saved_states_of(call)
    places = len(saved)
    for gradient in (
        torch.randn(units, dtype=saved.dtype).expand(places, -1),  # of a sum over time
        torch.randn(places, 1, dtype=saved.dtype).expand(-1, units),
        torch.randn(units, places, dtype=saved.dtype).T,
        torch.randn(places, 2 * units, dtype=saved.dtype)[:, ::2],
    ):
        assert not gradient.is_contiguous()
        wanted = native.pull_back(call, saved, grad_saved=gradient.contiguous())
        found = native.pull_back(call, saved, grad_saved=gradient)
        assert torch.equal(found.y0, wanted.y0)
        assert torch.equal(found.weight, wanted.weight)
