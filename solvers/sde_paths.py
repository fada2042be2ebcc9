"""Whole paths of stochastic equations by torchsde's methods. The one module that imports torchsde."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import Tensor

from .checks import check_choice, check_count, check_positive, check_tensor
from .right_hand_side import Structured, diffusion_of

_METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ito": ("srk", "milstein", "euler"),
        "stratonovich": ("midpoint", "milstein", "heun", "euler_heun", "reversible_heun"),
    }
)


def sde_paths(
    f: Structured,
    y0: Tensor,
    ts: Tensor | Sequence[float],
    *,
    dt: float,
    calculus: str = "ito",
    method: str | None = None,
    seed: int | None = None,
    brownian: Any = None,
) -> Tensor:
    """Paths of dy = f(t, y) dt + g(t, y) dW by one of torchsde's methods, under autograd.

    The noise is always on here, whether the diffusion is active or not: `active` is a matter of the recurrence.

    Args:
        f: a right-hand side that declares a diffusion; it is called with the time as a number.
        y0: the states at ts[0], (batch, n).
        ts: the times to answer for, strictly increasing; the first is the start.
        dt: the length of a step, in the units of `ts`.
        calculus: "ito" or "stratonovich", the sense in which the noise is meant.
        method: torchsde's name; None for the first of those for the calculus: srk (strong order 1.5 for additive noise,
            1 otherwise), milstein and euler for Ito's, and midpoint, milstein, heun, euler_heun and reversible_heun for
            Stratonovich's.
        seed: of the Brownian motion; None draws one from torch's global generator.
        brownian: a torchsde.BrownianInterval of size (batch, n) in place of `seed`, to know the path.

    Returns:
        The states at the times, (len(ts), batch, n).

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or a right-hand side without a diffusion.

    Source: torchsde 0.2.6; Li, Wong, Chen & Duvenaud, Scalable gradients for stochastic differential equations (2020).
    """
    _check(f, y0, dt, calculus, method, seed, brownian)
    chosen = method or _METHODS[calculus][0]
    times = _checked_times(ts, y0)
    if brownian is None:
        brownian = _brownian(y0, times, chosen, seed)
    elif not isinstance(brownian, _torchsde().BaseBrownian):
        raise TypeError(f"`brownian` is {type(brownian).__name__}; give a torchsde.BrownianInterval, or None")
    return _torchsde().sdeint(_Equation(f, calculus), y0, times, bm=brownian, method=chosen, dt=float(dt))


class _Equation:
    """The form that torchsde wants an equation in."""

    noise_type = "diagonal"

    def __init__(self, f: Structured, calculus: str) -> None:
        diffusion = diffusion_of(f)
        assert diffusion is not None
        self.sde_type = calculus
        self.drift = f
        self.diffusion = diffusion.g

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """The drift."""
        return self.drift(float(t), y)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        """The diagonal of the diffusion."""
        return self.diffusion(float(t), y)


def _checked_times(ts: object, y0: Tensor) -> Tensor:
    if isinstance(ts, Tensor) and ts.is_complex():
        raise TypeError(f"`ts` has dtype {ts.dtype}; give real times")
    try:
        times = torch.as_tensor(ts, dtype=y0.dtype, device=y0.device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"`ts` is {ts!r:.60}; give a tensor or a list of times") from error
    finite = times.ndim == 1 and bool(torch.isfinite(times).all())
    if not finite or len(times) < 2 or not bool((times.diff() > 0).all()):
        raise ValueError(f"`ts` is {ts!r:.60}; give at least two times that increase")
    return times


def _brownian(y0: Tensor, ts: Tensor, method: str, seed: int | None) -> Any:
    entropy = int(torch.randint(2**31, (), device="cpu")) if seed is None else seed
    return _torchsde().BrownianInterval(
        t0=float(ts[0]),
        t1=float(ts[-1]),
        size=tuple(y0.shape),
        dtype=y0.dtype,
        device=y0.device,
        entropy=entropy,
        levy_area_approximation="space-time" if method == "srk" else "none",
    )


def _check(
    f: object, y0: Tensor, dt: float, calculus: str, method: str | None, seed: int | None, brownian: object
) -> None:
    diffusion = diffusion_of(f) if isinstance(f, Structured) else None
    if diffusion is None:
        raise ValueError(
            f"`f` is {type(f).__name__} and declares no diffusion; give Structured(f, diffusion=Diffusion(g)) or "
            "NoisyField.equation(x)"
        )
    if diffusion.increments is not None:
        raise ValueError("`f` has increments of its own, which torchsde cannot follow; give the path as `brownian`")
    check_tensor("y0", y0)
    if y0.ndim != 2 or not y0.is_floating_point():
        raise ValueError(f"`y0` has shape {tuple(y0.shape)} and dtype {y0.dtype}; give floating states (batch, n)")
    check_positive("dt", dt)
    check_choice("calculus", calculus, tuple(_METHODS))
    if method is not None:
        check_choice("method", method, _METHODS[calculus])
    if seed is not None:
        check_count("seed", seed, least=0)
        if brownian is not None:
            raise ValueError("`seed` and `brownian` are both given; each makes the path: give one")


def _torchsde() -> ModuleType:
    import torchsde  # here and not above: it brings scipy, half a second that only its users should pay

    return torchsde
