"""The named checks of arguments: each one fact, each message with what came, what was wanted and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from numbers import Real

from torch import Tensor

from .solver import Solver


def check_number(name: str, value: object) -> None:
    """A finite real number that is no bool."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give a real number")
    if not isfinite(value):
        raise ValueError(f"`{name}` is {value}; give a finite number")


def check_positive(name: str, value: object) -> None:
    """A finite real number above zero."""
    check_number(name, value)
    if not value > 0:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"`{name}` is {value}; give a number above zero")


def check_not_negative(name: str, value: object) -> None:
    """A finite real number from zero."""
    check_number(name, value)
    if value < 0:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"`{name}` is {value}; give zero or a number above it")


def check_count(name: str, value: object) -> None:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give a whole number from 1")
    if value < 1:
        raise ValueError(f"`{name}` is {value}; give a whole number from 1")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """One of the names in `choices`."""
    if value not in choices:
        raise ValueError(f"`{name}` is {value!r}; choose one of {', '.join(map(repr, choices))}")


def check_flag(name: str, value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give True or False")


def check_tensor(name: str, value: object) -> None:
    """A tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` is {type(value).__name__}; give a torch.Tensor")


def check_state(name: str, value: object) -> None:
    """A tensor with at least one element, of a floating or complex dtype."""
    check_tensor(name, value)
    assert isinstance(value, Tensor)
    if not (value.is_floating_point() or value.is_complex()):
        raise TypeError(f"`{name}` has dtype {value.dtype}; give a floating dtype, as `{name}.float()`")
    if value.numel() == 0:
        raise ValueError(f"`{name}` has shape {tuple(value.shape)} and so no elements; give at least one")


def check_solver(value: object) -> None:
    """An instance of a solver."""
    if isinstance(value, type) and issubclass(value, Solver):
        raise TypeError(f"`solver` is the class {value.__name__}; give an instance: {value.__name__}()")
    if isinstance(value, str):
        raise TypeError(f"`solver` is the name {value!r}; give an instance: make_solver({value!r})")
    if not isinstance(value, Solver):
        raise TypeError(f"`solver` is {type(value).__name__}; give a Solver, such as RK4()")
