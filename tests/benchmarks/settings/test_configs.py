"""Every file of settings is complete, builds its network, and says what it is."""

import argparse

import pytest
import yaml

from benchmarks.models.network import build_network, count_parameters
from benchmarks.models.optimizers import check_optimizer
from benchmarks.report.published import PUBLISHED, TABLE_1, published_for
from benchmarks.settings.names import RunName, all_runs, find_run, runs_of
from benchmarks.settings.parser import make_parser, read_settings
from benchmarks.settings.types import Settings, differences, flatten
from benchmarks.tasks import TASKS
from tests.benchmarks.shipped import settings_of

# n(n-1)/2 of the antisymmetric matrix, (m+1)n of V and b (twice if gated), o(n+1) of the readout.
PLAIN = ("antisymmetric", "antisymmetric-rk4", "antisymmetric-implicit-midpoint", "antisymmetric-substeps-2")
# At 128 units, 1 input and 10 classes.
DIGITS = {
    "antisymmetric": 9_674,  # the paper's 10k
    "gated": 9_930,  # the paper's 10k
    "ablation": 18_186,  # n^2 + 4n
    "hamiltonian-leapfrog": 5_642,  # (n/2)^2 + 2n
    "oscillator": 9_802,  # n(n-1)/2 + 2n, and n/2 frequencies and dampings
    "rnn": 18_058,  # n^2 + 3n: torch has two bias vectors
    "gru": 51_594,  # three times that
    "lstm": 68_362,  # four times that
}
MNIST = DIGITS | dict.fromkeys(PLAIN, 9_674) | {"lstm": 67_850}  # the paper's 68k: one bias vector
# The bracket of 12,000 parameters, at 1 input and 10 classes.
LEADERBOARD = {
    "cornn-64": 8_970,  # 64 oscillators, k = 64: 2 k^2 + 2 k, and the readout of k positions
    "lipschitz-64": 8_970,  # 2 n^2 + 2 n, and the readout
    "unicornn-3x64": 9_482,  # 4 k below; twice 2 k + k^2 + k above; the readout of k positions
    "lem-48": 10_090,  # k = 48: 4 k^2 + 8 k, and the readout of k
    "rotation-72": 11_242,  # 2 n^2 + 2 n, and the readout
    "gru-58": 11_204,  # 3 (n^2 + 3 n), and the readout
    "lstm-50": 11_110,  # 4 (n^2 + 3 n), and the readout
}
# Others' training of the paper's network.
NEIGHBOURS = {"antisymmetric-noisyrnn": 9_674}
PARAMETERS = {
    "digits": DIGITS | LEADERBOARD,
    "digits-permuted": DIGITS,
    "smnist": MNIST | LEADERBOARD | NEIGHBOURS,
    "pmnist": MNIST | LEADERBOARD | NEIGHBOURS,
    # 3 inputs, 256 units, the ablation 196, the LSTM 128: the paper's 36k, 37k, 42k and 69k.
    "pixel-cifar": dict.fromkeys(PLAIN, 36_234)
    | {"gated": 37_258, "ablation": 41_954, "lstm": 68_874, "hamiltonian-leapfrog": 19_978, "oscillator": 36_490},
    # The same with 96 inputs.
    "noise-padded-cifar": dict.fromkeys(PLAIN, 60_042)
    | {"gated": 84_874, "ablation": 78_410, "lstm": 116_490, "hamiltonian-leapfrog": 43_786, "oscillator": 60_298},
    # 28 inputs, 128 units.
    "noise-padded-mnist": {
        "antisymmetric": 13_130,
        "gated": 16_842,
        "lstm": 81_674,
        "hamiltonian-leapfrog": 9_098,
        "oscillator": 13_258,
    },
    # 2 inputs and 1 output; 10 inputs and 8 outputs.
    "adding": {"antisymmetric": 8_641, "gated": 9_025, "lstm": 67_201, "hamiltonian-leapfrog": 4_609},
    "copy": {"antisymmetric": 10_568, "gated": 11_976, "lstm": 72_200, "hamiltonian-leapfrog": 6_536},
    # 9 inputs, 120 units and 2 classes: the published row's 8k; the LSTM 64 units.
    "har-2": {"antisymmetric": 8_582, "gated": 9_782, "oscillator": 8_702, "lstm": 19_074},
    # 80 inputs, 128 units and 12 classes.
    "speech-commands-12": {"antisymmetric": 20_044, "gated": 30_412, "oscillator": 20_172, "lstm": 108_556},
    # 1,024 units, 50 symbols embedded in 200 numbers, which are 10,000 parameters of each.
    "ptb-characters": dict.fromkeys(("antisymmetric", "antisymmetric-lem"), 790_850)
    | dict.fromkeys(("lstm", "lstm-lem"), 5_078_850)
    | {"gated": 996_674, "oscillator": 791_874},
    # 256 units, 96 symbols embedded in 64 numbers.
    "text-characters": {"antisymmetric": 80_096, "gated": 96_736, "oscillator": 80_352, "lstm": 359_520},
}


def network_of(name: RunName, settings: Settings, seed: int = 0):
    task = TASKS[name.task]
    return build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=seed)


def test_every_task_has_its_rows() -> None:
    assert {name.task for name in all_runs()} == set(TASKS)
    for task in TASKS:
        assert {name.row for name in runs_of(task)} == set(PARAMETERS[task])


def test_own_rows_differ_from_the_paper_in_their_scheme_only() -> None:
    for task in ("smnist", "pmnist", "pixel-cifar", "noise-padded-cifar"):
        paper = settings_of(RunName(task, "antisymmetric")).plain()
        for row, changed in SCHEMES.items():
            found = differences(paper, settings_of(RunName(task, row)).plain())
            assert {line.split("`")[1] for line in found} == changed


SCHEMES = {
    "antisymmetric-rk4": {"model.solver"},
    "antisymmetric-implicit-midpoint": {"model.solver", "model.engine"},
    "antisymmetric-substeps-2": {"model.substeps"},
}


@pytest.mark.parametrize("name", all_runs(), ids=str)
def test_file_is_complete_and_builds(name: RunName) -> None:
    settings = settings_of(name)
    check_optimizer(settings.optimizer)
    assert count_parameters(network_of(name, settings)) == PARAMETERS[name.task][name.row]
    # Nothing is left to a default of the code.
    assert flatten(yaml.safe_load(name.config.read_text())).keys() == flatten(settings.plain()).keys()


@pytest.mark.parametrize("name", all_runs(), ids=str)
def test_every_number_of_the_network_and_its_training_has_a_comment(name: RunName) -> None:
    lines = name.config.read_text().splitlines()
    assert lines[0].startswith("# ")
    for key in ("epochs", "batch_size", "hidden_size", "lr", "shape"):
        (line,) = [line for line in lines if line.strip().startswith(f"{key}:")]
        assert "  # " in line, line


@pytest.mark.parametrize("task", [task for task in TASKS if "ablation" in PARAMETERS[task]])
def test_ablation_differs_from_gated_in_its_field_alone(task: str) -> None:
    one, other = (settings_of(RunName(task, row)).plain() for row in ("gated", "ablation"))
    changed = {line.split("`")[1] for line in differences(one, other)}
    assert changed - {"model.hidden_size"} == {"model.field"}  # the paper's own has 196 units on CIFAR-10


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
    for line in PUBLISHED:
        assert line.row is None or all(line.row in PARAMETERS[task] for task in line.accuracy)
    assert not published_for("digits")
    assert [line.method for line in published_for("pmnist")] == [line.method for line in TABLE_1]
