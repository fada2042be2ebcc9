"""Law: the Triton kernels give the torch engine's numbers, values and gradients, as far as the interpreter can tell.

It computes in float32 what a device rounds to TF32 or bfloat16, so that rounding is a device's test (tests/device).
"""

import importlib.util
from collections.abc import Callable, Sequence

import pytest
import torch

from odernn import ENGINES
from odernn.engines.formulas import FORMULAS
from odernn.engines.problem import Storage
from odernn.engines.traced.expressions import OPERATORS
from odernn.engines.triton.elementwise import KINDS, TEMPLATES
from tests.ahead import folder_of, is_full, said
from tests.odernn.engines.triton.cases import Case, cases, cases_of_networks, spread_cases, streamed_cases
from tests.odernn.engines.triton.interpreter import interpreted
from tests.odernn.engines.triton.networks import networks, resident_networks, streamed_networks
from tests.odernn.engines.triton.ragged import STREAMED, ragged
from tests.pairs import chosen

BOUND = 1e-5  # float32, through ten steps and a reduction over all of them, of the largest entry


def needs_triton(test: Callable[..., None]) -> Callable[..., None]:
    """Skipped without Triton; with it the interpreter begins before the first test."""
    if importlib.util.find_spec("triton") is None:
        return pytest.mark.skip(reason="Triton is not installed")(test)
    return pytest.mark.ahead.with_args(interpreted)(test)


@pytest.fixture(scope="module")
def errors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """By name."""
    return said(interpreted, folder_of(tmp_path_factory), is_full(request.config))


def resident_and_streamed(few: Sequence[str], streamed: Sequence[str], every: Sequence[str]) -> pytest.MarkDecorator:
    """The names of what is tried: a run has these few with a resident K, and those with a streamed one."""
    taken = {*few, *(f"streamed-{name}" for name in streamed)}
    return chosen("name", [*every, *(f"streamed-{name}" for name in every)], lambda name: name in taken)


def named(found: Sequence[object], kind: str = "") -> list[str]:
    return [f"{kind}{each}" for each in found]


def check(found: float | str) -> None:
    assert isinstance(found, float), found
    assert found < BOUND


@needs_triton
@resident_and_streamed(named(cases()), named(streamed_cases()), named(cases()))
def test_values_and_gradients(name: str, errors: dict[str, float | str]) -> None:
    check(errors[name])


@needs_triton
@resident_and_streamed(resident_networks(), streamed_networks(), networks())
def test_fields_of_ones_own(name: str, errors: dict[str, float | str]) -> None:
    check(errors[name])


NETWORKS = named(cases_of_networks(), "networks-")


@needs_triton
@resident_and_streamed(NETWORKS, NETWORKS[::2], NETWORKS)
def test_several_networks_at_once(name: str, errors: dict[str, float | str]) -> None:
    check(errors[name])


@needs_triton
@resident_and_streamed(named(ragged()), named(ragged()[:STREAMED]), named(ragged()))
def test_sequences_of_several_lengths(name: str, errors: dict[str, float | str]) -> None:
    check(errors[name])


@needs_triton
def test_an_ensemble_in_one_launch(errors: dict[str, float | str]) -> None:
    check(errors["ensemble"])


@needs_triton
def test_torch_checks_and_compiles_the_operators(errors: dict[str, float | str]) -> None:
    check(errors["operators"])


@needs_triton
@pytest.mark.parametrize(
    ("where", "case"), [(where, case) for where in ("resident", "streamed") for case in spread_cases(where)], ids=str
)
def test_programs_that_share_the_rows_of_a_block(where: str, case: Case, errors: dict[str, float | str]) -> None:
    """Each in a process of its own, so that one that does not wait for the others reads what is not there yet."""
    check(errors[f"spread-{where}-{case}"])
    assert errors[f"programs-{where}"] == 2


@needs_triton
def test_programs_that_share_the_rows_of_a_block_of_several_networks(errors: dict[str, float | str]) -> None:
    check(errors["spread-networks"])


@needs_triton
def test_a_layer_says_that_its_weights_are_streamed(errors: dict[str, float | str]) -> None:
    assert errors["streamed-choice"] == (
        "the kernels take field, method and state; K is spread over idle processors or read from L2 in every "
        "product, as K of 20 units in tf32x3 would take 32 kB of shared memory, and cpu has 16 kB a block"
    )


def test_every_operator_of_the_table_is_told() -> None:
    assert {name for name in OPERATORS if name not in TEMPLATES} == {"atan"}


def test_every_registered_activation_has_a_trace() -> None:
    assert KINDS.keys() == FORMULAS.keys()


@pytest.mark.parametrize(
    ("lengths", "fits"), [([3, 2, 1], True), ([8, 1, 1, 1], True), ([30, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], False)]
)
def test_a_rectangle_that_is_nearly_empty_is_not_made(lengths: list[int], fits: bool) -> None:
    storage = Storage(torch.arange(sum(lengths)), torch.tensor(lengths))
    assert ENGINES["triton"].takes(storage) == fits
    assert ENGINES["native"].takes(storage)
    assert not ENGINES["torch"].takes(storage)


def test_no_gpu_is_a_reason_and_not_an_error() -> None:
    from odernn import ODERNN, AntisymmetricField, EngineWarning

    rnn = ODERNN(AntisymmetricField(2, 4), "euler", dt=0.1, engine="triton")
    x = torch.randn(3, 2, 2)
    choice = rnn.choice(x)
    assert choice.engine == "torch"
    assert "Triton" in choice.reason
    with pytest.warns(EngineWarning, match="in place of the triton one"):
        rnn(x)
