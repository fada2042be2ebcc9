"""Run the cases under Triton's interpreter, which must be asked for before Triton is imported: errors as JSON."""

from __future__ import annotations

import json
import sys
import traceback

import torch

from odernn.engines.operators import TORCH, TRITON
from tests.odernn.engines.triton.cases import Case, call, cases, error, numbers


def measured(case: Case) -> float | str:
    """The error against the torch engine in float64, or what went wrong."""
    try:
        have = numbers(TRITON, call(case, torch.float32, "cpu"))
        return error(have, numbers(TORCH, call(case, torch.float64, "cpu")))
    except Exception:  # whatever it is, the test shows it
        return traceback.format_exc()[-1500:]


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump({str(case): measured(case) for case in cases()}, sys.stdout)
