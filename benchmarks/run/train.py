"""One run from its settings to its result, going on where an earlier start of it stopped."""

from __future__ import annotations

from benchmarks.report.result import RunResult, read_result
from benchmarks.run.carry_out import carry_out
from benchmarks.run.distributed import carry_out_together
from benchmarks.run.lease import Lease
from benchmarks.run.spec import RunSpec
from benchmarks.support.atomic import WriteError


def train(spec: RunSpec, succeeds: int | None = None) -> RunResult:
    """The result of a run: read if it has ended before, else trained from its last checkpoint or from the start.

    Args:
        spec: what is asked for.
        succeeds: as `RunFolder.owned`.

    Raises:
        UserError: something that the user can mend: before any work, or where the folder can no longer be written to.
        InUseError: another process is at work in the run's folder.
        LostLeaseError: another process took the run over while this one stood still.
        KeyboardInterrupt: by Ctrl-C; the run can continue from its last checkpoint.
    """
    folder = spec.folder
    ended = None if spec.overwrite else _ended(spec)  # which may be read by anybody, also where nobody may write
    if ended is not None:
        return ended
    with folder.owned(spec.takeover, succeeds) as lease:
        if spec.overwrite:
            folder.clear()
        folder.check(spec.settings)
        try:
            return _ended(spec) or _train(spec, lease)
        except WriteError as error:
            raise folder.unwritable(error) from error


def _ended(spec: RunSpec) -> RunResult | None:
    if not spec.folder.result.exists():
        return None
    spec.folder.check(spec.settings)
    return read_result(spec.folder.result)


def _train(spec: RunSpec, lease: Lease) -> RunResult:
    return carry_out(spec, lease) if spec.devices == 1 else carry_out_together(spec, lease)
