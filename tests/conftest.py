"""What every test gets: a fixed seed, the default dtype as it was, no window, and the native kernels if it asks."""

import gc
import os
import random
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from odernn.engines import native
from tests import ahead, pairs
from tests.odernn.engines.native.builds import unoptimising

gc.disable()  # until all is collected: nothing of that is garbage
# Before anything imports matplotlib, and handed down to the processes that tests start.
os.environ["MPLBACKEND"] = "Agg"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests that `tests.pairs.crossed` marks their rows."""
    pairs.parametrise(metafunc)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those that wait for a program last: it runs beside the others. Those that idle by themselves come first."""
    items.sort(key=lambda item: bool(item.get_closest_marker("ahead")) - bool(item.get_closest_marker("waits")))


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and the collected tests: they stay, and each round would walk them."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Let the collector have them at the end."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def fixed_seed() -> Iterator[None]:
    random.seed(0)
    torch.set_num_threads(1)  # the tests are of small sizes, and run side by side
    # torch.manual_seed seeds devices that are not there too: it keeps a formatted stack for each, half a millisecond.
    (torch if torch.cuda.is_available() else torch.default_generator).manual_seed(0)
    yield
    # A test that changes the default dtype would change the meaning of every test after it.
    assert torch.get_default_dtype() == torch.float32, "a test must put the default dtype back"


@pytest.fixture(scope="session", autouse=True)
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the marker `ahead` names runs beside the tests, from the first one on."""
    folder = ahead.folder_of(tmp_path_factory)
    with ahead.begun(request.session.items, folder, ahead.is_full(request.config)):
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


def missing_tools() -> list[str]:
    """What a build of the native kernels needs and this machine does not have."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return [
        tool
        for tool in (*shlex.split(os.environ.get("CXX") or "c++")[:1], "ninja")
        if shutil.which(tool, path=path) is None
    ]


@pytest.fixture(autouse=True)
def kernels(request: pytest.FixtureRequest) -> None:
    """The marker `kernels`: without a compiler the test is skipped; with one, a build that fails is a failure."""
    if request.node.get_closest_marker("kernels") is None:
        return
    if missing := missing_tools():
        pytest.skip(f"the native kernels need {' and '.join(missing)}")
    native.load()


@pytest.fixture
def unoptimised(kernels: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kernels that are built from here on are not optimised; those of the package have been loaded."""
    monkeypatch.setenv("CXX", unoptimising(ahead.folder_of(tmp_path_factory)))
