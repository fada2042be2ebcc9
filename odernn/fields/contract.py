"""What an affine-pointwise field promises, tried once: units and rows apart, and the same answer twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast, final

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .field import (
    MEMORIES,
    REMEMBERED,
    AffinePointwiseField,
    PartitionedField,
    VectorField,
    is_damped_partitioned,
    is_partitioned,
)

_PLAIN = (bool, int, str, type(None))


@final
class _Answer:
    """What was found, and of what: an answer for other parts, modes or widths does not count.

    Attributes:
        parts: the code, modules and attributes of the field.
        layout: the entries of the preactivation and of the control, the dtype and the device.
        broken: the promise that is broken, or None.
        halves: whether drift and kick are the halves of dy/dt; None where nobody has tried.
    """

    __slots__ = ("broken", "halves", "layout", "parts")

    def __init__(self, parts: list[object], layout: tuple[object, ...], broken: str | None) -> None:
        self.parts = parts
        self.layout = layout
        self.broken = broken
        self.halves: bool | None = None


def broken_promise(field: AffinePointwiseField, weight: Tensor, controls: int, like: Tensor) -> str | None:
    """Which promise of `pointwise` the field breaks, or None; tried at the first call, and where the field has changed.

    The parallel adjoint treats all times at once, and the implicit methods take the derivatives of a unit by its own
    entries for the whole Jacobian. Both are right only where each unit looks at its own entries, each row at itself,
    and an evaluation draws and changes nothing.

    Args:
        field: the field.
        weight: K (P, n).
        controls: entries of the control.
        like: a tensor of the state's dtype and device.
    """
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or like.is_meta:
        return None
    layout = (len(weight), controls, like.dtype, like.device)
    parts = _parts(field)
    known = vars(field).get(REMEMBERED)
    if isinstance(known, _Answer) and known.layout == layout and _are_same(known.parts, parts):
        return known.broken
    broken = _tried(field, len(weight), controls, like)
    vars(field)[REMEMBERED] = _Answer(parts, layout, broken)
    return broken


def moves_in_halves(field: AffinePointwiseField, weight: Tensor, controls: int, like: Tensor) -> bool:
    """Whether the field keeps its promises and `halves_agree`, which is tried as often as `broken_promise`."""
    if broken_promise(field, weight, controls, like) is not None:
        return False
    known = vars(field).get(REMEMBERED)
    if not isinstance(known, _Answer):
        return False
    if known.halves is None:
        known.halves = halves_agree(field, like)
    return known.halves


@contextmanager
def undisturbed(field: VectorField, like: Tensor) -> Iterator[list[Tensor]]:
    """Where the field may be evaluated for a look: its buffers are copies, random numbers are given back.

    Weights that torch.nn.utils.parametrize builds are not cached, as they would have no history for what comes after.

    Args:
        field: the field.
        like: a tensor on its device.

    Yields:
        The copies.
    """
    stores = [module._buffers for module in field.modules()]
    before = [dict(store) for store in stores]
    copies: list[Tensor] = []
    for store in stores:
        for name, buffer in store.items():
            if buffer is not None:
                store[name] = buffer.detach().clone()
                copies.append(store[name])  # pyright: ignore[reportArgumentType]
    devices = [like.device] if like.device.type == "cuda" else []
    cached, parametrize._cache_enabled = parametrize._cache_enabled, 0
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield copies
    finally:
        parametrize._cache_enabled = cached
        for store, values in zip(stores, before, strict=True):
            store.update(values)


def halves_agree(field: AffinePointwiseField, like: Tensor) -> bool:
    """Whether the field's state is (q, p), and its drift and kick are the halves of dy/dt, as far as a try tells."""
    damped, parts = is_damped_partitioned(field), cast(Any, field)
    if parts.hidden_size % 2 or not (damped or is_partitioned(parts)):
        return False
    with undisturbed(parts, like):
        y, u = _wave(like, parts.hidden_size), parts.control(_wave(like, parts.input_size))
        q, p = y.chunk(2, dim=-1)
        drift = parts.drift(0.0, *((q, p) if damped and parts.drift_sees_q else (p,)), u)
        kick = parts.kick(0.0, *((q, p) if damped else (q,)), u)
        return _close(torch.cat((drift, kick), dim=-1), parts(0.0, y, u))


