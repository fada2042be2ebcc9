"""Law: every exception crosses to another process with all that it knows; one that does not hangs a pool."""

import copy
import importlib
import inspect
import pickle
import pkgutil
from types import ModuleType

import pytest

import benchmarks
import odernn
import solvers

STANDS_FOR = {"models": [3], "message": "it failed", "reason": "no compiler", "residuals": (1.0, 0.5)}


def modules(package: ModuleType) -> list[ModuleType]:
    names = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [package, *(importlib.import_module(name) for name in names if not name.endswith("__main__"))]


def exceptions() -> list[type[Exception]]:
    """All that the packages define."""
    found = {
        value
        for package in (solvers, odernn, benchmarks)
        for module in modules(package)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == module.__name__
    }
    return sorted(found, key=lambda one: one.__qualname__)


def made(kind: type[Exception]) -> Exception:
    """One with an argument for each parameter."""
    if kind.__init__ in (Exception.__init__, ValueError.__init__, OSError.__init__, Warning.__init__):
        return kind("it failed")
    parameters = [
        name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "args", "kwargs")
    ]
    return kind(*(STANDS_FOR.get(name, 3) for name in parameters)) if parameters else kind("it failed")


@pytest.mark.parametrize("kind", exceptions())
def test_it_survives_a_pickle_and_a_copy(kind: type[Exception]) -> None:
    error = made(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_the_walk_finds_those_with_more_than_a_message() -> None:
    assert {solvers.DivergenceError, solvers.ReconstructionError, solvers.ConvergenceError} <= set(exceptions())
