"""The torch engine: the recurrence in tensors, on any device, and the exact discrete adjoint, parallel in time."""

from ..mapping import map_as_rows
from ..operators import TORCH, define_engine, flat_pull_back, flat_solve
from .graphs import pull_back, solve

define_engine(TORCH, flat_solve(solve, TORCH), flat_pull_back(pull_back, TORCH))
map_as_rows(TORCH)