def _tried(field: AffinePointwiseField, preactivations: int, controls: int, like: Tensor) -> str | None:
    """Evaluate `pointwise` a few times on two times and two rows."""
    try:
        with undisturbed(field, like) as buffers:
            random, versions = _drawn(like), [each._version for each in buffers]
            given = [_wave(like, width) for width in (field.hidden_size, preactivations, controls)]
            slope, again = _slope(field, given), _slope(field, given)
            if not torch.equal(random, _drawn(like)):
                return "its `pointwise` draws random numbers"
            if versions != [each._version for each in buffers]:
                return "its `pointwise` writes into a buffer"
            if not _equal(slope, again):
                return "its `pointwise` gives another answer the second time"
            apart = torch.stack([_slope(field, [x[n] for x in given]) for n in range(2)])
            if _rows_see_each_other(field, given, slope) or not _close(slope, apart):
                return "in its `pointwise` times or sequences see each other"
            if _mixes(field, given, slope):
                return "in its `pointwise` units see each other"
            return "its `drift` and `kick` are not its `pointwise`" if _splits_otherwise(field, given) else None
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        return f"its `pointwise` does not take states of several times at once ({str(error).splitlines()[0][:80]})"


def _rows_see_each_other(field: AffinePointwiseField, given: Sequence[Tensor], slope: Tensor) -> bool:
    """Whether the first row of each time, changed, changes the second."""
    changed = [torch.stack((x[:, 0] + 0.5, x[:, 1]), dim=1) for x in given]
    return not _equal(_slope(field, changed)[:, 1], slope[:, 1])


def _mixes(field: AffinePointwiseField, given: Sequence[Tensor], slope: Tensor) -> bool:
    """Whether a unit's entries, changed, change another unit."""
    n = field.hidden_size
    for unit in {0, n - 1} if n > 1 else ():
        y, p, u = (x.clone() for x in given)
        y[..., unit] += 0.5
        p[..., unit::n] -= 0.75
        others = torch.arange(n, device=slope.device) != unit
        if not _equal(_slope(field, (y, p, u))[..., others], slope[..., others]):
            return True
    return False


def _splits_otherwise(field: AffinePointwiseField, given: Sequence[Tensor]) -> bool:
    """Whether the halves of a partitioned field do not move along `pointwise` of y K^T, each by its own entries."""
    if not isinstance(field, PartitionedField) or not is_partitioned(field) or given[1].shape[-1] != field.hidden_size:
        return False  # with several preactivations a unit no method moves the halves along `pointwise`
    n, weight, pointwise = field.hidden_size // 2, field.weight, field.pointwise
    y, _, u = given
    p = y @ weight().T
    controls = rearrange(u, "... (gate half unit) -> half ... (gate unit)", half=2, unit=n)
    slopes = [pointwise(y[..., s], p[..., s], control) for s, control in zip(_halves(n), controls, strict=True)]
    q_half, p_half = _halves(n)
    moved = field.drift(0.0, y[..., p_half], u), field.kick(0.0, y[..., q_half], u)
    return not all(_close(slope, move) for slope, move in zip(slopes, moved, strict=True))


def _halves(n: int) -> tuple[slice, slice]:
    return slice(None, n), slice(n, None)


def _slope(field: AffinePointwiseField, given: Sequence[Tensor]) -> Tensor:
    """`pointwise` of copies, as it may overwrite them."""
    y, p, u = (x.clone() for x in given)
    slope = field.pointwise(y, p, u)
    if not isinstance(slope, Tensor):
        raise TypeError(f"it returns {type(slope).__name__}")
    return slope.expand_as(given[0]).clone()


def _wave(like: Tensor, width: int) -> Tensor:
    """Numbers between -1 and 1 without a pattern in the units, (2, 2, width)."""
    place = torch.arange(4 * width, device=like.device, dtype=torch.float32)
    return torch.sin(place * place * 0.37 + width).to(like.dtype).reshape(2, 2, width)


def _equal(one: Tensor, other: Tensor) -> bool:
    """To the bit: the same operations on tensors of the same shape."""
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _close(one: Tensor, other: Tensor) -> bool:
    """To rounding: a vectorised function may round otherwise at another place of a tensor."""
    tolerance = 64 * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def _drawn(like: Tensor) -> Tensor:
    """The state of the random generators."""
    state = torch.get_rng_state()
    return torch.cat((state, torch.cuda.get_rng_state(like.device))) if like.device.type == "cuda" else state


def code_of(field: VectorField) -> list[object]:
    """All that stands in the class of the field and its bases: another class, or a patched one, has something else."""
    code: list[object] = []
    for cls in type(field).__mro__:
        if cls is not nn.Module and cls is not object:
            code.extend(vars(cls).values())
    return code


def _parts(field: VectorField) -> list[object]:
    """The code of a field, its modules, their modes and their attributes that are not floating numbers."""
    found = code_of(field)
    for module in field.modules():
        found += (module, type(module))
        found.extend(v for key, v in vars(module).items() if key not in MEMORIES and not isinstance(v, float))
    return found


def _are_same(parts: Sequence[object], others: Sequence[object]) -> bool:
    if len(parts) != len(others):
        return False
    return all(
        one is other or (isinstance(one, _PLAIN) and one == other) for one, other in zip(parts, others, strict=True)
    )
