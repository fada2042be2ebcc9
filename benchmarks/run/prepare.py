"""The parts of a run, put together from what it is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass

import lightning as L
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy

from benchmarks.models.learner import Learner
from benchmarks.models.network import build_network, count_parameters
from benchmarks.models.optimizers import check_optimizer, parameter_groups
from benchmarks.run.checkpoint import AtomicCheckpointIO
from benchmarks.run.history import RunHistory
from benchmarks.run.lease import Lease
from benchmarks.run.loggers import make_loggers
from benchmarks.run.progress import progress_callbacks
from benchmarks.run.shares import check_shares
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.types import Settings
from benchmarks.support.errors import UserError
from benchmarks.tasks import Task
from odernn import SequenceNetwork


@dataclass(frozen=True)
class Prepared:
    """What a result is made of: what is asked for, the data, what is kept, lightning, and the network's parameters."""

    spec: RunSpec
    task: Task
    record: RunHistory
    trainer: L.Trainer
    parameters: int


@dataclass(frozen=True)
class PreparedRun(Prepared):
    """The parts of a run: the same, and the network with its loss."""

    module: Learner


def prepare(spec: RunSpec, lease: Lease) -> PreparedRun:
    """The parts of a run, its data read: what can be wrong with the request is wrong here.

    Raises:
        UserError: it cannot be carried out.
    """
    settings = spec.settings
    check_optimizer(settings.optimizer)
    task = make_task(spec)
    network = make_network(settings, task)
    parameter_groups(settings.optimizer, network)  # which tells now of a name that fits no parameter
    record = RunHistory(spec.folder, lease)
    trainer = make_trainer(spec, record, AtomicCheckpointIO())
    read_data(task)
    check_shares(task, spec.devices)
    module = Learner(network, task.objective, settings, carries_state=task.carries_state)
    return PreparedRun(spec, task, record, trainer, count_parameters(network), module)


def make_network(settings: Settings, task: Task) -> SequenceNetwork:
    """The network of a run, before it is trained, in the precision of the run.

    Raises:
        UserError: a name or a value that the network does not take.
    """
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed)
    if settings.trainer.precision == "64-true":
        network.double()  # lightning does so after it has read a checkpoint, and rounds what it reads
    return network


def make_trainer(spec: RunSpec, record: Callback, checkpoints: CheckpointIO) -> L.Trainer:
    """lightning, as a run wants it.

    Args:
        spec: what is asked for.
        record: what ends an epoch.
        checkpoints: how they reach the disk.

    Raises:
        UserError: the accelerator cannot be used.
    """
    settings = spec.settings.trainer
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    loggers = make_loggers(spec.loggers, spec.folder.path, str(spec.name), spec.settings) if is_first else []
    try:
        return L.Trainer(
            accelerator=settings.accelerator,
            devices=spec.devices,
            strategy="auto" if spec.devices == 1 else DDPStrategy(),
            use_distributed_sampler=False,  # the tasks share out their samples themselves, each once
            precision=settings.precision,
            max_epochs=spec.settings.epochs,
            callbacks=[record, *(progress_callbacks(spec.progress, str(spec.name)) if is_first else [])],
            plugins=[checkpoints],
            logger=loggers,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_progress_bar=spec.progress == "bar" and is_first,
            enable_model_summary=False,
            default_root_dir=spec.folder.path,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise UserError(f"`trainer.accelerator` {settings.accelerator!r} cannot be used: {error}") from error
