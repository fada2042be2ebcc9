"""Several runs, one after another or side by side in processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from benchmarks.report.result import RunResult
from benchmarks.run.spec import RunSpec
from benchmarks.run.train import train


def run_all(requests: Sequence[RunSpec], jobs: int) -> list[RunResult]:
    """The results of all runs, at most `jobs` at once; a line for each as it ends.

    A run that diverges is a result like any other. What else goes wrong ends the others too, by kill: they go on from
    their checkpoints the next time.
    """
    results = []
    for result in _side_by_side(requests, jobs) if jobs > 1 else map(train, requests):
        results.append(result)
        print(f"[{len(results)}/{len(requests)}] {result.summary}", flush=True)
    return results


def _side_by_side(requests: Sequence[RunSpec], jobs: int) -> Iterator[RunResult]:
    strangers = set(multiprocessing.active_children())
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # spawn is what every system has, and forking a process that has used torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(threads,)) as pool:
        try:
            for future in as_completed([pool.submit(train, spec) for spec in requests]):
                yield future.result()
        except BaseException:
            for process in set(multiprocessing.active_children()) - strangers:
                process.kill()
            pool.shutdown(cancel_futures=True)
            raise


def _start(threads: int) -> None:
    torch.set_num_threads(threads)
    # Ctrl-C reaches every process of a terminal; the first one sees to the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Otherwise a run outlives a parent that was killed, and holds its folder against the next start.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
