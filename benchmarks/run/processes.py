"""Processes of our own that never outlive their reason."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import BaseContext

import torch


@contextmanager
def killable_processes(count: int, threads: int) -> Iterator[Executor]:
    """Processes to run functions in, of so many threads each; killed if the body raises, or if this process dies."""
    strangers = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, mp_context=_context(), initializer=_start, initargs=(threads,)) as pool:
        try:
            yield pool
        except BaseException:
            for process in set(multiprocessing.active_children()) - strangers:
                process.kill()
            pool.shutdown(cancel_futures=True)
            raise


def _context() -> BaseContext:
    """How processes begin: forked from a server that has torch and lightning imported, else each by itself.

    Never forked from this process, which may hang where it has used torch's threads.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.run.train"])
    return context


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
