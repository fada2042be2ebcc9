"""`python -m benchmarks search`: chooses on validation data, shares a study, loses nothing when it is killed."""

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from benchmarks.cli import main
from benchmarks.models.learner import Learner
from benchmarks.search.space import Choices, Range, read_space, spaces, suggest, to_arguments
from benchmarks.search.study import SURPLUS, Trials, counted, open_study
from benchmarks.settings.names import all_runs, find_run
from benchmarks.settings.parser import make_parser, to_settings
from benchmarks.settings.types import differences
from benchmarks.support.errors import MISUSED, OK
from benchmarks.tasks.task import Task
from tests import children
from tests.benchmarks.shipped import settings_of

RUN = "digits/antisymmetric"
SMALL = ("--model.hidden_size", "8", "--task.batch_size", "300", "--trainer.accelerator", "cpu")
STUDY = Path("digits", "antisymmetric", "study")
CONTEXT = children.context()
needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text("model.dt: {low: 0.1, high: 0.4, log: true}\noptimizer.name: {choices: [adam, rmsprop]}\n")
    return path


@pytest.fixture
def search(tmp_path: Path, space: Path) -> Callable[..., int]:
    return lambda *args: main(["search", RUN, *SMALL, "--space", str(space), "--out", str(tmp_path), *args])


def trials_in(out: Path) -> list[optuna.trial.FrozenTrial]:
    return counted(open_study(out / STUDY, "none", 1, None))


# --- spaces ---


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(name, id=str(name), marks=[] if name.task == "digits" else pytest.mark.full)
        for name in all_runs()
        if name.task in ("digits", "pmnist")  # which have the same rows
    ],
)
def test_every_space_makes_settings_of_the_runs_it_is_for(run: Any) -> None:
    parser = make_parser(run)
    settings = to_settings(parser, run, parser.parse_args([]))
    is_baseline = "kind" in settings.plain()["model"]
    for name in ["baseline"] if is_baseline else spaces():
        space = read_space(name, settings)
        chosen = suggest(space, optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask())
        changed = to_settings(parser, run, parser.parse_args(to_arguments(chosen)))
        lines = differences(settings.plain(), changed.plain())
        assert {line.split("`")[1] for line in lines} <= chosen.keys()


def test_papers_grid_is_the_papers() -> None:
    space = read_space("paper", settings_of(find_run("pmnist/antisymmetric")))
    assert space["model.dt"] == Choices((0.01, 0.1, 1.0))
    assert space["model.damping"] == Choices((0.001, 0.01, 0.1, 1.0))
    assert space["model.sigma_w"] == Choices((0.0, 1.0, 2.0, 4.0, 8.0, 16.0))
    assert space["optimizer.lr"] == Range(0.1, 1.0, log=True)


