"""From a field's `pointwise` to its trace."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from ...fields.field import AffinePointwiseField
from .reader import Reader
from .trace import Trace, UntraceableError


class _Pointwise(nn.Module):
    """A field whose call is its `pointwise`."""

    def __init__(self, field: AffinePointwiseField) -> None:
        super().__init__()
        self.field = field

    def forward(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.field.pointwise(y, p, u)


def state_of(field: AffinePointwiseField) -> dict[str, Tensor]:
    """The parameters and the buffers that `pointwise` may read, by name."""
    return {**dict(field.named_parameters()), **dict(field.named_buffers())}


def trace(field: AffinePointwiseField, preactivations: int, controls: int, like: Tensor) -> Trace:
    """The elementwise part of a field.

    Args:
        field: one that keeps the promises of `pointwise`.
        preactivations: entries of the preactivation of a unit.
        controls: entries of the control of a unit.
        like: a tensor of the state's dtype.

    Raises:
        UntraceableError: it calls an operator that is not in the table, depends on data, or cuts the units apart.
    """
    names = list(state_of(field))
    module, n = _Pointwise(field), field.hidden_size

    def call(*given: Tensor) -> Tensor:
        values = {f"field.{name}": value for name, value in zip(names, given[:-3], strict=True)}
        return torch.func.functional_call(module, values, given[-3:]).expand(2, 3, n)

    given = [value.detach() for value in state_of(field).values()]
    given += [like.new_zeros(2, 3, k * n) for k in (1, preactivations, controls)]
    return Reader(_graph(call, given), len(names), n, preactivations, controls).read()


def _graph(call: Callable[..., Tensor], given: list[Tensor]) -> fx.GraphModule:
    from torch.fx.experimental import proxy_tensor  # costs seconds, and only those who compile kernels need it

    try:
        with torch.no_grad():
            return proxy_tensor.make_fx(torch.func.functionalize(call), tracing_mode="fake")(*given)
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError) as error:
        raise UntraceableError(_why_not_traced(error)) from error


def _why_not_traced(error: Exception) -> str:
    if "DataDependent" in type(error).__name__:
        return f"its `pointwise` depends on the values of a tensor ({error})"
    if "convert all Tensors to FakeTensors" in str(error):
        return "its `pointwise` reads a tensor that is neither a parameter nor a buffer of the field"
    line = next(iter(str(error).splitlines()), "").strip()[:120]
    return f"its `pointwise` cannot be traced ({line})"
