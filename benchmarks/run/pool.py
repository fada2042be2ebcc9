"""Several runs, one after another or side by side in processes, shared with whoever else works on the same folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from benchmarks.report.result import RunResult
from benchmarks.run.lease import InUseError, LostLeaseError, Watch
from benchmarks.run.processes import killable_processes
from benchmarks.run.seeds import may_train_together, same_but_for_the_seed, train_seeds
from benchmarks.run.spec import RunSpec
from benchmarks.run.train import train

POLL = 1.0
"""Seconds between two looks at runs that another process is at work on."""


class Claim(NamedTuple):
    """A run that nobody is at work on: its place in the queue, the run, and the number of the owner to succeed."""

    place: int
    spec: RunSpec
    number: int


class Queue:
    """The runs that have no result yet, each with the watch over its folder.

    Args:
        specs: the runs.
        together: seeds of one row that are taken at once, at most.
    """

    def __init__(self, specs: Sequence[RunSpec], together: int = 1) -> None:
        self._waiting = {index: (spec, Watch(spec.folder.path)) for index, spec in enumerate(specs)}
        self._together = together

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> list[Claim]:
        """A run that nobody is at work on, with others that can be trained together with it; nothing if none is."""
        taken: list[Claim] = []
        for place, (spec, watch) in list(self._waiting.items()):
            if len(taken) == self._together or (taken and not self._fits(taken[0].spec, spec)):
                continue
            number = watch.claimable()
            if number is not None or (spec.folder.result.exists() and not spec.overwrite):
                del self._waiting[place]
                taken.append(Claim(place, spec, number or 0))
        return taken

    def put_back(self, claims: Sequence[Claim]) -> None:
        """Returns runs that another process has begun meanwhile."""
        for claim in claims:
            self._waiting[claim.place] = (claim.spec, Watch(claim.spec.folder.path))

    @staticmethod
    def _fits(one: RunSpec, other: RunSpec) -> bool:
        return same_but_for_the_seed(one, other) and may_train_together(one)


def run_all(requests: Sequence[RunSpec], jobs: int, together: int = 1) -> list[RunResult]:
    """The results of all runs, at most `jobs` at once; a line for each as it ends.

    A run that another process is at work on, here or on another machine, is left to it: the others come first, and
    what is still missing then is waited for, or taken over if its process dies. A run that diverges is a result like
    any other. What else goes wrong ends the others too, by kill: they continue from their checkpoints the next time.

    Args:
        requests: the runs.
        jobs: processes at once.
        together: seeds of one row that a process trains at once, at most, where that comes to the same.
    """
    results = []
    with _executor(jobs) as executor:
        for result in _shared(Queue(requests, together), jobs, executor):
            results.append(result)
            print(f"[{len(results)}/{len(requests)}] {result.summary}", flush=True)
    return results


def _shared(queue: Queue, jobs: int, executor: Executor | None) -> Iterator[RunResult]:
    running: dict[Future[list[RunResult]], list[Claim]] = {}
    told = False
    while queue or running:
        while len(running) < jobs and (taken := queue.take()):
            running[_start(executor, taken)] = taken
        if not running:
            told = told or _tell_waiting(len(queue))
            time.sleep(POLL)
            continue
        done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in done:
            claims = running.pop(future)
            try:
                yield from future.result()
            except (InUseError, LostLeaseError):
                queue.put_back(claims)


def _start(executor: Executor | None, claims: list[Claim]) -> Future[list[RunResult]]:
    if executor is not None:
        return executor.submit(_train, claims)
    future: Future[list[RunResult]] = Future()
    try:
        future.set_result(_train(claims))
    except (InUseError, LostLeaseError) as error:
        future.set_exception(error)
    return future


def _train(claims: list[Claim]) -> list[RunResult]:
    if len(claims) == 1:
        return [train(claims[0].spec, claims[0].number)]
    return train_seeds([claim.spec for claim in claims], [claim.number for claim in claims])


def _tell_waiting(count: int) -> bool:
    print(f"another process is at work on what is left ({count}); waiting for it", flush=True)
    return True


def _executor(jobs: int) -> AbstractContextManager[Executor | None]:
    return nullcontext() if jobs == 1 else killable_processes(jobs, max(1, (os.cpu_count() or 1) // jobs))
