"""The native kernels against a plain loop under autograd: every method, field kind, hold, step, dtype and odd shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from odernn.engines import native
from odernn.engines.program import Hold, Kind
from tests.odernn.engines.native.calls import (
    BOUND,
    CASES,
    KINDS,
    METHODS,
    SHAPES,
    compare,
    kinds,
    make_call,
)
from tests.pairs import crossed
from tests.reference import LINEAR_METHODS

pytestmark = pytest.mark.kernels

HOLDS = [("zero-order", False), ("linear", False), ("linear", True)]  # and whether there is a control before
STEPS = ("number", "scalar", "time", "batch")


@crossed({"name, kind": CASES, "dt": STEPS, "hold, before": HOLDS, "substeps": [1, 3], "dtype": list(BOUND)})
def test_every_scheme_hold_and_step(
    name: str, kind: Kind, dt: str, hold: Hold, before: bool, substeps: int, dtype: torch.dtype
) -> None:
    facts: dict[str, Any] = {
        "kind": kind,
        "dt": dt,
        "hold": hold,
        "before": before,
        "substeps": substeps,
        "dtype": dtype,
    }
    compare(make_call(METHODS[name], **facts), BOUND[dtype])


@crossed(
    {"name": list(METHODS), "kind": KINDS, "shape": range(len(SHAPES)), "dtype": list(BOUND)},
    where=lambda name, kind, shape, dtype: kind in kinds(METHODS[name]),
)
def test_every_shape(name: str, kind: Kind, shape: int, dtype: torch.dtype) -> None:
    """Among them several blocks of time, several blocks of rows, and every width of register tile."""
    batch, units, times = SHAPES[shape]
    compare(make_call(METHODS[name], kind=kind, batch=batch, units=units, times=times, dtype=dtype), BOUND[dtype])


@crossed(
    {"name": list(METHODS), "kind": KINDS},
    where=lambda name, kind: kind in kinds(METHODS[name]),
    strength=1,
)
def test_the_linear_hold_across_blocks_of_time(name: str, kind: Kind) -> None:
    compare(make_call(METHODS[name], kind=kind, units=130, times=70, hold="linear", before=True), 1e-10)


@crossed({"units": [1, 5, 17, 33], "kind": KINDS, "name": ["euler", "rk4", *LINEAR_METHODS]})
def test_an_odd_number_of_units(name: str, kind: Kind, units: int) -> None:
    compare(make_call(METHODS[name], kind=kind, units=units, inputs=3), 1e-10)


@crossed(
    {"name": list(METHODS), "kind": KINDS, "inputs": [1, 17, 96], "control_given": [False, True]},
    where=lambda name, kind, inputs, control_given: kind in kinds(METHODS[name]),
)
def test_every_number_of_inputs(name: str, kind: Kind, inputs: int, control_given: bool) -> None:
    compare(make_call(METHODS[name], kind=kind, inputs=inputs, control_given=control_given), 1e-10)


@crossed(
    {"name": list(METHODS), "kind": KINDS, "hold, before": HOLDS, "several": [False, True]},
    where=lambda name, kind, hold, several: kind in kinds(METHODS[name]),
)
def test_a_squashed_control(name: str, kind: Kind, hold: Hold, before: bool, several: bool) -> None:
    """In one block of time with the last rows of padding, and in several."""
    padded = 5 if METHODS[name].family != "shears" else 10
    facts: dict[str, Any] = {"units": 130, "times": 70} if several else {"units": padded, "times": 7}
    compare(make_call(METHODS[name], kind=kind, squash="tanh", dt="batch", hold=hold, before=before, **facts), 1e-10)


@crossed(
    {
        "name": list(LINEAR_METHODS),
        "kind": KINDS,
        "carry": [False, True],
        "substeps": [1, 2],
        "hold, before": HOLDS,
        "times": [1, 2, 9],
        "dt": STEPS,
        "units": [6, 16],  # padded to whole vectors, or not
    }
)
def test_a_general_linear_method_with_and_without_its_carry(
    name: str, kind: Kind, carry: bool, substeps: int, hold: Hold, before: bool, times: int, dt: str, units: int
) -> None:
    facts: dict[str, Any] = {"kind": kind, "substeps": substeps, "times": times, "dt": dt, "units": units}
    compare(make_call(LINEAR_METHODS[name], hold=hold, before=before, carry=carry, **facts), 1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_kept_unless_asked(method: str) -> None:
    call = make_call(METHODS[method], substeps=2)
    saved, thrown = native.solve(call, save=True), native.solve(call, save=False)
    assert thrown.saved is None
    assert thrown.trajectory is None
    assert torch.equal(saved.last, thrown.last)
