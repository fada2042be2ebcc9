"""Who owns a run's folder: a lease that several processes and machines can see, also over a network file system.

A lock of the system (flock, fcntl) is not enough here. Over NFS it depends on the mount (`nolock` and
`local_lock=all` keep it to one machine, in silence), and a machine that dies can hold it until the server is told. So
ownership is a file.

**Claiming.** The owner's file is `.owner-<n>`, and the highest n owns the folder. A claim makes `.owner-<n + 1>` with
O_EXCL, which is atomic on local file systems and from NFS 3 on: of two that try, one fails. Numbers only grow, and the
highest file is never removed. So a claim that was overtaken between looking and making finds a higher number when it
looks again, and withdraws. Lock files that are removed and made again have no such order: there two processes that
both find a dead owner can remove each other's new lock.

**Releasing** renames the file to `.owner-<n>.free`, which takes no space on a full disk.

**Signs of life.** A thread touches the file every `takeover / BEATS` seconds. Other processes compare times of the
file with each other, never with a clock of their own, and measure their waiting with their own monotonic clock: the
clocks of the machines may disagree. An owner is dead if its file has not changed for `takeover` seconds of watching,
or at once if it was a process of this machine that is not there any more.

**Fencing.** An owner that stood still for longer (a stopped process, a machine asleep, a server that was away) and was
taken over finds a higher number before it writes, and ends with `LostLeaseError`. Between that look and the writing
there is a moment. A write in it replaces a whole file by another whole file of the same run, which is the same to the
bit or an epoch older, so it costs time and loses nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.support.errors import UserError
from benchmarks.support.process import ProcessId, is_gone, machine_id, this_process

TAKEOVER = 120.0
"""Seconds without a sign of life after which a run is taken over."""
BEATS = 8
PATTERN = re.compile(r"\.owner-(\d+)(\.free)?")


class InUseError(UserError):
    """The folder has an owner that may be alive."""


class LostLeaseError(UserError):
    """The folder was taken over by another process, or removed, while this one held it."""


@dataclass(frozen=True)
class Sighting:
    """The newest owner's file as it was seen at one moment.

    Attributes:
        number: of the owner, from 1; 0 where the folder never had one.
        owner: the process; None where the folder is free, or its file is only just being written.
        takeover: seconds without a sign of life after which the owner says that it is dead.
        free: nobody owns the folder.
        beat: the file's time, in nanoseconds. It says whether the file has changed, and nothing else.
    """

    number: int
    owner: ProcessId | None = None
    takeover: float = TAKEOVER
    free: bool = False
    beat: int = 0

    @property
    def shown(self) -> str:
        """The owner in words."""
        return "another process" if self.owner is None else f"another process ({self.owner.shown})"


def look(folder: Path) -> Sighting:
    """The newest owner of a folder. A folder that is not there is free."""
    numbers = _numbers(folder)
    if not numbers:
        return Sighting(0, free=True)
    number = max(numbers)
    if numbers[number]:
        return Sighting(number, free=True)
    try:
        # Opening asks an NFS server how the file is now; a mere stat may be answered from a cache.
        with _path(folder, number).open(encoding="utf-8") as stream:
            owner, takeover = _read_owner(stream.read())
            return Sighting(number, owner, takeover, beat=os.fstat(stream.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return look(folder)  # it was released meanwhile


class Watch:
    """Tells by repeated looks whether the owner of a folder is alive.

    Attributes:
        has_beaten: the owner gave a sign of life between two looks.
        is_of_this_machine: the owner is a process of this machine, and it is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.has_beaten = False
        self.is_of_this_machine = False
        self._seen: tuple[int, int] | None = None
        self._since = 0.0

    def claimable(self) -> int | None:
        """The number of the owner that may be succeeded: the folder is free, or its owner dead. None: it is in use."""
        seen = look(self.folder)
        if seen.free or (seen.owner is not None and is_gone(seen.owner)):
            return seen.number
        self.is_of_this_machine = seen.owner is not None and seen.owner.machine == machine_id() != ""
        if (seen.number, seen.beat) != self._seen:
            self.has_beaten = self._seen is not None
            self._seen, self._since = (seen.number, seen.beat), time.monotonic()
            return None
        return seen.number if time.monotonic() - self._since >= seen.takeover else None


