"""No module breaks the rules of imports and signatures; and each rule reports a source that breaks it."""

import ast
from pathlib import Path

import pytest

from tests.import_rules import (
    ROOMS,
    Module,
    banned,
    cycle,
    function_imports,
    layering,
    modules_of,
    names_in_all,
    public_names,
    wrapping,
)


@pytest.fixture(scope="module")
def modules(repository: Path) -> list[Module]:
    return [module for room in ROOMS for module in modules_of(repository, room)]


def test_every_room_is_walked(modules: list[Module]) -> None:
    assert {module.room for module in modules} == set(ROOMS)
    assert {room for room in ROOMS if any(m.name == room and m.is_package for m in modules)} == set(ROOMS)


@pytest.mark.parametrize("rule", [layering, function_imports, banned])
def test_no_module_breaks(rule, modules: list[Module]) -> None:
    assert [violation for module in modules for violation in rule(module)] == []


def test_odernn_knows_solvers_by_its_public_names(modules: list[Module]) -> None:
    public = names_in_all(next(module for module in modules if module.name == "solvers"))
    assert [violation for module in modules for violation in public_names(module, public)] == []


def test_a_wrapped_package_has_one_wrapper(modules: list[Module]) -> None:
    assert list(wrapping(module for module in modules if module.room != "benchmarks")) == []


def test_no_import_runs_in_a_circle(modules: list[Module]) -> None:
    assert cycle(modules) == []


# --- the checks themselves: each reports a source that breaks its rule, and passes one that does not ---


def parsed(name: str, source: str, is_package: bool = False) -> Module:
    return Module(name, ast.parse(source), is_package)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("solvers.a", "import odernn"),
        ("solvers.a", "from benchmarks.tasks import digits"),
        ("solvers.a", "import numpy as np"),
        ("solvers.a", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from odernn import ODERNN"),
        ("solvers.a", "from ..odernn import layer"),
        ("odernn.a", "import benchmarks"),
        ("odernn.a", "import lightning.pytorch as pl"),
        ("odernn.a", "import matplotlib.pyplot"),
        ("odernn.a", "import torchdiffeq"),
        ("odernn.a", "def f():\n    import torchsde"),
        ("odernn.fields.a", "from tests import conftest"),
        ("benchmarks.a", "def f():\n    from tests.helpers import g"),
    ],
)
def test_layering_reports(name: str, source: str) -> None:
    assert len(list(layering(parsed(name, source)))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("solvers.a", "import math, torch\nfrom jaxtyping import Float\nfrom solvers.solver import Solver"),
        ("solvers.a", "from . import tableau\nfrom .tableau import ButcherTableau\nimport torchdiffeq"),
        ("odernn.a", "import einops\nfrom solvers import Euler\nfrom odernn.field import VectorField"),
        ("odernn.fields.a", "from ..field import VectorField"),
        ("odernn.a", "def plot():\n    import matplotlib.pyplot as plt"),
        ("benchmarks.a", "import lightning, numpy, torchdiffeq\nfrom odernn import ODERNN"),
    ],
)
def test_layering_passes(name: str, source: str) -> None:
    assert list(layering(parsed(name, source))) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("from solvers import Euler, integrate", 0),
        ("import solvers\nsolvers.Euler()", 0),
        ("from solvers import Euler, secret", 1),
        ("from solvers.extend import Problem\nfrom solvers.checks import check_count", 0),
        ("from solvers import *", 1),
        ("from solvers.tableaus import Euler", 1),
        ("import solvers.tableaus", 1),
        ("import solvers\nsolvers.secret", 1),
    ],
)
def test_public_names_counts(source: str, count: int) -> None:
    assert len(list(public_names(parsed("odernn.a", source), ["Euler", "integrate"]))) == count


def test_wrapping_reports_a_second_wrapper() -> None:
    wrapper = parsed("solvers.adaptive", "import torchdiffeq")
    other = parsed("solvers.other", "def f():\n    from torchdiffeq import odeint")
    assert list(wrapping([wrapper])) == []
    assert len(list(wrapping([wrapper, other]))) == 1


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import math\nclass A:\n    import torch", 0),
        ("def f():\n    import matplotlib.pyplot", 0),
        ("def f():\n    import math", 1),
        ("class A:\n    async def f(self):\n        if True:\n            from solvers import Euler", 1),
    ],
)
def test_function_imports_counts(source: str, count: int) -> None:
    assert len(list(function_imports(parsed("odernn.a", source)))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("from math import pi\ndef f(*values, key=1): ...\ng(**options)", 0),
        ("from math import *", 1),
        ("def f(**kwargs): ...", 1),
        ("class A:\n    def f(self, *, x, **rest): ...", 1),
        ("g = lambda **kwargs: 0", 1),
        ("if hasattr(x, 'y'): ...", 1),
    ],
)
def test_banned_counts(source: str, count: int) -> None:
    assert len(list(banned(parsed("odernn.a", source)))) == count


@pytest.mark.parametrize(
    ("sources", "has_cycle"),
    [
        ({"solvers": "from solvers.a import A", "solvers.a": "from solvers.b import B", "solvers.b": ""}, False),
        ({"solvers": "from .a import A", "solvers.a": "from . import b", "solvers.b": "import math"}, False),
        ({"solvers.a": "import solvers.b", "solvers.b": "from solvers import a"}, True),
        ({"solvers.a": "from .b import B", "solvers.b": "from .c import C", "solvers.c": "from . import a"}, True),
        ({"solvers": "from .a import A", "solvers.a": "from solvers import VERSION"}, True),
        ({"solvers.a": "import solvers.b", "solvers.b": "if TYPE_CHECKING:\n    from solvers import a"}, False),
        ({"solvers.a": "try:\n    import solvers.b\nexcept ImportError: ...", "solvers.b": "from . import a"}, True),
    ],
)
def test_cycle_finds(sources: dict[str, str], has_cycle: bool) -> None:
    # A package's own dots count from itself, a module's from its package.
    assert (
        bool(cycle(parsed(name, source, is_package="." not in name) for name, source in sources.items())) == has_cycle
    )
