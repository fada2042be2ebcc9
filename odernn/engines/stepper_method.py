"""The method of a stepper of the torch engine, as a kernel that does its recursion knows it."""

from __future__ import annotations

from .method import Method, exponential, kicks_and_drifts, runge_kutta, two_step
from .torch.exponential import ExponentialStepper
from .torch.runge_kutta import RungeKuttaStepper
from .torch.splitting import SplittingStepper
from .torch.stepper import Stepper
from .torch.two_step import TwoStepStepper


def method_of(stepper: Stepper) -> Method:
    """The method."""
    if isinstance(stepper, RungeKuttaStepper):
        tableau = stepper.tableau
        return runge_kutta(tableau.a, tableau.b, tableau.c)
    if isinstance(stepper, SplittingStepper):
        return kicks_and_drifts(stepper.shears)
    if isinstance(stepper, ExponentialStepper):
        scheme = stepper.scheme
        return exponential(*scheme.entries, scheme.c)
    assert isinstance(stepper, TwoStepStepper)
    return two_step()
