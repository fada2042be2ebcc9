"""Whether a published number came out here."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["reproduced", "not reproduced", "beyond"]

# Percentage points. The paper prints one number a method, to a tenth and without spread; seeds here differ by some
# tenths.
TOLERANCE = 0.5
EXPLAINED = (
    f"against the paper: *reproduced* within {TOLERANCE} points of its number, *beyond* further above it, *not "
    "reproduced* further below; a row that the paper has not is *beyond* where it is as far above all of the paper's "
    "own networks."
)


def verdict(ours: float, published: float | None, best: float | None) -> Verdict | None:
    """What the mean accuracy in % of our seeds says of the paper's numbers.

    Args:
        ours: the mean.
        published: the paper's number for the same network; None for a row of our own.
        best: the best that the paper reports for its own networks on this task; None for a task of our own.

    Returns:
        None where there is nothing to compare with, or a row of our own is not beyond the paper's best.
    """
    if published is None:
        return "beyond" if best is not None and ours > best + TOLERANCE + 1e-9 else None
    if abs(ours - published) <= TOLERANCE + 1e-9:  # 98.5 - 98.0 is a little more than 0.5 in binary
        return "reproduced"
    return "beyond" if ours > published else "not reproduced"
