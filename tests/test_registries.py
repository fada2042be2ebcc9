"""What is registered is exported and documented, and no prose says how much of it there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import benchmarks.tasks
import odernn
import solvers

REGISTERED = [
    *((solvers, name, kind) for name, kind in solvers.SOLVERS.items()),
    *((odernn, name, kind) for name, kind in odernn.FIELDS.items()),
    *((odernn, name, type(hold)) for name, hold in odernn.HOLDS.items()),
    *((solvers if name in solvers.ADJOINTS else odernn, name, kind) for name, kind in odernn.ADJOINTS.items()),
    *((benchmarks.tasks, name, kind) for name, kind in benchmarks.tasks.TASKS.items()),
]
WORDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NUMBER = rf"(\d+|{'|'.join(WORDS)}|\w+teen|(twenty|thirty|forty|fifty)[-\w]*)"
COUNTED = re.compile(
    rf"\b{NUMBER} (registered )?(solvers|fields|adjoints|holds|tasks)\b|\b\d+ methods\b", re.IGNORECASE
)


@pytest.mark.parametrize(
    ("package", "name", "kind"), REGISTERED, ids=[f"{package.__name__}-{name}" for package, name, _ in REGISTERED]
)
def test_it_is_exported_by_its_package(package: ModuleType, name: str, kind: type) -> None:
    assert kind.__name__ in package.__all__, f"export {kind.__name__}, registered as {name!r}, in {package.__name__}"
    assert vars(package)[kind.__name__] is kind


@pytest.mark.parametrize("name", [name for _, name, _ in REGISTERED])
def test_it_is_documented(name: str, repository: Path) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (repository / "docs").rglob("*.md"))
    assert f"`{name}`" in text or f'"{name}"' in text, f"no page in docs/ knows {name}"


def pages(repository: Path) -> Iterator[Path]:
    """The prose that people wrote."""
    yield from (repository / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))
    yield from sorted((repository / "docs").rglob("*.md"))


def test_no_prose_counts_a_registry(repository: Path) -> None:
    found = [
        f"{page.relative_to(repository)}:{number}: {match[0]}"
        for page in pages(repository)
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
        for match in COUNTED.finditer(line)
    ]
    assert found == [], "say `any` or `every`: a number is wrong with the next registration"


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("26 solvers", True),
        ("any of seven fields", True),
        ("Five adjoints", True),
        ("twenty-six registered solvers", True),
        ("any solver", False),
        ("two steps", False),
    ],
)
def test_counts_are_recognised(text: str, counted: bool) -> None:
    assert bool(COUNTED.search(text)) == counted
