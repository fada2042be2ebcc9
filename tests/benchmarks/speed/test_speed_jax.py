"""The JAX peers: the protocol with their worker, its failures, the environment, and JAX itself where it is there."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.speed import jax_environment
from benchmarks.speed.case import Case, Output, Shape, Work
from benchmarks.speed.contender import UnavailableError
from benchmarks.speed.contenders import all_contenders
from benchmarks.speed.jax_environment import cache_folder, is_made, jax_python
from benchmarks.speed.jax_peers import NAMES, WORKER, JaxWorker, jax_contenders
from benchmarks.speed.measure import measure_group
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.rounds import LEAST
from benchmarks.speed.suites import Entry
from benchmarks.support.errors import UserError

pytestmark = pytest.mark.usefixtures("collected")
SHAPE = Shape(6, 3, 4, 2)
FAKE = Path(__file__).with_name("fake_jax_worker.py")


def measured(worker: JaxWorker, case: Case) -> list[Measurement]:
    contenders = all_contenders(jax=jax_contenders(worker))
    return measure_group("any", [Entry(case, name) for name in NAMES], contenders, torch.device("cpu"), budget=1e-6)


@pytest.fixture
def fake() -> Iterator[JaxWorker]:
    with JaxWorker([sys.executable, str(FAKE)], threads=3) as worker:
        yield worker


def test_worker_is_told_its_threads_and_says_its_versions(fake: JaxWorker) -> None:
    assert fake.versions() == {"jax": "0.0", "threads": "3"}


def test_worker_who_agrees_is_timed_by_itself_and_who_does_not_is_reported(fake: JaxWorker) -> None:
    right, wrong = measured(fake, Case(SHAPE, work="inference"))
    assert right.seconds == (0.25,) * LEAST
    assert wrong.seconds == ()
    assert wrong.note.startswith("disagrees: max error 1.0e-02")


def test_missing_gradients_are_a_disagreement(fake: JaxWorker) -> None:
    right, _ = measured(fake, Case(SHAPE))
    assert right.note.startswith("disagrees: max error inf")


def test_error_of_the_worker_is_a_reason(fake: JaxWorker) -> None:
    with pytest.raises(UnavailableError, match="the JAX worker failed: no such thing as dance"):
        fake.ask("dance")


def test_worker_that_ends_is_a_reason(fake: JaxWorker) -> None:
    with pytest.raises(UnavailableError, match="has ended with code 3"):
        fake.ask("die")
    assert all("has ended" in one.note for one in measured(fake, Case(SHAPE)))


def test_worker_ends_with_its_context() -> None:
    with JaxWorker([sys.executable, str(FAKE)], threads=1) as worker:
        process = worker._process
        assert process.poll() is None
    assert process.returncode == 0


def test_real_worker_answers_an_error_with_a_line() -> None:
    """Without JAX, since this environment has none: the worker says so, and lives."""
    with JaxWorker([sys.executable, str(WORKER)], threads=1) as worker:
        for _ in range(2):
            with pytest.raises(UnavailableError, match="the JAX worker failed: "):
                worker.ask("answer", {"key": "no such key"})


def test_environment_is_made_once_and_a_part_of_one_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = []

    def run(command, **_):
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir()
        if "pip" in command and len(commands) == 2:
            raise subprocess.CalledProcessError(1, command, stderr="much\nNo matching distribution")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UserError, match=r"cannot be made .*: No matching distribution"):
        jax_python(tmp_path)
    assert not is_made(tmp_path)
    python = jax_python(tmp_path)
    assert is_made(tmp_path)
    assert [command[2] for command in commands] == ["venv", "pip", "venv", "pip"]
    assert set(jax_environment.REQUIREMENTS) <= set(commands[-1])
    assert jax_python(tmp_path) == python
    assert len(commands) == 4
    assert "making an environment" in capsys.readouterr().err


def test_unwritable_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="no environment can be made in"):
        jax_python(tmp_path / "file")


@pytest.mark.skipif(
    not is_made(cache_folder()), reason="no environment for JAX here: `python -m benchmarks speed --peers jax` makes it"
)
def test_jax_computes_our_function() -> None:
    cases: list[tuple[Work, Output]] = [("training", "end"), ("inference", "trajectory")]
    with JaxWorker([str(jax_python(cache_folder())), str(WORKER)], threads=1) as worker:
        assert set(worker.versions()) == {"jax", "jaxlib", "diffrax", "equinox"}
        for work, output in cases:
            for measurement in measured(worker, Case(SHAPE, work=work, output=output)):
                assert measurement.note == ""
                assert measurement.error is not None
                assert measurement.error < 1e-5  # 80 epsilon, after six steps
                assert measurement.seconds
