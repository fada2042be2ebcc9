"""Every public name in a line, for the documentation: `python -m odernn.reference > docs/reference.md`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from inspect import getsource, isclass, isroutine
from types import ModuleType

HEAD = """# Every public name

By package, with the first line of what `help` says of it: the rest of that has arguments, shapes, errors and sources.
This page is made by `python -m odernn.reference`; a test fails when it is stale.
"""
PACKAGES: Mapping[str, str] = {
    "odernn": "Fields, layers, adjoints, engines, and trained networks.",
    "odernn.analysis": "A network as a dynamical system: [the functions at work](analysis.md).",
    "odernn.extend": "What an engine of one's own is made of.",
    "solvers": "ODE solvers for any f(t, y): [the methods in a table](solvers.md).",
    "solvers.extend": "The contracts for packages that build on the solvers, as `odernn` does.",
}


def reference() -> str:
    """The whole page, in Markdown."""
    return HEAD + "".join(_section(import_module(name), about) for name, about in PACKAGES.items())


def summary(package: ModuleType, name: str) -> str:
    """The first paragraph of what a package says of one of its names, on one line; empty if it says nothing."""
    value = vars(package)[name]
    own = isclass(value) or isroutine(value)  # of anything else the docstring is that of its type
    said = value.__doc__ if own else _after_assignment(package, name)
    return " ".join((said or "").strip().split("\n\n")[0].split())


def _section(package: ModuleType, about: str) -> str:
    rows = [f"| `{name}` | {_in_a_table(summary(package, name))} |" for name in sorted(package.__all__, key=str.lower)]
    return "\n".join((f"\n## {package.__name__}\n", about, "\n| name | is |", "| --- | --- |", *rows)) + "\n"


def _in_a_table(text: str) -> str:
    """Markdown that is shown as the text: bars and stars as such, but for those in backticks."""
    parts = text.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*|_<])", r"\\\1", part) for i, part in enumerate(parts))


def _after_assignment(module: ModuleType, name: str) -> str | None:
    """The string that stands below the assignment of a constant, where it is assigned: there, or whence it comes."""
    body = ast.parse(getsource(module)).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        if name in _targets(node) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            return str(below.value.value)
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if name == (alias.asname or alias.name) and isinstance(node, ast.ImportFrom):
                source = import_module("." * node.level + (node.module or ""), module.__package__)
                return _after_assignment(source, alias.name)
    return None


def _targets(node: ast.stmt) -> Sequence[str]:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


if __name__ == "__main__":
    print(reference(), end="")
