"""The torch engine: the recurrence in tensors, on any device, and the exact discrete adjoint, parallel in time."""

from ..mapping import map_as_rows
from ..operators import TORCH, register_engine
from .graphs import pull_back, solve

register_engine(TORCH, solve, pull_back)
map_as_rows(TORCH)
