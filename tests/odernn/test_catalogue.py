"""The table of solvers in the documentation is that of the registry."""

from pathlib import Path

import pytest

from odernn.catalogue import catalogue, source
from solvers import SOLVERS


def test_the_page_is_not_stale(repository: Path) -> None:
    page = (repository / "docs" / "solvers.md").read_text(encoding="utf-8")
    assert page == catalogue(), "run `python -m odernn.catalogue > docs/solvers.md`"


@pytest.mark.parametrize("name", SOLVERS)
def test_every_method_names_its_source(name: str) -> None:
    assert len(source(SOLVERS[name])) > 20
