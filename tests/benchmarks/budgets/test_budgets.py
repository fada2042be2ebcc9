"""Law: the kernels that the docs give budgets of are those that there are, and they spill nothing that matters."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.budgets.kernels import ARCHITECTURES, Kernel, all_kernels, architectures
from benchmarks.budgets.measure import Budget, compiled_for, measure, usage_of
from benchmarks.budgets.table import read, to_markdown
from benchmarks.support.errors import UserError
from odernn.engines.triton.availability import shared_memory
from odernn.engines.triton.elementwise import KINDS
from odernn.engines.triton.linearise import linearise_kernel
from odernn.engines.triton.plans import Linearise

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
AGAIN = "compile them again: python -m benchmarks budgets --out benchmarks/results/gpu"


@pytest.fixture(scope="module")
def budgets(repository: Path) -> list[Budget]:
    return read(repository / "benchmarks" / "results" / "gpu" / "budgets.json")


@pytest.fixture(scope="module")
def repository() -> Path:
    return Path(__file__).resolve().parents[3]


def test_every_kernel_has_its_budget(budgets: list[Budget]) -> None:
    assert {(each.kernel, each.architecture) for each in budgets} == {
        (kernel, architecture) for kernel in all_kernels() for architecture in architectures(kernel)
    }


def test_the_budgets_are_of_the_kernels_as_they_are(budgets: list[Budget]) -> None:
    changed = {each.kernel for each in budgets if each.fingerprint != each.kernel.fingerprint}
    assert not changed, AGAIN


def test_float_precise_kernels_of_one_stage_spill_nothing(budgets: list[Budget]) -> None:
    """What spills lies in memory near by, and costs a step time; four stages of 128 units and more may spill.

    Where K takes half of the registers, so may a few numbers of a state of 16 rows, or that waits for its end.
    """
    resident = [each for each in budgets if not each.kernel.is_streamed]
    some = [each for each in resident if each.stack and each.kernel.method != "rk4"]
    assert [each for each in some if each.kernel.variant not in ("large batch", "several lengths", "spread")] == []
    assert max(each.stack for each in some) <= 48
    assert [
        each for each in some if each.kernel.variant == "spread" and (each.kernel.units < 512 or each.stack > 24)
    ] == []
    assert [each for each in resident if each.stack and each.kernel.units < 128] == []
    # Four stages keep eight tiles of the state; at 256 units that is half of all registers there are.
    assert max(each.stack for each in resident if each.kernel.units <= 128) <= 96
    assert max(each.stack for each in resident) <= 256


def test_streamed_kernels_of_one_stage_and_256_units_spill_nothing(budgets: list[Budget]) -> None:
    """At 512 a state takes an eighth of all registers, and what waits for a product may spill; so may four stages."""
    streamed = [each for each in budgets if each.kernel.is_streamed]
    assert [each for each in streamed if each.stack and each.kernel.units <= 256 and each.kernel.method != "rk4"] == []
    assert [each for each in streamed if each.stack and each.kernel.variant and each.kernel.method != "rk4"] == []
    assert max(each.stack for each in streamed if each.kernel.units <= 256) <= 96
    assert max(each.stack for each in streamed) <= 256
    assert max(each.shared for each in streamed) <= min(ARCHITECTURES.values()), "any card streams"


def test_they_multiply_on_the_tensor_cores(budgets: list[Budget]) -> None:
    assert all(each.tensor_cores > 0 for each in budgets)


def test_the_rule_of_the_engine_bounds_the_memory(budgets: list[Budget]) -> None:
    """What `why_not` reckons before anything is compiled is at least what is needed.

    The tensor cores of compute capability 10 take from shared memory what lies in registers elsewhere.
    """
    for each in budgets:
        layout = each.kernel.layout
        if layout.registers and each.architecture == 100:
            layout = replace(layout, registers=False)
            assert shared_memory(layout) <= ARCHITECTURES[100] << 10
        assert each.shared << 10 <= shared_memory(layout), each
    assert any(each.shared > ARCHITECTURES[86] for each in budgets), "a consumer card takes fewer units"


def test_the_page_has_the_table(repository: Path, budgets: list[Budget]) -> None:
    assert to_markdown(budgets) in (repository / "docs" / "gpu.md").read_text("utf-8"), AGAIN


@needs_triton
@pytest.mark.parametrize(("direction", "variant"), [("forward", "several lengths"), ("backward", "many networks")])
def test_a_kernel_is_compiled_without_a_device(direction: str, variant: str, budgets: list[Budget]) -> None:
    found = measure(Kernel("euler", 64, "tf32x3", direction, variant), 90)
    assert found.stack == 0
    assert found.tensor_cores > 0
    assert found.registers <= 255


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "budgets.json").write_text('{"budgets": [{"kernel": 1}]}')
    with pytest.raises(UserError, match="holds no budgets"):
        read(tmp_path / "budgets.json")


@needs_triton
@pytest.mark.parametrize(("kind", "inputs"), [("tanh", 1), ("gated-tanh", 4)])
def test_the_kernel_of_the_derivatives_spills_nothing(kind: str, inputs: int) -> None:
    """The gate with four inputs takes 144 registers of 255, the plain field with one 55."""
    trace = KINDS[kind]
    facts = {"trace": trace, "width": 128, "groups": len(trace.p), "units": 128, "first": 0, "inputs": inputs}
    plan = Linearise(**facts, step="number", evaluations=1, by_control=kind == "gated-tanh")
    absent = set() if plan.by_control else {"by_control"}
    types = {"count": "i32", "batch": "i32", "step": "fp32"}
    cubin, _ = compiled_for(90, linearise_kernel(plan), absent, types, {"enable_fp_fusion": True})
    registers, stack = usage_of(cubin)
    assert stack == 0
    assert registers <= 160
