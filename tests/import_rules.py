"""The rules of who imports whom, and of what no signature holds, read off the source of a module."""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

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


@dataclass(frozen=True, eq=False)
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


@cache
def imports_of(module: Module) -> list[Import]:
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

    return list(walk(module.tree, False, False))


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
