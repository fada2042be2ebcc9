"""The names of methods that odeint() knows: those with steps of ours, and those that torchdiffeq does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..checks import check_choice
from ..methods.explicit_rk import ExplicitRungeKutta
from ..methods.runge_kutta import RK38, Euler, Heun, Heun3, Midpoint

METHODS: Mapping[str, ExplicitRungeKutta] = MappingProxyType(
    {"euler": Euler(), "midpoint": Midpoint(), "heun2": Heun(), "heun3": Heun3(), "rk4": RK38()}
)
"""torchdiffeq's names of Runge-Kutta methods. Its "rk4" is the 3/8 rule, which we call RK38."""

ADAMS = "explicit_adams"
IMPLICIT = ("implicit_adams", "fixed_adams")
"""Two names of one method with fixed steps, which torchdiffeq does."""
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
"""The methods that choose their steps, which torchdiffeq does."""
DEFAULT = "dopri5"


def checked_method(name: str, method: object) -> str:
    """The method's name, "dopri5" for None.

    Raises:
        TypeError, ValueError: not a name that is known.
    """
    if method is None:
        return DEFAULT
    if method == "scipy_solver":
        raise ValueError(f"`{name}` is 'scipy_solver', which has no gradient, in silence: take 'dopri5' or 'dopri8'")
    check_choice(name, method, (*METHODS, ADAMS, *IMPLICIT, *ADAPTIVE))
    assert isinstance(method, str)
    return method