class Lease:
    """A folder that this process owns. Other processes of the same run may check it too; it can be pickled.

    Attributes:
        takeover: seconds without a sign of life after which others may take the folder over.
    """

    def __init__(self, folder: Path, number: int, takeover: float) -> None:
        self.folder = folder
        self.number = number
        self.takeover = takeover
        self._checked = time.monotonic()

    def check(self) -> None:
        """Raises LostLeaseError if the folder is not this one's any more. To be asked before every write."""
        self._checked = time.monotonic()
        newest = look(self.folder)
        if newest.number == self.number and not newest.free:
            return
        if newest.number > self.number:
            how = f"was taken over by {newest.shown} while this one gave no sign of life"
        else:
            how = "was removed while this process was at work in it"
        raise LostLeaseError(f"{self.folder} {how}; nothing is lost, and this process ends here")

    def check_sometimes(self) -> None:
        """Check the lease, but no more often than there are signs of life: for callers that ask at every batch."""
        if time.monotonic() - self._checked >= self.takeover / BEATS:
            self.check()

    def beat(self) -> None:
        """Gives a sign of life, if the folder is still this one's."""
        now = time.time_ns()
        with contextlib.suppress(OSError):  # a server that is away for a moment; too long a moment is found by `check`
            os.utime(_path(self.folder, self.number), ns=(now, now))

    def release(self) -> None:
        """Lets the next one in at once."""
        with contextlib.suppress(OSError):  # taken over or removed; then there is nothing to release
            _path(self.folder, self.number).rename(_path(self.folder, self.number, is_free=True))

    @contextlib.contextmanager
    def kept(self) -> Iterator[Lease]:
        """Gives signs of life from a thread of its own, and releases the folder at the end."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.takeover / BEATS):
                self.beat()

        thread = threading.Thread(target=beat, daemon=True, name=f"lease of {self.folder}")
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()
            self.release()


def claim(folder: Path, succeeds: int, takeover: float) -> Lease:
    """The lease of a folder after owner number `succeeds`.

    Raises:
        InUseError: another process was faster.
        OSError: the folder cannot be written to.
    """
    lease = Lease(folder, succeeds + 1, takeover)
    try:
        descriptor = os.open(_path(folder, lease.number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError as error:
        raise _in_use(folder) from error
    _write_owner(descriptor, lease)
    numbers = _numbers(folder)
    if max(numbers) > lease.number:
        _path(folder, lease.number).unlink(missing_ok=True)
        raise _in_use(folder)
    for older, is_free in numbers.items():
        if older < lease.number:
            _path(folder, older, is_free).unlink(missing_ok=True)
    return lease


def acquire(folder: Path, takeover: float, *, poll: float = 0.1) -> Lease:
    """Claims a folder that is free or whose owner is dead.

    An owner on this machine is there or not, which is known at once. Of one on another machine it waits for a sign of
    life: if there is one, the folder is in use; if there is none for as long as the owner says, the owner is dead.

    Args:
        folder: exists.
        takeover: seconds without a sign of life after which others may take it over from this process.
        poll: seconds between two looks.

    Raises:
        InUseError: the folder has an owner that is alive.
        OSError: the folder cannot be written to.
    """
    watch = Watch(folder)
    while (number := watch.claimable()) is None:
        if watch.has_beaten or watch.is_of_this_machine:
            raise _in_use(folder)
        time.sleep(poll)
    return claim(folder, number, takeover)


def _in_use(folder: Path) -> InUseError:
    return InUseError(f"{look(folder).shown} is at work in {folder}; wait for it or end it")


def _numbers(folder: Path) -> dict[int, bool]:
    """The owners' numbers, each with whether it has released the folder."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = [match for match in map(PATTERN.fullmatch, names) if match]
    return {int(match[1]): match[2] is not None for match in sorted(found, key=lambda match: match[0])}


def _path(folder: Path, number: int, is_free: bool = False) -> Path:
    return folder / f".owner-{number}{'.free' if is_free else ''}"


def _write_owner(descriptor: int, lease: Lease) -> None:
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(json.dumps({"takeover": lease.takeover, "owner": asdict(this_process())}))
    except OSError:
        lease.release()
        raise


def _read_owner(text: str) -> tuple[ProcessId | None, float]:
    try:
        content = json.loads(text)
        return ProcessId(**content["owner"]), float(content["takeover"])
    except (ValueError, TypeError, KeyError):  # just being written, or left empty by a machine that died then
        return None, TAKEOVER
