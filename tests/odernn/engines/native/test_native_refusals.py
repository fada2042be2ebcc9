"""What the native kernels do not take is named, and so is what they cannot do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from odernn.engines import native
from odernn.engines.method import EULER, LEAPFROG, Method, splitting
from tests import children
from tests.odernn.engines.native.calls import (
    KINDS,
    make_call,
    saved_states_of,
)
from tests.reference import LINEAR_METHODS

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("y0", torch.zeros(3, 6, dtype=torch.float16), TypeError, "`y0` has dtype"),
        ("y0", torch.zeros(3), ValueError, "`y0` has shape"),
        ("weight", torch.zeros(6, 5, dtype=torch.float64), ValueError, "`weight` has shape"),
        ("weight", torch.zeros(6, 6), TypeError, "`weight` has dtype"),
        ("weight", torch.zeros(6, 12, dtype=torch.float64)[:, ::2], ValueError, "`weight` is not contiguous"),
        ("samples", torch.zeros(0, 3, 2, dtype=torch.float64), ValueError, "`samples` is an empty sequence"),
        ("samples", torch.zeros(7, 3, 0, dtype=torch.float64), ValueError, "`samples` has no features"),
        ("y0", torch.zeros(0, 6, dtype=torch.float64), ValueError, "`y0` has shape"),
        ("y0", torch.zeros(3, 0, dtype=torch.float64), ValueError, "`y0` has shape"),
        ("samples", torch.zeros(7, 4, 2, dtype=torch.float64), ValueError, "`samples` has shape"),
        ("bias", None, ValueError, "give both `input_weight` and `bias`"),
        ("bias", torch.zeros(5, dtype=torch.float64), ValueError, "`bias` has shape"),
        ("before", torch.zeros(3, 5, dtype=torch.float64), ValueError, "`before` has shape"),
        ("dt", torch.ones(6), ValueError, "`dt` has shape"),
        ("dt", torch.ones(7, dtype=torch.int64), TypeError, "`dt` has dtype"),
        ("kind", "relu", ValueError, "`kind` is 'relu'"),
        ("squash", "relu", ValueError, "`squash` is 'relu'"),
        ("hold", "cubic", ValueError, "`hold` is 'cubic'"),
        ("substeps", 0, ValueError, "`substeps` is 0"),
        ("carried", torch.zeros(1, 3, 6, dtype=torch.float64), ValueError, "only 'general-linear' has any"),
        ("coefficients", torch.zeros(7, 1, 1, 3, dtype=torch.float64), ValueError, "only 'general-linear' has any"),
        ("method", Method("runge-kutta", (1.0,), (1.0,), (0.0,)), ValueError, "not strictly lower triangular"),
        ("method", Method("runge-kutta", (0.0,), (1.0, 2.0), (0.0,)), ValueError, "give as many of each"),
        ("method", splitting((2,), (1.0,), (0.0,)), ValueError, "`moved` has the entry 2"),
    ],
)
def test_bad_arguments_are_named(field: str, value: object, error: type[Exception], message: str) -> None:
    call = dataclasses.replace(make_call(EULER), **{field: value})
    with pytest.raises(error, match=message):
        native.solve(call, save=False)


def test_a_control_that_is_given_is_taken_as_it_is() -> None:
    with pytest.raises(ValueError, match="`squash` is 'tanh' and there is no `input_weight`"):
        native.solve(make_call(EULER, control_given=True, squash="tanh"), save=False)


@pytest.mark.parametrize("substeps", [1, 3])
def test_a_gradient_belongs_to_every_kept_state(substeps: int) -> None:
    call = make_call(LINEAR_METHODS["leapfrog-midpoint"], substeps=substeps)
    saved = saved_states_of(call)
    assert len(saved) == 7 * substeps
    with pytest.raises(ValueError, match="`grad_saved` has shape"):
        native.pull_back(call, saved, grad_saved=saved[1:])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("carried", torch.zeros(3, 3, 6, dtype=torch.float64), r"`carried` has shape \[3, 3, 6\]; wanted \(1 to 2"),
        ("carried", torch.zeros(2, 3, 5, dtype=torch.float64), "`carried` has shape"),
        (
            "coefficients",
            torch.zeros(7, 2, 1, 3, dtype=torch.float64),
            "`coefficients` has shape .*wanted .7, 1 to 1,",
        ),
        ("coefficients", torch.zeros(7, 1, 2, 3, dtype=torch.float64), "`coefficients` has shape"),
        ("coefficients", torch.zeros(7, 1, 1, 4, dtype=torch.float64), "`coefficients` has shape"),
        ("method", Method("general-linear"), "`places` of a general linear method has 0 entries"),
        ("method", Method("general-linear", (), (), (), (), (2, 1)), "`places` of a general linear method has 2"),
        ("method", Method("general-linear", (1.0,), (), (0.0,), (), (1, 1, -1, -1, -1)), "`a` has 1 entries and `c` 1"),
        ("method", Method("general-linear", (1.0,) * 4, (), (0.0,), (), (1, 1, -1, -1, 7)), "`places` has the entry 7"),
        ("method", Method("general-linear", (1.0,) * 4, (), (0.0,), (), (1, 40, -1)), "`places` has 40 stages"),
    ],
)
def test_bad_arguments_of_a_general_linear_method(field: str, value: object, message: str) -> None:
    call = dataclasses.replace(make_call(LINEAR_METHODS["adams-bashforth3"]), **{field: value})
    with pytest.raises(ValueError, match=message):
        native.solve(call, save=False)


def test_what_a_backward_pass_needs_of_the_other_vectors() -> None:
    call = make_call(LINEAR_METHODS["reversible-heun"])
    solution = native.solve(call, save=True)
    assert solution.saved is not None
    with pytest.raises(ValueError, match="`kept` has shape"):
        native.pull_back(call, solution.saved)


def test_a_partitioned_scheme_needs_halves_and_tanh() -> None:
    with pytest.raises(ValueError, match="even number"):
        native.solve(make_call(LEAPFROG, units=5), save=False)
    for kind in set(KINDS) - {"tanh"}:
        with pytest.raises(ValueError, match="partitioned methods take 'tanh'"):
            native.solve(make_call(LEAPFROG, kind=kind), save=False)


def test_without_a_compiler_there_is_a_named_error(tmp_path: Path) -> None:
    code = (
        "from odernn.engines import native\n"
        "try:\n    native.load()\n"
        "except native.NativeUnavailable as error:\n    print(error.reason)\n"
    )
    assert "no C++ compiler was found" in children.run(code, tmp_path, CXX="no-such-compiler")
