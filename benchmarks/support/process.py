"""Which process this is, and whether another one is still there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessId:
    """A process, told from any other on any machine.

    Attributes:
        host: the machine's name, for people.
        pid: its number there.
        machine: within this, process numbers have a meaning: one boot of one machine, and in it one namespace of
            process numbers (a container has its own). Empty where the system does not say.
        started: when it began, as the system counts; a number used again is another process.
    """

    host: str
    pid: int
    machine: str
    started: str

    @property
    def shown(self) -> str:
        """The process in words."""
        return f"pid {self.pid} on {self.host}"


def this_process() -> ProcessId:
    """The process that calls."""
    return ProcessId(socket.gethostname(), os.getpid(), machine_id(), _start_of(os.getpid()))


def machine_id() -> str:
    """What `ProcessId.machine` is here: on Linux the boot and the namespace; elsewhere empty."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def is_gone(process: ProcessId) -> bool:
    """Whether it is certain that a process has ended. Of another machine's process nothing is certain."""
    if not process.machine or process.machine != machine_id():
        return False
    return _start_of(process.pid) != process.started


def _start_of(pid: int) -> str:
    # Field 22 of stat (man 5 proc); the second, the command's name, is in brackets and may hold spaces itself. A zombie
    # has ended, and only waits for its parent to ask how.
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = text.rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else fields[18]
