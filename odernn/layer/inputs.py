"""The layer's door: every check of an input or a state, and the layout that the loop works in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import check_tensor

from ..fields.field import VectorField


def time_first(x: object, field: VectorField, batch_first: bool) -> Float[Tensor, "time batch input"]:
    """`x` checked, and laid out as (time, batch, input); an unbatched (time, input) gets a batch of one.

    Raises:
        TypeError: `x` is no tensor, or not floating.
        ValueError: the rank, the feature size, the dtype or the device is not the field's, or a size is zero.
    """
    wanted = "(batch, time, input)" if batch_first else "(time, batch, input)"
    check_tensor("x", x)
    assert isinstance(x, Tensor)
    if x.ndim not in (2, 3):
        raise ValueError(f"`x` has shape {tuple(x.shape)}; give {wanted}, or (time, input) for a single sequence")
    _check_features("x", x, field)
    if x.numel() == 0:
        raise ValueError(f"`x` has shape {tuple(x.shape)}; give {wanted} with at least one sequence and one sample")
    x = _in_dtype_of(field, x)
    if x.ndim == 2:
        return x.unsqueeze(1)
    return x.transpose(0, 1) if batch_first else x


def sample(x: object, field: VectorField) -> Float[Tensor, "batch input"]:
    """One sample checked, (batch, input); an unbatched (input,) gets a batch of one. Raises as `time_first`."""
    check_tensor("x", x)
    assert isinstance(x, Tensor)
    if x.ndim not in (1, 2):
        raise ValueError(f"`x` has shape {tuple(x.shape)}; give one sample, (batch, input) or (input,)")
    _check_features("x", x, field)
    if x.numel() == 0:
        raise ValueError(f"`x` has shape {tuple(x.shape)}; give at least one sequence")
    x = _in_dtype_of(field, x)
    return x.unsqueeze(0) if x.ndim == 1 else x


def initial_state(
    y0: Tensor | None, x: Float[Tensor, "time batch input"], field: VectorField, batched: bool
) -> Float[Tensor, "batch hidden"]:
    """`y0` checked, as (batch, hidden); zero if None. It comes as torch.nn.RNN's: (1, batch, hidden) or (1, hidden).

    Raises:
        TypeError: `y0` is no tensor.
        ValueError: its shape, dtype or device is not that of the input and the field.
    """
    batch = x.shape[1]
    like = next(field.parameters(), x)
    if y0 is None:
        return torch.zeros(batch, field.hidden_size, device=x.device, dtype=like.dtype)
    check_tensor("y0", y0)
    wanted = (1, batch, field.hidden_size) if batched else (1, field.hidden_size)
    if tuple(y0.shape) != wanted:
        raise ValueError(f"`y0` has shape {tuple(y0.shape)}; for this input and field give {wanted}")
    _check_kind("y0", y0, like)
    y0 = y0.to(like.dtype)
    return y0[0] if batched else y0


def check_continuing(y: Float[Tensor, "batch hidden"], batch: int, field: VectorField) -> None:
    """The state that a chunk continues from fits the chunk.

    Raises:
        ValueError: its shape, dtype or device is not that of the input and the field.
    """
    if tuple(y.shape) != (batch, field.hidden_size):
        raise ValueError(
            f"the state's `y` has shape {tuple(y.shape)}; this input and field want {(batch, field.hidden_size)}: "
            "continue with as many sequences as before"
        )
    _check_kind("y0.y", y, next(field.parameters(), y))


def check_finite_input(x: Float[Tensor, "time batch input"]) -> None:
    """Every entry of the input is finite. Reads one value back from the device.

    Raises:
        ValueError: it names the first sequence and step that are not.
    """
    wrong = ~torch.isfinite(x).all(dim=-1)
    if bool(wrong.any()):
        step, sequence = (int(i) for i in wrong.nonzero()[0])
        raise ValueError(
            f"`x` is not finite: first in sample {sequence} of the batch at step {step}, "
            f"{x[step, sequence].tolist()}; clean the data or mask the missing values"
        )


def _in_dtype_of(field: VectorField, x: Tensor) -> Tensor:
    """The input in the dtype of the field's parameters; it has another one only inside autocast."""
    return x.to(next(field.parameters(), x).dtype)


def _check_features(name: str, x: Tensor, field: VectorField) -> None:
    if not x.is_floating_point():
        raise TypeError(f"`{name}` has dtype {x.dtype}; give a floating dtype, as `{name}.float()`")
    if x.shape[-1] != field.input_size:
        raise ValueError(
            f"`{name}` has {x.shape[-1]} features (shape {tuple(x.shape)}) and the field takes {field.input_size}; "
            "the features are the last dimension"
        )
    _check_kind(name, x, next(field.parameters(), x))


def _check_kind(name: str, x: Tensor, like: Tensor) -> None:
    """`x` has the dtype and device of the parameters; under autocast any floating dtype will do."""
    if x.dtype != like.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"`{name}` has dtype {x.dtype} and the field's parameters {like.dtype}; "
            f"convert one: `{name}.to({like.dtype})`"
        )
    if x.device != like.device:
        raise ValueError(
            f"`{name}` is on {x.device} and the field's parameters on {like.device}; "
            f"move one: `{name}.to({str(like.device)!r})`"
        )
