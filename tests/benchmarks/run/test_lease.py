"""Who owns a run's folder: one process at a time, on whatever machine; a dead owner is succeeded, a late one ends."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from benchmarks.run import lease as leases
from benchmarks.run.lease import InUseError, LostLeaseError, Watch, acquire, claim, look
from benchmarks.support import process as processes
from benchmarks.support.process import ProcessId, is_gone, this_process

TAKEOVER = 1.0  # for those that die
LIVELY = 24.0  # for those that live: a sign of life every three seconds, and 21 to spare on a loaded machine
CONTEXT = multiprocessing.get_context("spawn")

pytestmark = pytest.mark.waits
needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")
needs_proc = pytest.mark.skipif(not processes.machine_id(), reason="only Linux says which processes a machine has")


def elsewhere() -> None:
    """Makes this process one of another machine, as far as the others can tell."""
    processes.machine_id = lambda: "another machine"
    leases.machine_id = processes.machine_id


def hold(folder: Path, takeover: float, connection: Connection, on_another_machine: bool) -> None:
    """What a child does: owns the folder until it is told to end, and then says whether it still does."""
    if on_another_machine:
        elsewhere()
    with acquire(folder, takeover).kept() as lease:
        connection.send("owns")
        connection.recv()
        try:
            lease.check()
            connection.send("still owns")
        except LostLeaseError as error:
            connection.send(str(error))


class Holder:
    """A child process that owns a folder."""

    def __init__(self, folder: Path, takeover: float, on_another_machine: bool) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=hold, args=(folder, takeover, theirs, on_another_machine))
        self.process.start()
        assert self.connection.poll(60)
        assert self.connection.recv() == "owns"

    def end(self) -> str:
        self.connection.send("end")
        assert self.connection.poll(60)
        said = self.connection.recv()
        self.process.join()
        return said

    def send(self, signum: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signum)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def holder(tmp_path: Path):
    started: list[Holder] = []

    def start(takeover: float = TAKEOVER, *, on_another_machine: bool = False) -> Holder:
        started.append(Holder(tmp_path, takeover, on_another_machine))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@needs_proc
def test_folder_of_a_live_process_is_refused_at_once(tmp_path: Path, holder: Callable[..., Holder]) -> None:
    owner = holder()
    with pytest.raises(InUseError, match=rf"another process \(pid {owner.process.pid} on .*\) is at work in"):
        acquire(tmp_path, TAKEOVER)
    assert owner.end() == "still owns"
    acquire(tmp_path, TAKEOVER)


@needs_proc
@needs_signals
def test_killed_process_of_this_machine_is_succeeded_at_once(tmp_path: Path, holder: Callable[..., Holder]) -> None:
    holder().kill()
    assert Watch(tmp_path).claimable() == 1
    assert acquire(tmp_path, TAKEOVER).number == 2


def test_live_process_of_another_machine_is_refused(tmp_path: Path, holder: Callable[..., Holder]) -> None:
    owner = holder(LIVELY, on_another_machine=True)
    with pytest.raises(InUseError):
        acquire(tmp_path, TAKEOVER)
    assert owner.end() == "still owns"


@needs_signals
def test_killed_process_of_another_machine_is_succeeded_after_its_time(
    tmp_path: Path, holder: Callable[..., Holder]
) -> None:
    holder(on_another_machine=True).kill()
    watch = Watch(tmp_path)
    assert watch.claimable() is None  # nothing is known of it yet
    began = time.monotonic()
    assert acquire(tmp_path, TAKEOVER).number == 2
    assert time.monotonic() - began >= TAKEOVER


@needs_signals
def test_process_that_stood_still_was_succeeded_and_finds_out(tmp_path: Path, holder: Callable[..., Holder]) -> None:
    late = holder(on_another_machine=True)
    late.send(signal.SIGSTOP)
    acquire(tmp_path, TAKEOVER)
    late.send(signal.SIGCONT)
    said = late.end()
    assert f"was taken over by another process (pid {os.getpid()} on " in said
    assert "nothing is lost" in said
    assert look(tmp_path).number == 2  # what the late one released was its own, which is no more


def test_owner_is_free_or_gone_for_everybody_else(tmp_path: Path) -> None:
    with acquire(tmp_path, TAKEOVER).kept() as lease:
        lease.check()
        assert not look(tmp_path).free
    assert look(tmp_path) == leases.Sighting(1, free=True)
    with pytest.raises(LostLeaseError):
        lease.check()


def test_removed_folder_is_lost(tmp_path: Path) -> None:
    lease = acquire(tmp_path, TAKEOVER)
    (tmp_path / ".owner-1").unlink()
    with pytest.raises(LostLeaseError, match="was removed while this process was at work in it"):
        lease.check()


def race(folder: Path, rounds: int, start: object, connection: Connection) -> None:
    """What a child does: tries for one folder after another, at the same moments as the others."""
    won = []
    for index in range(rounds):
        start.wait()  # pyright: ignore[reportAttributeAccessIssue] - a multiprocessing barrier
        try:
            claim(folder / str(index), 0, TAKEOVER)
            won.append(index)
        except InUseError:
            pass
    connection.send(won)


def test_of_many_that_claim_at_once_one_succeeds(tmp_path: Path) -> None:
    rounds, count = 200, 3
    for index in range(rounds):
        (tmp_path / str(index)).mkdir()
    start = CONTEXT.Barrier(count)
    pipes = [CONTEXT.Pipe() for _ in range(count)]
    children = [CONTEXT.Process(target=race, args=(tmp_path, rounds, start, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    won = [ours.recv() for ours, _ in pipes]
    for child in children:
        child.join()
    assert sorted(index for each in won for index in each) == list(range(rounds))


def test_claim_that_was_overtaken_withdraws(tmp_path: Path) -> None:
    # It looked when 4 owned the folder; 5 came and went and removed what was before, and 6 owns it now.
    (tmp_path / ".owner-6").write_text("")
    with pytest.raises(InUseError):
        claim(tmp_path, 4, TAKEOVER)
    assert [path.name for path in tmp_path.iterdir()] == [".owner-6"]


def test_numbers_grow_and_nothing_piles_up(tmp_path: Path) -> None:
    for number in range(1, 13):
        lease = acquire(tmp_path, TAKEOVER)
        assert lease.number == number
        lease.release()
    assert [path.name for path in tmp_path.iterdir()] == [".owner-12.free"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"owner": 3}'])
def test_owner_that_died_while_it_wrote_its_name_is_succeeded(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TAKEOVER", 0.2)
    (tmp_path / ".owner-7").write_text(content)
    assert look(tmp_path).shown == "another process"
    assert acquire(tmp_path, TAKEOVER).number == 8


@needs_proc
def test_number_that_is_used_again_is_another_process() -> None:
    own = this_process()
    assert not is_gone(own)
    assert is_gone(ProcessId(own.host, own.pid, own.machine, "1"))
    assert not is_gone(ProcessId(own.host, own.pid, "another machine", "1"))
    assert not is_gone(ProcessId(own.host, own.pid, "", "1"))