def test_help_shows_the_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["search", "--help"])
    shown = capsys.readouterr().out
    assert "model.sigma_w: {choices: [0.0, 1.0, 2.0, 4.0, 8.0, 16.0]}" in shown
    assert all(f"{name}:" in shown for name in spaces())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model.dt: 3", "`model.dt` is 3"),
        ("model.dt: {low: 1}", "`model.dt` is {'low': 1}"),
        ("model.colour: {choices: [red]}", "model.colour"),
    ],
)
def test_malformed_space_is_named(
    search: Callable[..., int], space: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    space.write_text(content)
    assert search("--trials", "1", "--epochs", "1") == MISUSED
    assert said in capsys.readouterr().err


def test_unknown_space_and_option_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", RUN, "--space", "outer", "--out", str(tmp_path)]) == MISUSED
    assert "`--space` is 'outer', neither a file nor one of baseline, paper, wide" in capsys.readouterr().err
    assert main(["search", RUN, "--model.colour", "red", "--out", str(tmp_path)]) == MISUSED
    assert "--model.colour" in capsys.readouterr().err


# --- one process ---


def test_chooses_on_validation_and_never_touches_test_data(
    search: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: Any) -> Any:
        raise AssertionError("test data were touched")

    monkeypatch.setattr(Task, "test_dataloader", refuse)
    monkeypatch.setattr(Learner, "test_step", refuse)
    assert search("--trials", "3", "--epochs", "2", "--sampler-seed", "0", "--pruner", "none") == OK
    trials = trials_in(tmp_path)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    for trial in trials:
        assert sorted(trial.intermediate_values) == [1, 2]
        assert trial.value == max(trial.intermediate_values.values())
    best = max(trials, key=lambda trial: trial.value or 0.0)
    text = (tmp_path / STUDY / "best.yaml").read_text()
    chosen = yaml.safe_load(text)
    assert chosen["model"]["dt"] == best.params["model.dt"]
    assert f"# study study: trial {best.number} of 3, validation {100 * best.values[0]:.2f} %" in text
    table = (tmp_path / STUDY / "trials.md").read_text()
    assert table.count("| complete |") == 3
    assert table.splitlines()[4].startswith(f"| {best.number} |")
    assert f"best: trial {best.number} of 3" in capsys.readouterr().out


def test_chosen_settings_train(search: Callable[..., int], tmp_path: Path) -> None:
    assert search("--trials", "1", "--epochs", "1") == OK
    best = tmp_path / STUDY / "best.yaml"
    args = [*SMALL, "--epochs", "1", "--progress", "none", "--out", str(tmp_path / "runs")]
    assert main(["train", RUN, "--config", str(best), *args]) == OK
    used = yaml.safe_load((tmp_path / "runs" / "digits" / "antisymmetric" / "seed-0" / "config.yaml").read_text())
    assert used["model"]["dt"] == yaml.safe_load(best.read_text())["model"]["dt"]


def test_number_of_trials_is_of_the_study(search: Callable[..., int], tmp_path: Path) -> None:
    assert search("--trials", "1", "--epochs", "1") == OK
    assert search("--trials", "1", "--epochs", "1") == OK
    assert len(trials_in(tmp_path)) == 1
    assert search("--trials", "2", "--epochs", "1") == OK
    assert len(trials_in(tmp_path)) == 2


def test_no_trial_begins_when_the_time_is_up(search: Callable[..., int], tmp_path: Path) -> None:
    assert search("--trials", "1", "--epochs", "3", "--time", "1e-9") == OK
    assert trials_in(tmp_path) == []


def test_trial_that_the_time_ends_goes_on_with_the_next_epoch(
    search: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.search.trial.time", SimpleNamespace(monotonic=lambda: math.inf))
    assert search("--trials", "1", "--epochs", "3") == OK  # taken up three times, an epoch each
    (trial,) = trials_in(tmp_path)
    assert (trial.state, sorted(trial.intermediate_values)) == (TrialState.COMPLETE, [1, 2, 3])
    assert (tmp_path / STUDY / "trial-0000" / ".owner-3.free").exists()


def test_diverged_trial_is_pruned_and_named(search: Callable[..., int], tmp_path: Path) -> None:
    # Under other seeds it draws RMSprop, whose step on such a rate lets the state diverge before there is a loss.
    rate = ("--optimizer.lr", "1e38", "--trainer.gradient_clip", "1e30", "--sampler-seed", "0")
    assert search("--trials", "1", "--epochs", "1", *rate) == OK
    (trial,) = trials_in(tmp_path)
    assert trial.state == TrialState.PRUNED
    assert "in epoch 1" in trial.user_attrs["diverged"]
    assert "| diverged | – |" in (tmp_path / STUDY / "trials.md").read_text()
    assert not (tmp_path / STUDY / "best.yaml").exists()


def test_pruned_trial_ends_early(search: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda self: True)
    assert search("--trials", "1", "--epochs", "3") == OK
    (trial,) = trials_in(tmp_path)
    assert (trial.state, sorted(trial.intermediate_values)) == (TrialState.PRUNED, [1])


def test_trial_that_is_one_too_many_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(tmp_path / "study", "none", 1, None)
    ask = study.ask
    monkeypatch.setattr(study, "ask", lambda: (ask(), ask())[1])  # another process is faster by a moment
    trials = Trials(study, tmp_path / "study", 1, 60.0)
    taken = trials.take()
    assert taken is None
    assert [SURPLUS in trial.user_attrs for trial in study.trials] == [False, True]
    assert [trial.number for trial in counted(study)] == [0]


# --- several processes ---


def child(argv: tuple[str, ...], log: Path) -> None:
    with log.open("w", buffering=1) as sys.stdout:
        sys.exit(main(argv))


def start(tmp_path: Path, space: Path, name: str, *args: str) -> Any:
    argv = ("search", RUN, *SMALL, "--space", str(space), "--out", str(tmp_path), *args)
    process = CONTEXT.Process(target=child, args=(argv, tmp_path / f"{name}.log"))
    process.start()
    return process


@pytest.mark.waits
def test_two_processes_share_a_study(tmp_path: Path, space: Path) -> None:
    both = [start(tmp_path, space, name, "--trials", "4", "--epochs", "1", "--pruner", "none") for name in "ab"]
    for process in both:
        process.join(240)
        assert process.exitcode == 0
    trials = trials_in(tmp_path)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    folders = sorted(path.name for path in (tmp_path / STUDY).glob("trial-*"))
    assert folders == [f"trial-{number:04}" for number in range(4)]
    assert all((tmp_path / STUDY / name / ".owner-1.free").exists() for name in folders)


@pytest.mark.waits
@needs_signals
def test_trial_of_a_killed_process_goes_on(search: Callable[..., int], tmp_path: Path, space: Path) -> None:
    args = ("--trials", "1", "--epochs", "30", "--pruner", "none")
    process = start(tmp_path, space, "killed", *args)
    deadline = time.monotonic() + 240
    while not list((tmp_path / STUDY).rglob("last.ckpt")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (before,) = trials_in(tmp_path)
    assert before.state == TrialState.RUNNING
    assert search(*args) == OK
    (trial,) = trials_in(tmp_path)
    assert trial.state == TrialState.COMPLETE
    assert trial.params == before.params
    assert sorted(trial.intermediate_values) == list(range(1, 31))
    assert before.intermediate_values.items() <= trial.intermediate_values.items()
    assert (tmp_path / STUDY / "trial-0000" / ".owner-2.free").exists()


@pytest.mark.waits
def test_trial_of_a_live_process_is_left_to_it(tmp_path: Path, space: Path) -> None:
    study = open_study(tmp_path / "study", "none", 1, None)
    trials = Trials(study, tmp_path / "study", 1, 60.0)
    assert trials.take() is not None
    assert Trials(study, tmp_path / "study", 1, 60.0).take() is None
    assert trials.left() == 1


def test_chosen_entries_of_a_mapping_stand_in_the_file(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("model.options: {choices: [{gamma: 2.5, epsilon: 0.25}]}\n")
    asked = ["search", "digits/cornn-64", *SMALL, "--space", str(space), "--out", str(tmp_path)]
    assert main([*asked, "--trials", "1", "--epochs", "1"]) == OK
    best = yaml.safe_load((tmp_path / "digits" / "cornn-64" / "study" / "best.yaml").read_text())
    assert best["model"]["options"] == {"gamma": 2.5, "epsilon": 0.25}
    assert best["model"].keys() == settings_of(find_run("digits/cornn-64")).plain()["model"].keys()
