"""Run the cases under Triton's interpreter, which must be asked for before Triton is imported: errors as JSON.

The argument is the file for them.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import torch

from odernn import ODERNN, AntisymmetricField
from odernn.engines.operators import TORCH, TRITON
from tests.odernn.engines.triton.cases import Case, call, cases, error, numbers
from tests.odernn.engines.triton.networks import networks, trained


def measured(case: Case) -> float | str:
    """The error against the torch engine in float64, or what went wrong."""
    try:
        have = numbers(TRITON, call(case, torch.float32, "cpu"))
        return error(have, numbers(TORCH, call(case, torch.float64, "cpu")))
    except Exception:  # whatever it is, the test shows it
        return traceback.format_exc()[-1500:]


def of_the_operators() -> float | str:
    """What torch's own check of the operators, and its compiler, say of them."""
    try:
        given = call(cases()[0], torch.float32, "cpu").arguments()
        leaves = [x.clone().requires_grad_() if isinstance(x, torch.Tensor) and x.ndim else x for x in given]
        torch.library.opcheck(torch.ops.odernn_triton.solve.default, (*leaves, True))
        rnn = ODERNN(AntisymmetricField(2, 16), "heun", dt=0.1, engine="triton")
        x = torch.randn(4, 3, 2)
        compiled = torch.compile(rnn, fullgraph=True, backend="aot_eager")
        difference = (compiled(x)[0] - rnn(x)[0]).abs().max()
        return float(difference) if rnn.choice(x).engine == "triton" else rnn.choice(x).reason
    except Exception:
        return traceback.format_exc()[-1500:]


def of_network(name: str) -> float | str:
    """The error of a network of a field of one's own against autograd in float64, or what went wrong."""
    try:
        return error(trained(name, "triton", torch.float32, "cpu"), trained(name, "torch", torch.float64, "cpu"))
    except Exception:
        return traceback.format_exc()[-1500:]


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {str(case): measured(case) for case in cases()}
    found["operators"] = of_the_operators()
    found |= {name: of_network(name) for name in networks()}
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
