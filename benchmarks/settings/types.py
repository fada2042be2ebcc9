"""The settings of a run, typed: what `configs/<task>/<row>.yaml` holds and the command line may override."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from types import MappingProxyType
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
        engine: what executes it: auto, torch, native (C++ on the CPU) or triton (CUDA devices); torch where the kernels
            cannot be had.
        hidden_size: units.
        sigma_w: W ~ N(0, sigma_w^2 / units).
        sigma_v: V ~ N(0, sigma_v^2 / inputs).
        damping: the paper's gamma, its diffusion; of an oscillator bank that of every oscillator at the start; null for
            a field that has none.
        frequencies: of an oscillator bank, the lowest and the highest at the start, in radians a sample, which is also
            the unit that they are learned in; null for a field that has none.
        options: further arguments of the field by name, such as coRNN's gamma and epsilon; null for none.
        layers: such networks upon each other; each has its own weights, and a readout sees the last.
        visible: what the next layer and the readout see of a state: all of it ("state"), or its "first-half", which
            are the positions of coRNN, UnICORNN and LEM, as in their papers.
        embedding: numbers that each sample is mapped to, by a matrix without bias, before the network reads it: of
            tokens, which come one-hot, their embedding; null for none.
        input_dropout: share of the numbers that the network reads which are set to 0 in training, each by itself.
        output_dropout: likewise of those that the readout reads.
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
    options: dict[str, float] | None = None
    layers: PositiveInt = 1
    visible: Literal["state", "first-half"] = "state"
    embedding: PositiveInt | None = None
    input_dropout: ClosedUnitInterval = 0.0
    output_dropout: ClosedUnitInterval = 0.0


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
        embedding: numbers that each sample is mapped to, by a matrix without bias, before the network reads it: of
            tokens, which come one-hot, their embedding; null for none.
        input_dropout: share of the numbers that the network reads which are set to 0 in training, each by itself.
        output_dropout: likewise of those that the readout reads.
    """

    kind: Literal["rnn", "gru", "lstm"]
    hidden_size: PositiveInt
    forget_bias: float | None = None
    single_bias: bool = False
    embedding: PositiveInt | None = None
    input_dropout: ClosedUnitInterval = 0.0
    output_dropout: ClosedUnitInterval = 0.0


@dataclass(frozen=True)
class OptimizerSettings:
    """What turns gradients into steps.

    Args:
        name: torch.optim's SGD, Adagrad, RMSprop, Adam or AdamW.
        lr: the largest learning rate of the schedule.
        momentum: of sgd and rmsprop only.
        betas: of adam and adamw only, how much the running means of the gradient and of its square keep in a step;
            null for torch's own.
        weight_decay: as the optimizer means it.
        scaled: names of parameters with a learning rate of their own, where * stands for any characters, such as
            "*.field.recurrent.*"; each must fit a parameter of the network.
        scale: their rate as a share of the other parameters'.
    """

    name: Literal["sgd", "adagrad", "rmsprop", "adam", "adamw"]
    lr: PositiveFloat
    momentum: NonNegativeFloat
    weight_decay: NonNegativeFloat
    betas: tuple[ClosedUnitInterval, ClosedUnitInterval] | None = None
    scaled: tuple[str, ...] = ()
    scale: PositiveFloat = 1.0


@dataclass(frozen=True)
class ScheduleSettings:
    """The learning rate, step by step, as a share of `optimizer.lr`.

    Args:
        shape: of the way from the largest rate to the last one.
        warm_up: share of all steps that a rise to the largest rate takes; 0.3 with cosine is the one-cycle schedule.
        end: the last rate, as a share of the largest; without meaning for constant.
        milestones: shares of all steps after which the rate is multiplied by `milestone_factor`, whatever its shape.
            [0.9] with a factor of 0.1 divides it by 10 for the last tenth; with constant they are step decays.
        milestone_factor: what each of them multiplies by.
        plateau_factor: what the rate is multiplied by, from then on, after each epoch that is not better on validation
            data than every epoch before it; 1 for never.
    """

    shape: Literal["constant", "cosine", "linear"]
    warm_up: ClosedUnitInterval
    end: ClosedUnitInterval
    milestones: tuple[ClosedUnitInterval, ...] = ()
    milestone_factor: PositiveFloat = 0.1
    plateau_factor: PositiveFloat = 1.0


@dataclass(frozen=True)
class AverageSettings:
    """A running average of the weights, which is evaluated and saved in their place; training continues without it.

    Args:
        kind: none; ema (exponential moving average) or swa (stochastic weight averaging: the plain mean), both after
            every step.
        start: share of all steps after which the average begins; until then the weights themselves are evaluated.
        decay: of ema only, how much the average keeps in a step.
    """

    kind: Literal["none", "ema", "swa"] = "none"
    start: ClosedUnitInterval = 0.0
    decay: ClosedUnitInterval = 0.999


@dataclass(frozen=True)
class TrainerSettings:
    """How lightning runs it.

    Args:
        accelerator: auto, cpu, cuda, mps, or another name that lightning knows.
        precision: of the arithmetic.
        gradient_clip: the largest gradient; null for no limit.
        gradient_clip_by: what is limited: the norm of the whole gradient, or the value of each of its entries.
        threads: of torch on the CPU; null for torch's own choice. Results are the same to the last bit only for the
            same number.
    """

    accelerator: str
    precision: Literal["32-true", "64-true", "bf16-mixed"]
    gradient_clip: PositiveFloat | None = None
    threads: PositiveInt | None = None
    gradient_clip_by: Literal["norm", "value"] = "norm"


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "optimizer": OptimizerSettings,
        "schedule": ScheduleSettings,
        "average": AverageSettings,
        "trainer": TrainerSettings,
    }
)


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
        average: a running average of the weights.
        trainer: how lightning runs it.
    """

    title: str
    epochs: PositiveInt
    seed: NonNegativeInt
    task: dict[str, Any]
    model: ODESettings | BaselineSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    average: AverageSettings
    trainer: TrainerSettings

    def plain(self) -> dict[str, Any]:
        """The settings as dictionaries of numbers and strings."""
        return asdict(self)


def settings_from(stored: dict[str, Any]) -> Settings:
    """The settings that a run wrote down, completed by the defaults of options that were added since.

    Raises:
        KeyError, TypeError: an option is missing or unknown.
    """
    plain = with_defaults(stored)
    model = plain["model"]
    kind = BaselineSettings if "kind" in model else ODESettings
    parts: dict[str, Any] = {name: section(**plain[name]) for name, section in SECTIONS.items()}
    return Settings(
        title=plain["title"],
        epochs=plain["epochs"],
        seed=plain["seed"],
        task=plain["task"],
        model=kind(**model),
        **parts,
    )


def with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as dictionaries, completed by the options that have a default in their type."""
    model = settings.get("model", {})
    kinds = {"model": BaselineSettings if "kind" in model else ODESettings, **SECTIONS}
    return settings | {name: _defaults(kind) | settings.get(name, {}) for name, kind in kinds.items()}


def _defaults(kind: type[Any]) -> dict[str, Any]:
    found = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


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
    """What differs between two sets of settings, one line a field; the title, which changes nothing, aside.

    An option that one of them does not have, since it was written before there was the option, is at its default there.
    """
    old, new = flatten(with_defaults(stored)), flatten(with_defaults(asked))
    names = [name for name in old | new if name != "title"]
    names = [name for name in names if old.get(name) != new.get(name) or (name in old) != (name in new)]
    return [f"`{name}` is {_shown(old, name)} there, {_shown(new, name)} here" for name in names]


def _shown(values: dict[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "absent"
