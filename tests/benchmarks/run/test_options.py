"""Options that every run has: averaged weights, two rates, milestones, clipping, loggers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from benchmarks.cli import main
from benchmarks.models.averaging import make_average
from benchmarks.models.clipping import clip_gradients
from benchmarks.models.optimizers import OPTIMIZERS, check_optimizer, make_optimizer, parameter_groups
from benchmarks.models.schedule import rate
from benchmarks.report.result import read_result
from benchmarks.run import loggers
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.settings.types import (
    AverageSettings,
    OptimizerSettings,
    ScheduleSettings,
    TrainerSettings,
    differences,
)
from benchmarks.support.errors import MISUSED, OK, UserError

SMALL = ("--model.hidden_size", "8", "--task.batch_size", "300", "--progress", "none", "--trainer.accelerator", "cpu")
FOLDER = Path("digits", "antisymmetric", "seed-0")
STEPS = 5  # an epoch of 1,297 images in batches of 300


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., int]:
    return lambda *args: main(["train", "digits/antisymmetric", *SMALL, "--out", str(tmp_path), *args])


def checkpoint(out: Path) -> dict[str, Any]:
    return torch.load(out / FOLDER / "last.ckpt", weights_only=True)


# --- averages ---


def steps_of(network: nn.Linear, count: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(network.weight.shape, generator=draw, dtype=torch.float64) for _ in range(count)]


def averaged(settings: AverageSettings, count: int = 6) -> tuple[list[torch.Tensor], torch.Tensor]:
    network = nn.Linear(2, 3, dtype=torch.float64)
    average = make_average(network, settings)
    assert average is not None
    weights = steps_of(network, count)
    for weight in weights:
        with torch.no_grad():
            network.weight.copy_(weight)
        average.update_parameters(network)
    return weights, average.module.get_parameter("weight")


def test_ema_is_the_recursion() -> None:
    weights, average = averaged(AverageSettings("ema", 0.0, 0.75))
    expected = weights[0]
    for weight in weights[1:]:
        expected = 0.75 * expected + 0.25 * weight
    torch.testing.assert_close(average, expected, rtol=1e-14, atol=0)  # a few roundings


def test_swa_is_the_mean() -> None:
    weights, average = averaged(AverageSettings("swa"))
    # torch takes the 1 / (n + 1) of its n-th update in float32, whose rounding is 6e-8.
    torch.testing.assert_close(average, torch.stack(weights).mean(0), rtol=1e-6, atol=1e-7)


def test_no_average_is_none() -> None:
    assert make_average(nn.Linear(2, 3), AverageSettings()) is None


@pytest.mark.parametrize(("start", "count"), [("0", 10), ("0.5", 5), ("0.9", 1), ("1", 0)])
def test_average_begins_after_its_share_of_the_steps(
    train: Callable[..., int], tmp_path: Path, start: str, count: int
) -> None:
    assert train("--epochs", "2", "--average.kind", "swa", "--average.start", start) == OK
    assert int(checkpoint(tmp_path)["state_dict"]["average.n_averaged"]) == count


def test_average_is_what_is_evaluated_and_tested(train: Callable[..., int], tmp_path: Path) -> None:
    assert train("--epochs", "2", "--out", str(tmp_path / "plain")) == OK
    options = ("--average.kind", "ema", "--average.decay", "0.99", "--epochs", "2")
    assert train(*options, "--out", str(tmp_path / "ema")) == OK
    plain, ema = (read_result(tmp_path / name / FOLDER / "result.json") for name in ("plain", "ema"))
    # Training is the same, and what it is evaluated with is not. The average is not counted as parameters.
    assert [row.train for row in ema.history] == [row.train for row in plain.history]
    assert all(one.val["loss"] != other.val["loss"] for one, other in zip(ema.history, plain.history, strict=True))
    assert ema.parameters == plain.parameters


def test_average_that_never_begins_changes_nothing(train: Callable[..., int], tmp_path: Path) -> None:
    assert train("--epochs", "1", "--out", str(tmp_path / "plain")) == OK
    options = ("--average.kind", "ema", "--average.start", "1", "--epochs", "1")
    assert train(*options, "--out", str(tmp_path / "ema")) == OK
    plain, ema = (read_result(tmp_path / name / FOLDER / "result.json") for name in ("plain", "ema"))
    assert ema.metrics == plain.metrics


# --- rates ---


def settings_for(name: str = "sgd", *, scaled: tuple[str, ...] = (), scale: float = 1.0) -> OptimizerSettings:
    return OptimizerSettings(name, 0.5, 0.0, 0.0, scaled=scaled, scale=scale)  # pyright: ignore[reportArgumentType]


def network() -> nn.Module:
    return nn.ModuleDict({"recurrent": nn.Linear(2, 2), "readout": nn.Linear(2, 1)})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_named_parameters_have_a_rate_of_their_own(name: str) -> None:
    model = network()
    optimizer = make_optimizer(settings_for(name, scaled=("recurrent.*",), scale=0.1), model)
    rates = {id(each): group["lr"] for group in optimizer.param_groups for each in group["params"]}
    assert {key: rates[id(each)] for key, each in model.named_parameters()} == {
        "recurrent.weight": 0.05,
        "recurrent.bias": 0.05,
        "readout.weight": 0.5,
        "readout.bias": 0.5,
    }


def test_groups_are_never_empty() -> None:
    model = network()
    assert [len(group["params"]) for group in parameter_groups(settings_for(), model)] == [4]
    assert [len(group["params"]) for group in parameter_groups(settings_for(scaled=("*",)), model)] == [4]


def test_name_that_fits_no_parameter_is_refused() -> None:
    with pytest.raises(UserError, match=r"`optimizer.scaled` has 'skew', which fits none of recurrent.weight, "):
        parameter_groups(settings_for(scaled=("skew",)), network())


def test_scale_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"`optimizer.scale` is 0.1; name the parameters"):
        check_optimizer(settings_for(scale=0.1))


def test_name_that_fits_no_parameter_is_refused_before_any_work(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--optimizer.scaled", '["*.skew"]') == MISUSED
    assert "`optimizer.scaled` has '*.skew', which fits none of" in capsys.readouterr().err
    assert not (tmp_path / FOLDER / "config.yaml").exists()


@pytest.mark.parametrize("shape", ["constant", "cosine", "linear"])
def test_milestones_multiply_whatever_the_shape_gives(shape: Any) -> None:
    plain, dropping = ScheduleSettings(shape, 0.1, 0.2), ScheduleSettings(shape, 0.1, 0.2, (0.5, 0.9), 0.1)
    for step in range(100):
        factor = 1.0 if step < 50 else 0.1 if step < 90 else 0.01
        assert rate(dropping, step, 100) == pytest.approx(factor * rate(plain, step, 100), rel=1e-12)


# --- clipping ---


def clipped(limit: float | None, by: Any) -> tuple[torch.Tensor, float]:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, -4.0])
    norm = clip_gradients([parameter], TrainerSettings("cpu", "32-true", limit, None, by))
    return parameter.grad, float(norm)


@pytest.mark.parametrize("by", ["norm", "value"])
@pytest.mark.parametrize("limit", [None, 100.0])
def test_gradient_below_the_limit_stays(limit: float | None, by: str) -> None:
    gradient, norm = clipped(limit, by)
    assert gradient.tolist() == [3.0, -4.0]
    assert norm == 5.0


def test_gradient_above_the_limit_is_scaled_or_cut() -> None:
    # torch divides by the norm plus a millionth
    torch.testing.assert_close(clipped(1.0, "norm")[0], torch.tensor([0.6, -0.8]), rtol=1e-6, atol=0)
    assert clipped(3.5, "value")[0].tolist() == [3.0, -3.5]
    assert clipped(1.0, "value")[1] == 5.0  # before it


def test_norm_that_is_not_finite_is_seen() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.tensor([math.inf])
    assert math.isinf(clip_gradients([parameter], TrainerSettings("cpu", "32-true", 1.0, None, "value")))


# --- loggers ---


def test_tensorboard_has_every_epoch(train: Callable[..., int], tmp_path: Path) -> None:
    assert train("--epochs", "3", "--loggers", "tensorboard") == OK
    result = read_result(tmp_path / FOLDER / "result.json")
    events = EventAccumulator(str(tmp_path / FOLDER / "tensorboard"))
    events.Reload()
    for name in ("loss", "accuracy"):
        shown = [event.value for event in events.Scalars(f"val_{name}")]
        assert shown == pytest.approx([row.val[name] for row in result.history], rel=1e-6)  # kept in float32
    assert [event.step for event in events.Scalars("train_loss")] == [STEPS - 1, 2 * STEPS - 1, 3 * STEPS - 1]


def test_logger_changes_no_number(train: Callable[..., int], tmp_path: Path) -> None:
    assert train("--epochs", "1", "--out", str(tmp_path / "plain")) == OK
    assert train("--epochs", "1", "--loggers", "tensorboard", "--out", str(tmp_path / "logged")) == OK
    plain, logged = (read_result(tmp_path / name / FOLDER / "result.json") for name in ("plain", "logged"))
    assert plain.metrics == logged.metrics
    assert plain.settings == logged.settings


@pytest.mark.parametrize("command", [("train", "digits/lstm"), ("reproduce", "digits", "--rows", "lstm")])
def test_logger_that_there_is_not_is_named(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--loggers", "tensorboard,paper", "--out", str(tmp_path)]) == MISUSED
    assert "`--loggers` names 'paper'; choose from tensorboard, wandb" in capsys.readouterr().err


def test_logger_that_is_not_installed_is_named(
    train: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    assert train("--loggers", "wandb") == MISUSED
    assert "error: `--loggers wandb` needs the package wandb: python -m pip install wandb" in capsys.readouterr().err


# --- runs from before there was an option ---


def test_run_from_before_an_option_goes_on_with_its_default(train: Callable[..., int], tmp_path: Path) -> None:
    assert train("--epochs", "1") == OK
    path = tmp_path / FOLDER / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    del settings["average"], settings["optimizer"]["scaled"], settings["schedule"]["milestones"]
    path.write_text(yaml.safe_dump(settings))
    assert train("--epochs", "1") == OK
    assert train("--epochs", "1", "--average.kind", "ema") == MISUSED


def test_defaults_of_the_types_are_those_of_the_files() -> None:
    settings = read_settings(find_run("digits/lstm")).plain()
    old = {name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()}
    del old["average"], old["optimizer"]["scale"], old["trainer"]["gradient_clip_by"]
    assert differences(old, settings) == []
    assert differences(old | {"average": {"kind": "ema"}}, settings) == ["`average.kind` is 'ema' there, 'none' here"]
