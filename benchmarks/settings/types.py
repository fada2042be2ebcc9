"""The settings of a run, typed: what `configs/<task>/<row>.yaml` holds and the command line may override."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

# jsonargparse makes its restricted numbers while the program runs; a type checker sees variables.
# pyright: reportInvalidTypeForm=false


@dataclass(frozen=True)
class ODESettings:
    """A recurrent network that is a solver stepping a vector field.

    Args:
        field: name of the vector field in `odernn.FIELDS`.
        solver: name of the solver in `solvers.SOLVERS`.
        dt: time from one sample to the next (the paper's epsilon).
        substeps: solver steps from one sample to the next.
        hold: the control between samples.
        adjoint: how gradients flow, by name.
        engine: what executes it: torch, or native (C++ on the CPU; where that cannot be had, a warning and torch).
        hidden_size: units.
        sigma_w: W ~ N(0, sigma_w^2 / units).
        sigma_v: V ~ N(0, sigma_v^2 / inputs).
        damping: the paper's gamma, its diffusion; of an oscillator bank that of every oscillator at the start; null for
            a field that has none.
        frequencies: of an oscillator bank, the lowest and the highest at the start, in radians a sample, which is also
            the unit that they are learned in; null for a field that has none.
    """

    field: str
    solver: str
    dt: PositiveFloat
    substeps: PositiveInt
    hold: str
    adjoint: str
    engine: str
    hidden_size: PositiveInt
    sigma_w: NonNegativeFloat
    sigma_v: NonNegativeFloat
    damping: NonNegativeFloat | None = None
    frequencies: tuple[NonNegativeFloat, NonNegativeFloat] | None = None


@dataclass(frozen=True)
class BaselineSettings:
    """A recurrent network of torch.

    Args:
        kind: torch.nn.RNN, GRU or LSTM, one layer.
        hidden_size: units.
        single_bias: an LSTM with one bias vector, as papers count it. torch has two, which add up; the second is then 0
            and not trained.
        forget_bias: what an LSTM adds before its forget gate at the start, every other bias being 0; null keeps
            torch's own start.
    """

    kind: Literal["rnn", "gru", "lstm"]
    hidden_size: PositiveInt
    forget_bias: float | None = None
    single_bias: bool = False


@dataclass(frozen=True)
class OptimizerSettings:
    """What turns gradients into steps.

    Args:
        name: torch.optim's SGD, Adagrad, Adam or AdamW.
        lr: the largest learning rate of the schedule.
        momentum: of sgd only.
        betas: of adam and adamw only, how much the running means of the gradient and of its square keep in a step;
            null for torch's own.
        weight_decay: as the optimizer means it.
    """

    name: Literal["sgd", "adagrad", "adam", "adamw"]
    lr: PositiveFloat
    momentum: NonNegativeFloat
    weight_decay: NonNegativeFloat
    betas: tuple[ClosedUnitInterval, ClosedUnitInterval] | None = None


@dataclass(frozen=True)
class ScheduleSettings:
    """The learning rate, step by step, as a share of `optimizer.lr`.

    Args:
        shape: of the way from the largest rate to the last one.
        warm_up: share of all steps that a rise to the largest rate takes; 0.3 with cosine is the one-cycle schedule.
        end: the last rate, as a share of the largest; without meaning for constant.
    """

    shape: Literal["constant", "cosine", "linear"]
    warm_up: ClosedUnitInterval
    end: ClosedUnitInterval


@dataclass(frozen=True)
class TrainerSettings:
    """How lightning runs it.

    Args:
        accelerator: auto, cpu, cuda, mps, or another name that lightning knows.
        precision: of the arithmetic.
        gradient_clip: largest norm of the gradient; null for no limit.
        threads: of torch on the CPU; null for torch's own choice. Results are the same to the last bit only for the
            same number.
    """

    accelerator: str
    precision: Literal["32-true", "64-true", "bf16-mixed"]
    gradient_clip: PositiveFloat | None = None
    threads: PositiveInt | None = None


@dataclass(frozen=True)
class Settings:
    """Every number of a run.

    Args:
        title: the run's name in a table.
        epochs: passes over the training data.
        seed: of the initial weights and of the training order.
        task: the task's own settings.
        model: the network.
        optimizer: what turns gradients into steps.
        schedule: the learning rate, step by step.
        trainer: how lightning runs it.
    """

    title: str
    epochs: PositiveInt
    seed: NonNegativeInt
    task: dict[str, Any]
    model: ODESettings | BaselineSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    trainer: TrainerSettings

    def plain(self) -> dict[str, Any]:
        """As dictionaries of numbers and strings."""
        return asdict(self)


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names: {"model": {"dt": 1}} is {"model.dt": 1}."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differences(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """What differs between two sets of settings, one line a field; the title, which changes nothing, aside."""
    old, new = flatten(stored), flatten(asked)
    names = [name for name in old | new if name != "title"]
    names = [name for name in names if old.get(name) != new.get(name) or (name in old) != (name in new)]
    return [f"`{name}` is {_shown(old, name)} there, {_shown(new, name)} here" for name in names]


def _shown(values: dict[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "absent"
