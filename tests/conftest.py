"""What every test gets: a fixed seed, the default dtype as it was, and no window."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# Before anything imports matplotlib, and handed down to the processes that tests start.
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(autouse=True)
def fixed_seed() -> Iterator[None]:
    random.seed(0)
    torch.set_num_threads(1)  # the tests are of small sizes, and run side by side
    torch.manual_seed(0)
    yield
    # A test that changes the default dtype would change the meaning of every test after it.
    assert torch.get_default_dtype() == torch.float32, "a test must put the default dtype back"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent
