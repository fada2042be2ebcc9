"""Law: on a device the Triton kernels give the torch engine's numbers, to the rounding that each precision states."""

import copy
from collections.abc import Iterator
from typing import Literal

import pytest
import torch

from odernn import ODERNN, AntisymmetricField
from odernn.engines.operators import TORCH, TRITON, Cotangents, Wants
from odernn.engines.program import Operands
from odernn.engines.torch import operators
from odernn.engines.torch.graphs import _played
from odernn.engines.torch.in_blocks import pull_back_in_blocks, solve_in_blocks
from odernn.engines.triton import programs
from tests.odernn.engines.triton.cases import (
    Case,
    call,
    cases,
    cases_of_networks,
    error,
    numbers,
    numbers_of_networks,
    one_by_one,
    wide_cases,
)
from tests.odernn.engines.triton.networks import networks, trained
from tests.odernn.engines.triton.ragged import Ragged, ragged, run

# Of the largest entry, through ten steps: three TF32 products are as good as float32; TF32 keeps 10 bits of an operand
# and bfloat16 7, and a sum over all times and rows averages what is left.
BOUNDS = {"highest": 2e-5, "high": 2e-2, "medium": 1e-1}


@pytest.fixture(params=BOUNDS)
def precision(request: pytest.FixtureRequest) -> Iterator[Literal["highest", "high", "medium"]]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_values_and_gradients(case: Case, precision: str) -> None:
    want = numbers(TORCH, call(case, torch.float64, "cpu"))
    assert error(numbers(TRITON, call(case, torch.float32, "cuda")), want) < BOUNDS[precision]


@pytest.mark.parametrize("case", wide_cases(), ids=str)
def test_networks_whose_weights_programs_share(case: Case, precision: str) -> None:
    want = numbers(TORCH, call(case, torch.float64, "cpu"))
    assert error(numbers(TRITON, call(case, torch.float32, "cuda")), want) < BOUNDS[precision]


@pytest.mark.parametrize("case", wide_cases(), ids=str)
def test_networks_whose_weights_are_streamed(case: Case, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a card whose programs have no room for their part of K."""
    monkeypatch.setattr(programs, "room_on", lambda _: 0)
    want = numbers(TORCH, call(case, torch.float64, "cpu"))
    assert error(numbers(TRITON, call(case, torch.float32, "cuda")), want) < BOUNDS[precision]


@pytest.mark.parametrize("case", cases_of_networks(), ids=str)
def test_several_networks_at_once(case: Case, precision: str) -> None:
    want = one_by_one([call(case, torch.float64, "cpu", seed) for seed in range(3)])
    have = numbers_of_networks(TRITON, [call(case, torch.float32, "cuda", seed) for seed in range(3)])
    assert error(have, want) < BOUNDS[precision]


@pytest.mark.parametrize("case", ragged(), ids=str)
def test_sequences_of_several_lengths(case: Ragged) -> None:
    have, taken = run(case, "triton", torch.float32, "cuda")
    assert taken
    assert all(taken)
    want, _ = run(case, "torch", torch.float64, "cpu")
    assert error(have, want) < BOUNDS["highest"]


def test_autocast_rounds_the_products_and_not_the_state() -> None:
    torch.manual_seed(0)
    rnn, x = ODERNN(AntisymmetricField(2, 64), "rk4", dt=0.1).cuda(), torch.randn(20, 5, 2, device="cuda")
    with torch.no_grad():
        want, _ = rnn(x)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            have, _ = rnn(x)
    assert have.dtype == torch.float32
    assert 0 < float((have - want).abs().max() / want.abs().max()) < BOUNDS["medium"]


@pytest.mark.parametrize("network", networks())
def test_fields_of_ones_own(network: str) -> None:
    want = trained(network, "torch", torch.float64, "cpu")
    assert error(trained(network, "triton", torch.float32, "cuda"), want) < BOUNDS["highest"]


@pytest.mark.parametrize("case", cases(), ids=str)
def test_graphs_play_what_they_were_made_for_again(case: Case) -> None:
    """The torch engine's graphs, with a block of two intervals; each is played twice, on other numbers."""
    made = call(case, torch.float64, "cuda")
    given, program = made.operands, made.program
    other = Operands(*(each if each is None or not each.ndim else each * 0.9 for each in given))
    for operands in (given, other, given):
        want = operators.solve(operands, program, True)
        have = solve_in_blocks(_played(operators.solve), 2, operands, program, True)
        ones = Cotangents(want[0], want[3], *(torch.ones_like(each) if each.numel() else None for each in want[:3]))
        back = (operands, program, ones, Wants(True, True))
        wanted = operators.pull_back(*back)
        found = pull_back_in_blocks(_played(operators.pull_back), 2, *back)
        for one, same in zip((*have, *found), (*want, *wanted), strict=True):
            assert torch.allclose(one, same, rtol=1e-11, atol=1e-11)


def test_a_wide_network_is_played_by_graphs() -> None:
    torch.manual_seed(0)
    rnn = ODERNN(AntisymmetricField(1, 300), "rk4", dt=0.03, batch_first=True).to("cuda", torch.float64)
    x = torch.randn(4, 100, 1, device="cuda", dtype=torch.float64)
    assert rnn.choice(x).engine == "torch"
    loop = ODERNN(rnn.field, "rk4", dt=0.03, batch_first=True, adjoint="autograd")
    found = []
    for network in (rnn, rnn, loop):
        network.zero_grad()
        output, _ = network(x)
        output.square().sum().backward()
        found.append([output.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)])
    for again, other in zip(found[1], found[2], strict=True):
        assert torch.allclose(again, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("units", "rows"), [(128, 333), (200, 333), (500, 100), (500, 3000)])
