"""A study that several processes share, on one machine or on several, and whose trials outlive them.

The journal, one file, says what was tried and how it went. A trial is a run in a folder of its own, which a process
owns by a lease, as any run. A trial that is said to be running in a folder that nobody owns belonged to a process that
died: whoever finds it owns it from then on, and continues from its last finished epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from benchmarks.run.lease import InUseError, Lease, Watch, claim
from benchmarks.support.errors import UserError

JOURNAL = "journal.log"
SURPLUS = "surplus"
PRUNERS = ("median", "hyperband", "none")


def open_study(folder: Path, pruner: str, epochs: int, seed: int | None) -> optuna.Study:
    """The study of a folder, made if it is not there.

    Args:
        folder: is made too.
        pruner: one of `PRUNERS`.
        epochs: of a trial.
        seed: of what is tried; None draws one. Several processes that draw the same try the same.

    Raises:
        UserError: the folder cannot be written to.
    """
    journal = folder / JOURNAL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A lock by O_EXCL, as that of a run, is sound over network file systems too; one that a process died with is
        # taken over after half a minute.
        storage = JournalStorage(JournalFileBackend(str(journal), JournalFileOpenLock(str(journal))))
        return optuna.create_study(
            storage=storage,
            study_name=folder.name,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=_pruner(pruner, epochs),
            load_if_exists=True,
        )
    except OSError as error:
        raise UserError(f"the study cannot be written to {folder}: {error}; choose another with `--out`") from error


def _pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5)
    return optuna.pruners.HyperbandPruner(1, epochs) if name == "hyperband" else optuna.pruners.NopPruner()


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials of a study, in their order; without those that were too many."""
    return [trial for trial in study.get_trials(deepcopy=False) if SURPLUS not in trial.user_attrs]


class Trials:
    """The trials that one process takes from a study.

    Args:
        study: shared with others.
        folder: of the study; each trial has a folder in it.
        limit: of the trials of the whole study, by whichever process.
        takeover: seconds without a sign of life after which others may take a trial over from this process.
    """

    def __init__(self, study: optuna.Study, folder: Path, limit: int, takeover: float) -> None:
        self.study = study
        self.folder = folder
        self.limit = limit
        self.takeover = takeover
        self._watches: dict[int, Watch] = {}

    def folder_of(self, number: int) -> Path:
        """Where a trial lies."""
        return self.folder / f"trial-{number:04}"

    def take(self) -> tuple[optuna.Trial, Lease] | None:
        """A trial whose process died, else a new one; None if there is none to be had now."""
        return self._adopt() or self._begin()

    def left(self) -> int:
        """How many trials are not finished: still to begin, or running somewhere."""
        return max(self.limit - len(counted(self.study)), 0) + len(self._running())

    def _running(self) -> Sequence[FrozenTrial]:
        return [trial for trial in counted(self.study) if trial.state == TrialState.RUNNING]

    def _adopt(self) -> tuple[optuna.Trial, Lease] | None:
        for trial in self._running():
            folder = self.folder_of(trial.number)
            number = self._watches.setdefault(trial.number, Watch(folder)).claimable()
            lease = None if number is None else self._claim(folder, number)
            if lease is None:
                continue
            if self.study.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
                return optuna.Trial(self.study, trial._trial_id), lease
            lease.release()  # its process ended it between the two looks
        return None

    def _begin(self) -> tuple[optuna.Trial, Lease] | None:
        if len(counted(self.study)) >= self.limit:
            return None
        trial = self.study.ask()
        # Others may have begun theirs meanwhile; they all see the same order.
        if sum(each.number < trial.number for each in counted(self.study)) >= self.limit:
            trial.set_user_attr(SURPLUS, True)
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        lease = self._claim(self.folder_of(trial.number), 0)
        return None if lease is None else (trial, lease)

    def _claim(self, folder: Path, succeeds: int) -> Lease | None:
        folder.mkdir(exist_ok=True)
        try:
            return claim(folder, succeeds, self.takeover)
        except InUseError:  # another process was faster
            return None
