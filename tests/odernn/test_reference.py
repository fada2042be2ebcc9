"""Every public name stands in the documentation, with what its docstring says first."""

import inspect
import re
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from odernn.reference import PACKAGES, reference, summary

NAMES = [(package, name) for package in PACKAGES for name in import_module(package).__all__]
PYTHONS = "message"
"""The argument that any exception has."""


def is_called(package: str, name: str) -> bool:
    """Whether a user calls it, which nobody does with an enumeration or a warning."""
    value = vars(import_module(package))[name]
    if package.endswith(".extend") or not callable(value):
        return False
    return not (inspect.isclass(value) and issubclass(value, Enum | Warning))


def test_the_page_is_not_stale(repository: Path) -> None:
    page = (repository / "docs" / "reference.md").read_text(encoding="utf-8")
    assert page == reference(), "run `python -m odernn.reference > docs/reference.md`"


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_its_docstring_begins_with_a_sentence(package: str, name: str) -> None:
    said = summary(import_module(package), name)
    assert len(said.split()) >= 3, f"say in the docstring of {package}.{name} what it is"
    assert said[-1] in ".:"


@pytest.mark.parametrize(("package", "name"), [each for each in NAMES if is_called(*each)])
def test_every_argument_is_described(package: str, name: str) -> None:
    value: Callable[..., Any] = vars(import_module(package))[name]
    text = "\n".join(_docstrings(value))
    given = inspect.signature(value).parameters.values()
    arguments = [each.name for each in given if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    lacking = [each for each in arguments if each != PYTHONS and not _describes(text, each)]
    assert lacking == []


def _docstrings(value: Any) -> list[str]:
    """Its own, those of its bases, and of what they refer to: "Arguments as `Name`"."""
    kinds = value.__mro__ if inspect.isclass(value) else [value]
    found = [each.__doc__ or "" for each in kinds if each.__module__.split(".")[0] in ("solvers", "odernn")]
    meant = re.findall(r"[Aa]rguments (?:and errors )?as\s+`(\w+)`", "\n".join(found))
    others = [vars(import_module(value.__module__)).get(name) for name in meant]
    return found + [other.__doc__ or "" for other in others if other is not None]


def _describes(text: str, argument: str) -> bool:
    return bool(re.search(rf"^\s*(\w+, )*{argument}(, \w+)*:|`{argument}`", text, re.MULTILINE))