def test_a_long_sequence_of_many_rows_has_the_same_numbers_every_time(units: int, rows: int) -> None:
    """A race would show as numbers that change from run to run; streamed products go through memory."""
    rnn = ODERNN(AntisymmetricField(1, units), "rk4", dt=0.03).cuda()
    x = torch.randn(200, rows, 1, device="cuda")
    assert rnn.choice(x).engine == "triton"
    found = []
    for _ in range(3):
        rnn.zero_grad()
        output, _ = rnn(x)
        output.square().mean().backward()
        found.append([output.detach(), *(p.grad.clone() for p in rnn.parameters() if p.grad is not None)])
    for one, other in zip(found[0], found[-1], strict=True):
        assert torch.equal(one, other)


def test_more_than_two_to_the_thirty_one_entries() -> None:
    """64-bit offsets: 800 x 21,000 x 128 states are 2.15 billion entries, 8.6 GB."""
    if torch.cuda.mem_get_info()[0] < 24 << 30:
        pytest.skip("it needs 24 GB of the device's memory")
    rnn = ODERNN(AntisymmetricField(1, 128), "euler", dt=0.03).cuda()
    x = torch.randn(800, 21_000, 1, device="cuda")
    with torch.no_grad():
        output, _ = rnn(x)
        some, _ = rnn(x[:, -100:])
    assert torch.equal(output[:, -100:], some)


# torch says so of its own capture: the gradients of leaves are accumulated on the stream on which it made the graph.
@pytest.mark.filterwarnings("ignore:The AccumulateGrad node.s stream does not match:UserWarning")
@pytest.mark.parametrize(("units", "solver"), [(32, "euler"), (128, "rk4"), (300, "heun")])
def test_a_cuda_graph_of_a_users_plays_the_network(units: int, solver: str) -> None:
    """torch.cuda.make_graphed_callables; 300 units are spread over programs that are launched together."""
    torch.manual_seed(0)
    rnn = ODERNN(AntisymmetricField(2, units), solver, dt=0.03, on_divergence="ignore").cuda()
    x = torch.randn(20, 8, 2, device="cuda", requires_grad=True)
    assert rnn.choice(x).engine == "triton"
    played = copy.deepcopy(rnn)
    torch.cuda.make_graphed_callables(played, (x,))
    for _ in range(2):  # other values than those that it was made with, at other addresses
        again = torch.randn_like(x)
        found = []
        for network in (rnn, played):
            given = again.clone().requires_grad_()
            network.zero_grad()
            output, y_n = network(given)
            (output.square().sum() + y_n.sum()).backward()
            assert given.grad is not None
            grads = [p.grad.clone() for p in network.parameters() if p.grad is not None]
            found.append([output.detach().clone(), given.grad, *grads])
        for one, other in zip(*found, strict=True):
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)  # cuBLAS may sum otherwise in a graph


def test_the_engine_can_be_asked_why() -> None:
    wide = ODERNN(AntisymmetricField(1, 1024), "euler", dt=0.03).cuda()
    choice = wide.choice(torch.randn(2, 2, 1, device="cuda"))
    assert choice.engine == "torch"
    assert "shared memory" in choice.reason
    assert "up to 512 units" in choice.reason
    streamed = ODERNN(AntisymmetricField(1, 512), "euler", dt=0.03).cuda().choice(torch.randn(2, 2, 1, device="cuda"))
    assert streamed.engine == "triton"
    assert "K is spread over idle processors or read from L2" in streamed.reason


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own
def test_the_operators_trace_and_compile() -> None:
    rnn = ODERNN(AntisymmetricField(1, 32), "euler", dt=0.03, on_divergence="ignore").cuda()
    x = torch.randn(20, 8, 1, device="cuda")
    compiled = torch.compile(rnn, fullgraph=True)
    assert torch.allclose(compiled(x)[0], rnn(x)[0], rtol=1e-5, atol=1e-5)
