"""Law: the Triton kernels give the torch engine's numbers, values and gradients, as far as the interpreter can tell.

It computes in float32 what a device rounds to TF32 or bfloat16, so that rounding is a device's test (tests/device).
"""

import importlib.util
import json

import pytest
import torch

from odernn.engines.formulas import FORMULAS
from odernn.engines.traced.expressions import OPERATORS
from odernn.engines.triton.elementwise import KINDS, TEMPLATES
from tests import children
from tests.odernn.engines.triton.cases import Case, cases
from tests.odernn.engines.triton.networks import networks
from tests.once import once

BOUND = 1e-5  # float32, through ten steps and a reduction over all of them, of the largest entry
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


PROGRAM = """
import runpy
runpy.run_module("tests.odernn.engines.triton.interpreted", run_name="__main__")
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """By case."""

    def found() -> dict[str, float | str]:
        folder = tmp_path_factory.mktemp("interpreted")
        children.run(PROGRAM, folder, str(folder / "errors"), TRITON_INTERPRET="1")
        return json.loads((folder / "errors").read_text())

    return once(tmp_path_factory, "interpreted", found)


@needs_triton
@pytest.mark.parametrize("case", cases(), ids=str)
def test_values_and_gradients(case: Case, errors: dict[str, float | str]) -> None:
    found = errors[str(case)]
    assert isinstance(found, float), found
    assert found < BOUND


@needs_triton
@pytest.mark.parametrize("network", networks())
def test_fields_of_ones_own(network: str, errors: dict[str, float | str]) -> None:
    found = errors[network]
    assert isinstance(found, float), found
    assert found < BOUND


@needs_triton
def test_torch_checks_and_compiles_the_operators(errors: dict[str, float | str]) -> None:
    found = errors["operators"]
    assert isinstance(found, float), found
    assert found < BOUND


def test_every_operator_of_the_table_is_told() -> None:
    assert {name for name in OPERATORS if name not in TEMPLATES} == {"atan"}


def test_every_registered_activation_has_a_trace() -> None:
    assert KINDS.keys() == FORMULAS.keys()


def test_no_gpu_is_a_reason_and_not_an_error() -> None:
    from odernn import ODERNN, AntisymmetricField, EngineWarning

    rnn = ODERNN(AntisymmetricField(2, 4), "euler", dt=0.1, engine="triton")
    x = torch.randn(3, 2, 2)
    choice = rnn.choice(x)
    assert choice.engine == "torch"
    assert "Triton" in choice.reason
    with pytest.warns(EngineWarning, match="in place of the triton one"):
        rnn(x)
