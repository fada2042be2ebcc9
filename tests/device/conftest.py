"""Every test here needs a CUDA device; `make test-gpu` runs them."""

from pathlib import Path

import pytest
import torch


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Spare the other tests the collection of these, where there is no device and nobody has asked for them."""
    return True if not (torch.cuda.is_available() or "cuda" in str(config.getoption("markexpr"))) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cuda)
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="it needs a CUDA device"))
