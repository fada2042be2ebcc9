"""One run by several processes of this machine: lightning's distributed data-parallel training.

Each process takes its share of every batch, so that together they do what one process does with the whole batch. They
are started here and not by lightning, which would start the whole command again, so that this process keeps the
lease of the folder, ends them all if one fails, and takes them with it when it dies.
"""

from __future__ import annotations

import os
import socket
from concurrent.futures import as_completed

from benchmarks.report.result import RunResult
from benchmarks.run.carry_out import carry_out
from benchmarks.run.lease import Lease
from benchmarks.run.processes import killable_processes
from benchmarks.run.spec import RunSpec


def carry_out_together(spec: RunSpec, lease: Lease) -> RunResult:
    """Carry out a run as `carry_out` does, by `spec.devices` processes."""
    port = free_port()
    threads = max(1, (os.cpu_count() or 1) // spec.devices)
    with killable_processes(spec.devices, threads) as pool:
        futures = [pool.submit(_take_part, spec, lease, rank, port) for rank in range(spec.devices)]
        for future in as_completed(futures):
            future.result()  # what one raises ends the others, which would wait for it
        return futures[0].result()


def _take_part(spec: RunSpec, lease: Lease, rank: int, port: int) -> RunResult:
    # What lightning and torch.distributed read; with LOCAL_RANK there lightning starts no processes itself.
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(spec.devices),
    }
    return carry_out(spec, lease)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
