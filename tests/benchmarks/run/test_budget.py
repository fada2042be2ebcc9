"""Groups, budgets and verdicts: what `reproduce table1 --budget short` trains, and how it is judged."""

import math

import pytest

from benchmarks.report.published import PUBLISHED, best_of_the_paper, published_for
from benchmarks.report.verdict import verdict
from benchmarks.run.budget import BUDGETS, budget_options, cost
from benchmarks.settings.groups import GROUPS, SLOW_ROWS, UNASKED, rows_of, tasks_of
from benchmarks.settings.names import RunName, all_runs, find_run
from benchmarks.settings.parser import make_parser, to_settings
from benchmarks.support.errors import UserError
from tests.benchmarks.shipped import settings_of


def epochs(budget: str, name: RunName, samples: int = 55_000) -> int:
    options = budget_options(budget, name.task, settings_of(name), lambda: samples)
    return int(options[options.index("--epochs") + 1])


def test_a_group_is_its_tasks_and_each_comes_once() -> None:
    assert tasks_of(["table1"]) == ["smnist", "pmnist"]
    assert tasks_of(["pmnist", "table1", "digits", "digits"]) == ["pmnist", "smnist", "digits"]
    assert tasks_of(["table2"]) == ["pixel-cifar", "noise-padded-cifar"]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_every_network_that_the_paper_has_and_we_can_train(group: str) -> None:
    names = rows_of(tasks_of([group]), None)
    assert len(set(names)) == len(names)
    for task in GROUPS[group]:
        rows = [name.row for name in names if name.task == task]
        paper = [line.row for line in published_for(task) if line.row is not None]
        assert set(paper) <= set(rows)
        assert set(rows[: len(paper)]) <= {*paper, "ablation"}, "the paper's come first"
        assert not set(UNASKED) & set(rows)


def test_a_slow_row_is_trained_where_it_is_named() -> None:
    assert [str(name) for name in rows_of(["pmnist"], SLOW_ROWS)] == ["pmnist/antisymmetric-implicit-midpoint"]


@pytest.mark.parametrize(
    ("tasks", "rows", "said"),
    [
        (["table3"], None, "`task` is 'table3'; choose from "),
        (["table1"], ["transformer"], "`--rows` names 'transformer', and smnist has no such row; it has "),
        (["digits", "adding"], ["rnn"], "`--rows` names 'rnn', and adding has no such row"),
    ],
)
def test_what_there_is_not_is_named(tasks: list[str], rows: list[str] | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        rows_of(tasks_of(tasks), rows)


ROWS = [name for name in all_runs() if name.task in tasks_of(list(GROUPS))]


@pytest.mark.parametrize("name", ROWS, ids=str)
def test_every_row_of_a_table_has_every_budget(name: RunName) -> None:
    assert all(epochs(budget, name, 45_000) >= 1 for budget in BUDGETS)


@pytest.mark.parametrize("task", tasks_of(list(GROUPS)))
def test_a_run_takes_the_options_of_its_budget(task: str) -> None:
    name = next(name for name in ROWS if name.task == task)
    parser = make_parser(name)
    for budget in BUDGETS:
        options = budget_options(budget, task, settings_of(name), lambda: 45_000)
        settings = to_settings(parser, name, parser.parse_args(options))
        assert settings.epochs == epochs(budget, name, 45_000)
        assert (settings.task["limit"] is not None) == (budget == "smoke")


@pytest.mark.parametrize(("run", "iterations"), [("pmnist/gated", 50_000), ("noise-padded-cifar/gated", 10_000)])
def test_the_budget_of_the_paper_is_its_iterations_in_whole_epochs(run: str, iterations: int) -> None:
    name = find_run(run)
    steps = math.ceil(55_000 / settings_of(name).task["batch_size"])
    assert (epochs("paper", name) - 1) * steps < iterations <= epochs("paper", name) * steps


def test_a_row_that_costs_more_has_fewer_epochs_in_an_hour() -> None:
    euler, rk4 = find_run("pmnist/antisymmetric"), find_run("pmnist/antisymmetric-rk4")
    assert epochs("short", euler) == 4 * epochs("short", rk4)
    assert cost(settings_of(find_run("pmnist/antisymmetric-substeps-2"))) == 2
    assert cost(settings_of(find_run("pmnist/lstm"))) > 2
    assert epochs("short", find_run("pmnist/antisymmetric-implicit-midpoint")) == 1


def test_data_are_read_for_the_budget_of_the_paper_only() -> None:
    name = find_run("pmnist/gated")
    for budget in ("smoke", "short"):
        budget_options(budget, name.task, settings_of(name), lambda: pytest.fail("read"))


@pytest.mark.parametrize(
    ("ours", "published", "best", "expected"),
    [
        (95.8, 95.8, 95.8, "reproduced"),
        (95.3, 95.8, 95.8, "reproduced"),
        (96.3, 95.8, 95.8, "reproduced"),
        (95.2, 95.8, 95.8, "not reproduced"),
        (96.4, 95.8, 95.8, "beyond"),
        (98.5, 98.0, 98.8, "reproduced"),
        (96.4, None, 95.8, "beyond"),
        (96.3, None, 95.8, None),
        (95.8, None, 95.8, None),
        (99.0, None, None, None),
    ],
)
def test_a_verdict(ours: float, published: float | None, best: float | None, expected: str | None) -> None:
    assert verdict(ours, published, best) == expected


def test_the_paper_s_numbers_are_those_of_its_tables() -> None:
    found = {(line.row, task): accuracy for line in PUBLISHED for task, accuracy in line.accuracy.items() if line.row}
    assert found == {
        ("lstm", "smnist"): "97.3",
        ("lstm", "pmnist"): "92.6",
        ("antisymmetric", "smnist"): "98.0",
        ("antisymmetric", "pmnist"): "95.8",
        ("gated", "smnist"): "98.8",
        ("gated", "pmnist"): "93.1",
        ("lstm", "pixel-cifar"): "59.7",
        ("lstm", "noise-padded-cifar"): "11.6",
        ("ablation", "pixel-cifar"): "54.6",
        ("ablation", "noise-padded-cifar"): "46.2",
        ("antisymmetric", "pixel-cifar"): "58.7",
        ("antisymmetric", "noise-padded-cifar"): "48.3",
        ("gated", "pixel-cifar"): "62.2",
        ("gated", "noise-padded-cifar"): "54.7",
    }
    best = {
        task: best_of_the_paper(task) for task in ("smnist", "pmnist", "pixel-cifar", "noise-padded-cifar", "digits")
    }
    assert best == {"smnist": 98.8, "pmnist": 95.8, "pixel-cifar": 62.2, "noise-padded-cifar": 54.7, "digits": None}
