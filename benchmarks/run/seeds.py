"""The seeds of a row trained at once, as an ensemble; each comes to what its run by itself comes to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby

from benchmarks.models.ensemble_learner import EnsembleLearner, SeedsDivergedError
from benchmarks.models.network import count_parameters
from benchmarks.models.optimizers import check_optimizer, parameter_groups
from benchmarks.report.result import RunResult, read_result, write_result
from benchmarks.run.carry_out import carry_out, scores_of
from benchmarks.run.checkpoint import AtomicCheckpointIO
from benchmarks.run.describe import describe_finished
from benchmarks.run.history import RunHistory
from benchmarks.run.lease import Lease
from benchmarks.run.lightning_compat import interruptible, quiet
from benchmarks.run.prepare import Prepared, make_network, make_trainer
from benchmarks.run.seeds_checkpoint import ONE, SeedsCheckpointIO
from benchmarks.run.seeds_data import SeedsData
from benchmarks.run.seeds_history import SeedsHistory
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.types import ODESettings
from benchmarks.support.atomic import WriteError
from benchmarks.support.threads import threads
from benchmarks.tasks import TASKS
from odernn import EnsembleDivergenceError

Owned = tuple[RunSpec, Lease]


def may_train_together(spec: RunSpec) -> bool:
    """Whether the seeds of a run can be trained as an ensemble and come to what they come to one by one.

    A network of ours can, unless it draws random numbers while it is trained, waits for plateaus of its own, carries
    its state from batch to batch, logs elsewhere or is trained by several processes.
    """
    model, settings = spec.settings.model, spec.settings
    if not isinstance(model, ODESettings) or model.input_dropout or model.output_dropout:
        return False
    if settings.schedule.plateau_factor != 1 or TASKS[spec.name.task].carries_state:
        return False
    return spec.devices == 1 and not spec.loggers and not spec.overwrite


def same_but_for_the_seed(one: RunSpec, other: RunSpec) -> bool:
    """Whether two runs differ in nothing but the seed."""
    return replace(one, settings=replace(one.settings, seed=other.settings.seed)) == other


def train_seeds(specs: Sequence[RunSpec], succeeds: Sequence[int | None]) -> list[RunResult]:
    """The results of runs that differ in the seed: read where they have ended before, else trained together.

    Those that have come equally far go on together, from the checkpoints that are there or from the start; a checkpoint
    may be of an ensemble of other seeds, or of a run by itself.

    Args:
        specs: what is asked for; `may_train_together` holds.
        succeeds: of each, as `RunFolder.owned`.

    Raises:
        UserError, InUseError, LostLeaseError, KeyboardInterrupt: as `train`.
    """
    with ExitStack() as stack:
        owned: list[Owned] = []
        for spec, number in zip(specs, succeeds, strict=True):
            owned.append((spec, stack.enter_context(spec.folder.owned(spec.takeover, number))))
            spec.folder.check(spec.settings)
        waiting = [each for each in owned if not each[0].folder.result.exists()]
        try:
            for _, group in groupby(sorted(waiting, key=_epochs_done), _epochs_done):
                _carry_out_or_apart(list(group))
        except WriteError as error:
            raise specs[0].folder.unwritable(error) from error
        return [read_result(spec.folder.result) for spec in specs]


def _epochs_done(owned: Owned) -> int:
    checkpoint = owned[0].folder.checkpoint
    if not checkpoint.exists():
        return 0
    return len(AtomicCheckpointIO().load_checkpoint(checkpoint)["callbacks"][ONE]["history"])


def _carry_out_or_apart(group: Sequence[Owned]) -> None:
    """Trains seeds together; one that diverges does so by itself, and the others go on from their last epoch."""
    if len(group) < 2:
        for each in group:
            carry_out(*each)
        return
    try:
        _carry_out(group)
    except (SeedsDivergedError, EnsembleDivergenceError) as error:
        models = error.models if isinstance(error, SeedsDivergedError) else [error.model]
        for k in models:
            carry_out(*group[k])
        _carry_out_or_apart([each for k, each in enumerate(group) if k not in models])


def _carry_out(group: Sequence[Owned]) -> None:
    """Carry out all runs as `carry_out` does, at once."""
    specs = [spec for spec, _ in group]
    settings = specs[0].settings
    check_optimizer(settings.optimizer)
    with quiet(), threads(settings.trainer.threads):
        tasks = [make_task(spec) for spec in specs]
        networks = [make_network(spec.settings, task) for spec, task in zip(specs, tasks, strict=True)]
        parameter_groups(settings.optimizer, networks[0])
        records = [RunHistory(spec.folder, lease) for spec, lease in group]
        checkpoints = SeedsCheckpointIO([spec.folder.checkpoint for spec in specs])
        trainer = make_trainer(specs[0], SeedsHistory(records), checkpoints)
        for task in tasks:
            read_data(task)
        for spec in specs:
            spec.folder.clear_parts()
            spec.folder.claim(spec.settings)
        learner, data = EnsembleLearner(networks, tasks[0].objective, settings), SeedsData(tasks)
        start = specs[0].folder.checkpoint
        with interruptible():
            trainer.fit(learner, datamodule=data, ckpt_path=str(start) if start.exists() else None, weights_only=True)
            learner.keep_only([record.best for record in records])
            began = time.monotonic()
            trainer.test(learner, datamodule=data, verbose=False)
        seconds = (time.monotonic() - began) / len(group)
        parts = zip(specs, tasks, records, learner.scorers, strict=True)
        for spec, task, record, scorer in parts:
            prepared = Prepared(spec, task, record, trainer, count_parameters(networks[0]))
            metrics = scores_of(record, task.objective, scorer.metrics["test"])
            record.lease.check()
            write_result(spec.folder.result, describe_finished(prepared, metrics, seconds))
