"""One process's part of a search."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.run.lease import Lease, LostLeaseError
from benchmarks.run.spec import RunSpec, make_task
from benchmarks.search.choice import best_of, settings_file, trials_table
from benchmarks.search.space import default_space, read_space, suggest, to_arguments
from benchmarks.search.study import Trials, counted, open_study
from benchmarks.search.trial import TimeUpError, run_trial
from benchmarks.settings.names import RunName
from benchmarks.settings.parser import read_settings
from benchmarks.settings.types import Settings
from benchmarks.support.atomic import WriteError, write_text
from benchmarks.support.errors import UserError

BEST, TABLE = "best.yaml", "trials.md"
POLL = 1.0
"""Seconds between two looks at trials that other processes are at work on."""


@dataclass(frozen=True)
class SearchSpec:
    """A search that is asked for.

    Attributes:
        name: the run whose settings are searched for.
        fixed: options that all trials have, as the command line of a run takes them.
        space: its name or path; None for the one that suits the run.
        folder: of the study.
        trials: how many, of all processes.
        seconds: after which this process ends.
        pruner: one of `study.PRUNERS`.
        seed: of what is tried; None draws one.
        data_dir: as `RunSpec`.
        takeover: as `RunSpec`.
    """

    name: RunName
    fixed: Sequence[str]
    space: str | None
    folder: Path
    trials: int
    seconds: float
    pruner: str
    seed: int | None
    data_dir: Path | None
    takeover: float


class Search:
    """One process's part of a study.

    Raises:
        UserError: the space or the options do not go with the run, or the folder cannot be written to.
    """

    def __init__(self, spec: SearchSpec) -> None:
        settings = read_settings(spec.name, spec.fixed)
        self.spec = spec
        self.deadline = time.monotonic() + spec.seconds
        self.space = read_space(spec.space or default_space(settings), settings)
        self.selector = make_task(self._run_spec(settings, 0)).objective.selector()
        self.study = open_study(spec.folder, spec.pruner, settings.epochs, spec.seed)
        self.trials = Trials(self.study, spec.folder, spec.trials, spec.takeover)

    def go_on(self) -> str:
        """Takes one trial after another, waits for those of other processes at the end, and says what is best.

        Raises:
            UserError: a trial's settings make no run, or the folder can no longer be written to.
        """
        try:
            while time.monotonic() < self.deadline and self.trials.left():
                taken = self.trials.take()
                if taken is None:
                    time.sleep(POLL)
                else:
                    self._carry_out(*taken)
            return self._write()
        except WriteError as error:
            raise UserError(f"the study cannot be written to {self.spec.folder}: {error}; make room") from error

    def _carry_out(self, trial: optuna.Trial, lease: Lease) -> None:
        with lease.kept():
            try:
                settings = self._settings(suggest(self.space, trial))
                value = run_trial(self._run_spec(settings, trial.number), lease, trial, self.deadline)
                self.study.tell(trial, value)
            except optuna.TrialPruned:
                self.study.tell(trial, state=TrialState.PRUNED)
            except (LostLeaseError, TimeUpError):
                return  # somebody else continues with it, or the same command another time
            except UserError:
                self.study.tell(trial, state=TrialState.FAIL)
                raise
        self._write()
        ended = self.study.get_trials(deepcopy=False)[trial.number]
        print(f"trial {trial.number}: {ended.state.name.lower()}, {self._shown(ended)}", flush=True)

    def _settings(self, chosen: Mapping[str, Any]) -> Settings:
        return read_settings(self.spec.name, [*self.spec.fixed, *to_arguments(chosen)])

    def _run_spec(self, settings: Settings, number: int) -> RunSpec:
        spec = self.spec
        out = spec.folder / f"trial-{number:04}"
        return RunSpec(spec.name, settings, out, spec.data_dir, takeover=spec.takeover)

    def _shown(self, trial: FrozenTrial) -> str:
        values = trial.intermediate_values.values()
        return f"validation {self._text(max(values))}" if values else "no epoch finished"

    def _text(self, merit: float) -> str:
        return self.selector.text(self.selector.merit(merit))

    def _write(self) -> str:
        folder, trials = self.spec.folder, counted(self.study)
        title = f"# {self.spec.name}: study {folder.name}"
        write_text(folder / TABLE, f"{title}\n\n{trials_table(trials, self._text)}\n")
        best = best_of(trials)
        if best is None:
            return f"no trial has finished yet; the same command continues\nin {folder}"
        chosen = suggest(self.space, optuna.trial.FixedTrial(best.params))
        shown = f"trial {best.number} of {len(trials)}, {self._shown(best)}"
        write_text(folder / BEST, settings_file(self.spec.name, chosen, f"study {folder.name}: {shown}"))
        return f"best: {shown}\nwritten to {folder / BEST} and {folder / TABLE}"
