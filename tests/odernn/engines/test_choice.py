"""Which engine "auto" takes, and what each of the registered ones says."""

import pytest
import torch
from torch import Tensor

from odernn import ENGINES, ODERNN, AntisymmetricField, Choice, EngineWarning
from odernn.engines.native.engine import WIDEST
from odernn.engines.problem import Storage
from solvers import Euler

TAKEN = "the kernels take field, method and state"
WIDE = f"beyond {WIDEST} units torch's matrix products win"


def choice(engine: str, units: int = 4, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Choice:
    rnn = ODERNN(AntisymmetricField(2, units, dtype=dtype, device=device), Euler(), dt=0.1, engine=engine)
    return rnn.choice(torch.zeros(5, 3, 2, dtype=dtype, device=device))


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("engine", "units", "taken", "reason"),
    [
        ("auto", 4, "native", TAKEN),
        ("auto", WIDEST, "native", TAKEN),
        ("auto", WIDEST + 1, "torch", WIDE),
        ("native", WIDEST + 1, "native", TAKEN),
        ("torch", 4, "torch", "it was asked for"),
    ],
)
def test_on_the_cpu(engine: str, units: int, taken: str, reason: str) -> None:
    found = choice(engine, units)
    assert (found.engine, found.executor, found.reason) == (taken, ENGINES[taken], reason)


@pytest.mark.kernels
@pytest.mark.parametrize(("engine", "taken"), [("auto", "torch"), ("native", "native"), ("torch", "torch")])
def test_a_wide_stream(engine: str, taken: str) -> None:
    rnn = ODERNN(AntisymmetricField(2, WIDEST + 1), Euler(), dt=0.1, engine=engine)
    assert rnn.stream().engine == taken


@pytest.mark.parametrize("engine", ["auto", "native"])
def test_a_dtype_that_the_kernels_do_not_know(engine: str) -> None:
    found = choice(engine, dtype=torch.bfloat16)
    assert found.engine == "torch"
    assert found.reason == "the kernels work on the CPU in float32 and float64, and the state is torch.bfloat16 on cpu"


def test_a_device_on_which_only_torch_works() -> None:
    found = choice("auto", device="meta")
    assert (found.engine, found.reason) == ("torch", "no other engine works on meta")


def test_each_device_has_one_engine_that_auto_asks_first() -> None:
    devices = {name: engine.devices for name, engine in ENGINES.items()}
    assert devices == {"triton": ("cuda",), "native": ("cpu",), "torch": ()}


def test_one_that_was_asked_for_says_why_torch_serves() -> None:
    rnn = ODERNN(AntisymmetricField(2, 4), Euler(), dt=0.1, engine="triton").double()
    with pytest.warns(EngineWarning, match="in place of the triton one: the Triton kernels work in float32"):
        rnn(torch.zeros(5, 3, 2, dtype=torch.float64))


def test_a_rectangle_is_taken_without_its_lengths_while_torch_traces() -> None:
    """They are values, which a traced program does not know; there a storage has the sequence of each sample."""

    def takes(index: Tensor, lengths: Tensor, rows: Tensor | None) -> Tensor:
        return index + 1 if ENGINES["triton"].takes(Storage(index, lengths, rows)) else index

    lengths = torch.tensor([90, *(1 for _ in range(30))])
    index = torch.arange(int(lengths.sum()))
    assert torch.equal(takes(index, lengths, None), index)
    assert torch.equal(torch.compile(takes, fullgraph=True, backend="eager")(index, lengths, index), index + 1)
