"""Every file of settings is complete, builds its network, and says what it is."""

import argparse

import pytest
import yaml

from benchmarks.models.network import build_network, count_parameters
from benchmarks.models.optimizers import check_optimizer
from benchmarks.report.published import PUBLISHED, published_for
from benchmarks.settings.names import RunName, all_runs, find_run, runs_of
from benchmarks.settings.parser import make_parser, read_settings
from benchmarks.settings.types import Settings, differences, flatten
from benchmarks.tasks import TASKS

ROWS = {"antisymmetric", "gated", "ablation", "rnn", "gru", "lstm", "hamiltonian-leapfrog", "oscillator"}
# At 128 units, 1 input and 10 classes; n = 128, and the readout has 10 n + 10 = 1,290.
PARAMETERS = {
    "antisymmetric": 9_674,  # n(n-1)/2 + 2n
    "gated": 9_930,  # n(n-1)/2 + 4n
    "ablation": 18_186,  # n^2 + 4n
    "hamiltonian-leapfrog": 5_642,  # (n/2)^2 + 2n
    "oscillator": 9_802,  # n(n-1)/2 + 2n, and n/2 frequencies and dampings
    "rnn": 18_058,  # n^2 + 3n: torch has two bias vectors
    "gru": 51_594,  # three times that
    "lstm": 68_362,  # four times that
}


def network_of(name: RunName, settings: Settings, seed: int = 0):
    task = TASKS[name.task]
    return build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=seed)


def test_every_task_has_every_row() -> None:
    assert {name.task for name in all_runs()} == set(TASKS)
    for task in TASKS:
        assert {name.row for name in runs_of(task)} == ROWS


@pytest.mark.parametrize("name", all_runs(), ids=str)
def test_file_is_complete_and_builds(name: RunName) -> None:
    settings = read_settings(name)
    check_optimizer(settings.optimizer)
    assert count_parameters(network_of(name, settings)) == PARAMETERS[name.row]
    # Nothing is left to a default of the code.
    assert flatten(yaml.safe_load(name.config.read_text())).keys() == flatten(settings.plain()).keys()


@pytest.mark.parametrize("name", all_runs(), ids=str)
def test_every_number_of_the_network_and_its_training_has_a_comment(name: RunName) -> None:
    lines = name.config.read_text().splitlines()
    assert lines[0].startswith("# ")
    for key in ("epochs", "batch_size", "val_size", "hidden_size", "lr", "shape"):
        (line,) = [line for line in lines if line.strip().startswith(f"{key}:")]
        assert "  # " in line, line


@pytest.mark.parametrize("task", TASKS)
def test_ablation_differs_from_gated_in_its_field_alone(task: str) -> None:
    one, other = (read_settings(RunName(task, row)).plain() for row in ("gated", "ablation"))
    assert [line.split("`")[1] for line in differences(one, other)] == ["model.field"]


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("--model.dt", "0.25", "model.dt"),
        ("--model.solver", "rk4", "model.solver"),
        ("--optimizer.lr", "0.5", "optimizer.lr"),
        ("--task.batch_size", "7", "task.batch_size"),
        ("--schedule.warm_up", "0.1", "schedule.warm_up"),
        ("--trainer.accelerator", "cuda", "trainer.accelerator"),
        ("--epochs", "99", "epochs"),
        ("--seed", "5", "seed"),
    ],
)
def test_override_changes_one_field(option: str, value: str, name: str) -> None:
    run = find_run("smnist/antisymmetric")
    before, after = (read_settings(run, args).plain() for args in ((), (option, value)))
    assert [line.split("`")[1] for line in differences(before, after)] == [name]
    assert flatten(after)[name] == yaml.safe_load(value)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--model.nonsense", "1"], "--model.nonsense"),
        (["--task.data_dir", "x"], "--task.data_dir"),
        (["--model.kind", "lstm"], "--model.kind"),
        (["--model.dt", "0"], "model.dt"),
        (["--model.dt", "-1"], "model.dt"),
        (["--model.dt", "nan"], "model.dt"),
        (["--model.hidden_size", "1.5"], "model.hidden_size"),
        (["--epochs", "0"], "epochs"),
        (["--optimizer.name", "lion"], "optimizer.name"),
        (["--schedule.warm_up", "2"], "schedule.warm_up"),
    ],
)
def test_wrong_option_is_named(args: list[str], said: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=said):
        read_settings(find_run("digits/antisymmetric"), args)


def test_help_shows_every_option_with_its_value() -> None:
    text = make_parser(find_run("digits/gated")).format_help()
    for option in ("--model.dt", "--task.batch_size", "--optimizer.lr", "--trainer.gradient_clip", "--schedule.end"):
        assert option in text
    assert "gated-antisymmetric" in text


def test_weights_are_a_function_of_the_seed() -> None:
    name = find_run("digits/gated")
    settings = read_settings(name)
    first, again, other = (network_of(name, settings, seed).state_dict() for seed in (0, 0, 1))
    assert all(first[key].equal(again[key]) for key in first)
    assert not all(first[key].equal(other[key]) for key in first)


def test_paper_lines_name_rows_there_are() -> None:
    assert {line.row for line in PUBLISHED} - {None} <= ROWS
    assert not published_for("digits")
    assert [line.method for line in published_for("pmnist")] == [line.method for line in PUBLISHED]
