"""A recurrence in tensors: forward in place without a tape, backward parallel in time, chunk by chunk."""

from .chunk import Chunk, Derivatives
from .drive import Drive, drive_of
from .exponential import BlockScheme, ExponentialStepper
from .recurrence import Recurrence, Scheme
from .runge_kutta import RungeKuttaStepper
from .splitting import SplittingStepper
from .stage import Linearised, Stage
from .stepper import Stepper
from .sweep import KeptStates, Recursion, Swept, Wanted, backward, forward, is_parallel, one_by_one, stepper_of
from .two_step import TwoStepStepper

__all__ = [
    "BlockScheme",
    "Chunk",
    "Derivatives",
    "Drive",
    "ExponentialStepper",
    "KeptStates",
    "Linearised",
    "Recurrence",
    "Recursion",
    "RungeKuttaStepper",
    "Scheme",
    "SplittingStepper",
    "Stage",
    "Stepper",
    "Swept",
    "TwoStepStepper",
    "Wanted",
    "backward",
    "drive_of",
    "forward",
    "is_parallel",
    "one_by_one",
    "stepper_of",
]
