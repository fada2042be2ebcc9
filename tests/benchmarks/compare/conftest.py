"""A tiny trained run of a partitioned field, and what `compare` makes of it; shared by the tests, not to be changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.commands.compare import main
from benchmarks.commands.train import parse
from benchmarks.run.train import train
from benchmarks.support.errors import OK
from tests.benchmarks.compare.tiny import RUN, TINY, VALIDATION

STEP = ("--model.dt", "0.2")
SOLVERS = "euler,rk4,leapfrog,implicit-midpoint,lawson-euler"


@pytest.fixture(scope="session")
def trained_run() -> Callable[..., Path]:
    """Trains a run and gives its folder."""

    def run(out: Path, name: str = RUN, *options: str) -> Path:
        spec = parse([name, *TINY, "--epochs", "1", "--progress", "none", "--out", str(out), *options])
        assert train(spec).status == "finished"
        return spec.folder.path

    return run


@pytest.fixture(scope="session")
def runs(trained_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run, its title as hostile as a title can be."""
    out = tmp_path_factory.mktemp("runs")
    trained_run(out, RUN, *STEP, "--title", "<script>document.title = 'taken'</script> | \"a\" & b")
    return out


@pytest.fixture(scope="session")
def compared(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a comparison, the run looked up by its name."""
    folder = tmp_path_factory.mktemp("compared")
    sizes = ("--samples", str(VALIDATION), "--sequences", "3", "--repeats", "2", "--substeps", "1,2")
    assert main([RUN, "--out", str(runs), "--write", str(folder), "--solvers", SOLVERS, *sizes]) == OK
    return folder
