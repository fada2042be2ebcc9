"""Several runs, one after another or side by side in processes, shared with whoever else works on the same folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext

from benchmarks.report.result import RunResult
from benchmarks.run.lease import InUseError, LostLeaseError, Watch
from benchmarks.run.processes import killable_processes
from benchmarks.run.spec import RunSpec
from benchmarks.run.train import train

POLL = 1.0
"""Seconds between two looks at runs that another process is at work on."""


class Queue:
    """The runs that have no result yet, each with the watch over its folder."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._waiting = {index: (spec, Watch(spec.folder.path)) for index, spec in enumerate(specs)}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> tuple[int, RunSpec, int] | None:
        """A run that nobody is at work on, with its place and the number of the owner to succeed; None if none is."""
        for place, (spec, watch) in self._waiting.items():
            number = watch.claimable()
            if number is not None or (spec.folder.result.exists() and not spec.overwrite):
                del self._waiting[place]
                return place, spec, number or 0
        return None

    def put_back(self, place: int, spec: RunSpec) -> None:
        """Returns a run that another process has begun meanwhile."""
        self._waiting[place] = (spec, Watch(spec.folder.path))


def run_all(requests: Sequence[RunSpec], jobs: int) -> list[RunResult]:
    """The results of all runs, at most `jobs` at once; a line for each as it ends.

    A run that another process is at work on, here or on another machine, is left to it: the others come first, and
    what is still missing then is waited for, or taken over if its process dies. A run that diverges is a result like
    any other. What else goes wrong ends the others too, by kill: they continue from their checkpoints the next time.
    """
    results = []
    with _executor(jobs) as executor:
        for result in _shared(Queue(requests), jobs, executor):
            results.append(result)
            print(f"[{len(results)}/{len(requests)}] {result.summary}", flush=True)
    return results


def _shared(queue: Queue, jobs: int, executor: Executor | None) -> Iterator[RunResult]:
    running: dict[Future[RunResult], tuple[int, RunSpec]] = {}
    told = False
    while queue or running:
        while len(running) < jobs and (taken := queue.take()) is not None:
            place, spec, number = taken
            running[_start_run(executor, spec, number)] = place, spec
        if not running:
            told = told or _tell_waiting(len(queue))
            time.sleep(POLL)
            continue
        done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in done:
            place, spec = running.pop(future)
            try:
                yield future.result()
            except (InUseError, LostLeaseError):
                queue.put_back(place, spec)


def _start_run(executor: Executor | None, spec: RunSpec, number: int) -> Future[RunResult]:
    if executor is not None:
        return executor.submit(train, spec, number)
    future: Future[RunResult] = Future()
    try:
        future.set_result(train(spec, number))
    except (InUseError, LostLeaseError) as error:
        future.set_exception(error)
    return future


def _tell_waiting(count: int) -> bool:
    print(f"another process is at work on what is left ({count}); waiting for it", flush=True)
    return True


def _executor(jobs: int) -> AbstractContextManager[Executor | None]:
    return nullcontext() if jobs == 1 else killable_processes(jobs, max(1, (os.cpu_count() or 1) // jobs))
