"""Whether the batches of a task can be shared by several processes."""

from __future__ import annotations

from benchmarks.support.errors import UserError
from benchmarks.tasks import Task


def check_shares(task: Task, devices: int) -> None:
    """Raises UserError if the batches of a task cannot be shared by so many processes, each sample once."""
    size, left = task.batch_size, len(task.splits.train) % task.batch_size
    if size % devices:
        raise UserError(f"`task.batch_size` is {size}, which {devices} devices cannot share; choose another")
    if 0 < left < devices:
        what = f"leaves {left} for the last batch of an epoch and {devices} devices"
        raise UserError(f"`task.batch_size` is {size}, which {what}; choose another")
    if task.carries_state and task.eval_batch_size % devices:
        what = f"sequences, which {devices} devices cannot share"
        raise UserError(f"`task.eval_batch_size` is {task.eval_batch_size} {what}; choose another")
    smallest = min(len(task.splits.val), len(task.splits.test))
    if smallest < devices:
        raise UserError(f"`--devices` is {devices}, more than the {smallest} samples of validation or test; give fewer")
