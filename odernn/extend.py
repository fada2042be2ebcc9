"""What an engine of one's own is made of, beside `odernn.Engine`: its operators, what they take, what it is asked.

A user of the layers needs none of it. `solvers.extend` has the contracts of solvers and adjoints.
"""

from .engines.engine import Advance
from .engines.method import Method
from .engines.operators import Cotangents, Wants, register_engine
from .engines.problem import RecurrentProblem, Storage
from .engines.program import Call, Operands, Program

__all__ = [
    "Advance",
    "Call",
    "Cotangents",
    "Method",
    "Operands",
    "Program",
    "RecurrentProblem",
    "Storage",
    "Wants",
    "register_engine",
]
