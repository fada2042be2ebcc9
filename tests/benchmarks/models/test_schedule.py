"""The learning rate, step by step."""

import itertools

import pytest
import torch

from benchmarks.models.optimizers import check_optimizer, make_optimizer
from benchmarks.models.schedule import Plateaus, rate, rate_function
from benchmarks.settings.types import OptimizerSettings, ScheduleSettings
from benchmarks.support.errors import UserError

TOTAL = 100


def test_one_cycle_is_that_of_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=TOTAL, pct_start=0.3, final_div_factor=1e9, cycle_momentum=False
    )
    schedule = ScheduleSettings("cosine", 0.3, 0.0)
    for step in range(TOTAL):
        # torch reaches the top one step before ours: 0.03 of the rise apart at most.
        assert rate(schedule, step, TOTAL) == pytest.approx(cycle.get_last_lr()[0], abs=0.06)
        optimizer.step()
        cycle.step() if step < TOTAL - 1 else None


@pytest.mark.parametrize("shape", ["constant", "cosine", "linear"])
@pytest.mark.parametrize("warm_up", [0.0, 0.3, 1.0])
def test_rises_to_one_and_falls_to_the_end(shape: str, warm_up: float) -> None:
    schedule = ScheduleSettings(shape, warm_up, 0.1)
    rates = [rate(schedule, step, TOTAL) for step in range(TOTAL)]
    top = round(warm_up * TOTAL)
    assert all(a < b for a, b in itertools.pairwise(rates[:top]))
    assert all(a >= b for a, b in itertools.pairwise(rates[top:]))
    assert max(rates) <= 1.0
    if warm_up < 1:
        assert rates[top] == 1.0
        assert rates[-1] == pytest.approx(1.0 if shape == "constant" else 0.1)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_few_steps_are_enough(total: int) -> None:
    schedule = ScheduleSettings("cosine", 0.3, 0.0)
    assert all(0 <= rate(schedule, step, total) <= 1 for step in range(total + 1))


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam", "adamw"])
def test_optimizer_has_the_settings(name: str) -> None:
    settings = OptimizerSettings(name, 0.25, 0.0, 0.125)
    optimizer = make_optimizer(settings, torch.nn.Linear(2, 1))
    assert type(optimizer).__name__.lower() == name
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert optimizer.param_groups[0]["weight_decay"] == 0.125


def test_momentum_reaches_sgd_and_is_refused_by_others() -> None:
    optimizer = make_optimizer(OptimizerSettings("sgd", 0.1, 0.9, 0.0), torch.nn.Linear(2, 1))
    assert optimizer.param_groups[0]["momentum"] == 0.9
    with pytest.raises(UserError, match=r"`optimizer.momentum` is 0.9 and adam takes none"):
        check_optimizer(OptimizerSettings("adam", 0.1, 0.9, 0.0))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_betas_reach_adam(name: str) -> None:
    settings = OptimizerSettings(name, 0.1, 0.0, 0.0, (0.8, 0.95))
    check_optimizer(settings)
    optimizer = make_optimizer(settings, torch.nn.Linear(2, 1))
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.95)


def test_betas_are_refused_where_they_mean_nothing() -> None:
    with pytest.raises(UserError, match=r"`optimizer.betas` is \[0.9, 0.99\] and sgd takes none"):
        check_optimizer(OptimizerSettings("sgd", 0.1, 0.0, 0.0, (0.9, 0.99)))
    with pytest.raises(UserError, match="from 0 to below 1"):
        check_optimizer(OptimizerSettings("adam", 0.1, 0.0, 0.0, (0.9, 1.0)))


def test_a_plateau_is_an_epoch_that_is_no_better_than_every_one_before() -> None:
    plateaus = Plateaus(0.5)
    merits = [(1.0, -2.0), (2.0, -3.0), (1.5, 0.0), (2.0, -3.0), (2.0, -2.9), (3.0, -9.0)]
    assert [plateaus.end_epoch(merit) for merit in merits] == [False, False, True, True, False, False]
    assert plateaus.share == 0.25


def test_plateaus_come_back_from_a_checkpoint() -> None:
    plateaus, other = Plateaus(0.5), Plateaus(0.5)
    for merit in ((2.0,), (1.0,)):
        plateaus.end_epoch(merit)
    other.load_state_dict(plateaus.state_dict())
    assert (other.share, other.end_epoch((2.0,)), other.end_epoch((3.0,))) == (0.5, True, False)


def test_the_rate_falls_with_each_plateau_whatever_its_shape() -> None:
    schedule, plateaus = ScheduleSettings("linear", 0.0, 0.1, plateau_factor=0.5), Plateaus(0.5)
    share = rate_function(schedule, TOTAL, plateaus)
    before = [share(step) for step in range(TOTAL)]
    plateaus.end_epoch((2.0,))
    plateaus.end_epoch((1.0,))
    assert [share(step) for step in range(TOTAL)] == [value / 2 for value in before]
