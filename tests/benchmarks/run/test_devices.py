"""`--devices`: several processes that train one network together give the numbers of one process."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cli import main
from benchmarks.data.random_splits import epoch_order
from benchmarks.models.together import diverging_together
from benchmarks.report.result import RunResult, read_result
from benchmarks.run.distributed import free_port
from benchmarks.run.lease import look
from benchmarks.run.processes import killable_processes
from benchmarks.run.shares import check_shares
from benchmarks.support.errors import FAILED, OK, UserError
from benchmarks.tasks import TASKS
from benchmarks.tasks.loading import EpochOrder, Share
from solvers import DivergenceError

FOLDER = Path("digits", "antisymmetric", "seed-0")
RUN = ("train", "digits/antisymmetric", "--model.hidden_size", "8", "--task.batch_size", "300", "--progress", "none")
# In float64 the two differ by the order of sums only, a few 1e-16, which ten steps of an optimizer make larger.
OPTIONS = ("--trainer.precision", "64-true", "--trainer.accelerator", "cpu", "--trainer.threads", "1", "--epochs", "2")
CLOSE = 1e-10


def run(out: Path, *args: str) -> int:
    return main([*RUN, *OPTIONS, "--out", str(out), *args])


def found(out: Path) -> tuple[RunResult, dict[str, Any]]:
    return read_result(out / FOLDER / "result.json"), torch.load(out / FOLDER / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("samples", [12, 17])
def test_shares_of_a_batch_are_the_batch_and_each_sample_comes_once(count: int, samples: int) -> None:
    size = 6
    shares = [list(EpochOrder(samples, 3, Share(rank, count))) for rank in range(count)]
    assert sorted(draw.row for share in shares for draw in share) == list(range(samples))
    assert [len(share) for share in shares] == [
        len(EpochOrder(samples, 3, Share(rank, count))) for rank in range(count)
    ]
    order = epoch_order(samples, 3, 0).tolist()
    for start in range(0, samples, size):
        part = slice(start // count, (start + size) // count)
        assert {draw.row for share in shares for draw in share[part]} == set(order[start : start + size])


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    average = ("--average.kind", "ema", "--average.decay", "0.9")
    assert run(tmp_path / "one", *average) == OK
    assert run(tmp_path / "two", "--devices", "2", *average) == OK
    (one, state), (two, other) = found(tmp_path / "one"), found(tmp_path / "two")
    assert (one.machine.devices, two.machine.devices) == (1, 2)
    assert state["state_dict"].keys() == other["state_dict"].keys()
    for name, value in state["state_dict"].items():
        torch.testing.assert_close(other["state_dict"][name], value, rtol=CLOSE, atol=CLOSE)
    for row, its in zip(one.history, two.history, strict=True):
        # 1,297 images are four batches of 300 and one of 97, of which one process has 49 and the other 48.
        assert its.train == pytest.approx(row.train, rel=CLOSE)
        assert its.val == pytest.approx(row.val, rel=CLOSE)
    assert one.metrics is not None
    assert two.metrics is not None
    assert two.metrics["accuracy"] == one.metrics["accuracy"]  # the same answers are right
    assert look(tmp_path / "two" / FOLDER).number == 1
    # What two processes began, one can end.
    (tmp_path / "two" / FOLDER / "result.json").unlink()
    assert run(tmp_path / "two", *average) == OK
    assert found(tmp_path / "two")[0].metrics == two.metrics


def test_divergence_ends_all_processes_and_is_the_result(tmp_path: Path) -> None:
    args = ("--trainer.precision", "32-true", "--optimizer.lr", "1e38", "--trainer.gradient_clip", "1e30")
    assert run(tmp_path, "--devices", "2", *args) == FAILED
    assert read_result(tmp_path / FOLDER / "result.json").status == "diverged"


def diverging_in_one(rank: int, port: int) -> str:
    """What a child does: of two processes the second one's network diverges."""
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        with diverging_together(torch.device("cpu")):
            if rank == 1:
                raise DivergenceError("this one", None, None, None)
    except DivergenceError as error:
        return str(error)
    return "nothing"


def test_process_whose_network_diverges_ends_the_others() -> None:
    with killable_processes(2, 1) as pool:
        said = list(pool.map(diverging_in_one, range(2), [free_port()] * 2))
    assert said == ["the network diverged on another device", "this one"]


@pytest.mark.parametrize(
    ("batch_size", "devices", "said"),
    [
        (301, 2, "`task.batch_size` is 301, which 2 devices cannot share; choose another"),
        (16, 2, "`task.batch_size` is 16, which leaves 1 for the last batch of an epoch and 2 devices"),
        (500, 250, "`--devices` is 250, more than the 200 samples of validation or test"),
    ],
)
def test_batches_that_cannot_be_shared_are_refused(batch_size: int, devices: int, said: str) -> None:
    task = TASKS["digits"](batch_size=batch_size)
    task.setup()
    check_shares(task, 1)
    with pytest.raises(UserError, match=re.escape(said)):
        check_shares(task, devices)
