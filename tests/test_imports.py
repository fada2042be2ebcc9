"""The rules of who imports whom, and of what no signature holds, read off the source of every module."""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOMS = ("solvers", "odernn", "benchmarks")

# What a room may import beside the standard library and itself. None: whatever the extra `benchmarks` brings.
ALLOWED = {
    "solvers": {"torch", "jaxtyping"},
    "odernn": {"torch", "jaxtyping", "einops", "safetensors", "solvers"},
    "benchmarks": None,
}
FORBIDDEN = {"solvers": set(), "odernn": set(), "benchmarks": {"tests"}}

# Each of these has one module in solvers that wraps it, and no other of the wheel's modules knows it.
WRAPPED = {"torchdiffeq", "torchsde"}

# Modules in a language of their own, which nothing imports but the kernels' generated text.
WRITTEN_IN = {"odernn.engines.triton.functions": "triton"}

# What packages that build on solvers import, beside its public names.
DOORS = {"solvers.extend", "solvers.checks"}

# What may be imported inside a function, and in the wheel's packages nowhere else.
OPTIONAL = {
    "matplotlib": "plots only; no requirement of the wheel",
    "mpl_toolkits": "comes with matplotlib",
    "jax": "a peer in the speed bench, in an environment of its own",
    "diffrax": "a peer in the speed bench, in an environment of its own",
    "torchdiffeq": "a requirement, but it brings scipy: half a second that only its wrapper's users should pay",
    "torchsde": "a requirement, but it brings scipy, as torchdiffeq does",
    "torch.utils.cpp_extension": "costs more than all of odernn, and only those who build the kernels need it",
    "torch.utils.flop_counter": "imports triton, half a second that only those who count should pay",
    "torch.fx.experimental.proxy_tensor": "costs seconds, and only those who compile kernels of a field need it",
    "triton": "an extra, that only CUDA devices and its interpreter need; half a second",
    "fcntl": "of the standard library, but not on Windows, where nothing is built",
}


@dataclass(frozen=True)
class Module:
    """The source of one module."""

    name: str
    tree: ast.Module
    is_package: bool = False

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Import:
    """One imported name: `from module import name`, or `import module` where name is empty."""

    module: str
    name: str
    line: int
    in_function: bool
    for_types_only: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def full(self) -> str:
        return f"{self.module}.{self.name}"


def modules_of(root: Path, room: str) -> Iterator[Module]:
    for path in sorted((root / room).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield Module(".".join(parts[:-1] if is_package else parts), ast.parse(path.read_text("utf-8")), is_package)


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports_of(module: Module) -> Iterator[Import]:
    def walk(node: ast.AST, in_function: bool, for_types_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno, in_function, for_types_only)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(absolute(module, node), alias.name, node.lineno, in_function, for_types_only)
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            for child in node.body:
                yield from walk(child, in_function, True)
            for child in node.orelse:
                yield from walk(child, in_function, for_types_only)
        else:
            inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inside, for_types_only)

    return walk(module.tree, False, False)


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """The full name of what a from-import reads, its dots resolved."""
    if node.level == 0:
        return node.module or ""
    parts = module.name.split(".")
    package = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*package, *([node.module] if node.module else [])])


def layering(module: Module) -> Iterator[str]:
    """Who may import whom."""
    allowed = ALLOWED[module.room]
    for each in imports_of(module):
        if each.top in FORBIDDEN[module.room]:
            yield f"{module.name}:{each.line} imports {each.top}, which {module.room} never does"
        elif allowed is not None and each.top not in allowed | {module.room} | sys.stdlib_module_names:
            if each.top in WRAPPED and module.room == "solvers":
                continue  # counted by `wrapping`
            if each.top in OPTIONAL and each.top not in WRAPPED and each.in_function:
                continue
            if WRITTEN_IN.get(module.name) == each.top:
                continue
            yield f"{module.name}:{each.line} imports {each.top}, which {module.room} never does"


def names_in_all(package: Module) -> list[str]:
    """The names that a package's `__all__` lists: read, not imported, so that a circle is reported by its own test."""
    for node in package.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{package.name} has no `__all__` written out")


def public_names(module: Module, public: Iterable[str]) -> Iterator[str]:
    """The package odernn knows solvers by its public names, and by `solvers.extend` and `solvers.checks`."""
    if module.room != "odernn":
        return
    for each in imports_of(module):
        if each.module in DOORS:
            continue
        if each.top == "solvers" and (each.module != "solvers" or each.name not in {"", *public}):
            what = f"{each.module}.{each.name}".rstrip(".")
            yield f"{module.name}:{each.line} imports {what}, no public name of solvers"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "solvers" and node.attr not in public:
            yield f"{module.name}:{node.lineno} uses solvers.{node.attr}, no public name of solvers"


def wrapping(modules: Iterable[Module]) -> Iterator[str]:
    """One module for each wrapped package."""
    modules = list(modules)
    for package in sorted(WRAPPED):
        wrappers = [module.name for module in modules if any(each.top == package for each in imports_of(module))]
        if len(wrappers) > 1:
            yield f"{package} is imported by {', '.join(wrappers)}: one module must wrap it"


def function_imports(module: Module) -> Iterator[str]:
    """Imports stand at the top, those of optional dependencies excepted."""
    for each in imports_of(module):
        if each.in_function and each.top not in OPTIONAL and each.full not in OPTIONAL:
            yield f"{module.name}:{each.line} imports {each.module} inside a function"


def banned(module: Module) -> Iterator[str]:
    """No star import, no keyword catch-all, no hasattr."""
    for each in imports_of(module):
        if each.name == "*":
            yield f"{module.name}:{each.line} imports * from {each.module}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.arguments) and node.kwarg is not None:
            yield f"{module.name}:{node.kwarg.lineno} has **{node.kwarg.arg} in a signature"
        elif isinstance(node, ast.Name) and node.id == "hasattr":
            yield f"{module.name}:{node.lineno} uses hasattr"


def graph_of(modules: Iterable[Module]) -> Mapping[str, set[str]]:
    """Which module needs which when it is imported; `from package import submodule` needs the submodule."""
    modules = list(modules)
    known = {module.name for module in modules}

    def targets(module: Module) -> Iterator[str]:
        for each in imports_of(module):
            if each.in_function or each.for_types_only:
                continue
            submodule = f"{each.module}.{each.name}"
            target = submodule if submodule in known else each.module
            if target in known:
                yield target

    return {module.name: set(targets(module)) for module in modules}


def cycle(modules: Iterable[Module]) -> list[str]:
    """A circle of imports, first and last the same, or nothing."""
    try:
        TopologicalSorter(graph_of(modules)).prepare()
    except CycleError as error:
        return error.args[1]
    return []


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
