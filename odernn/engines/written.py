"""Whether an output has been written into, as torch.nn.RNN allows, before a backward pass wants its values."""

from __future__ import annotations

from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode


class WriteCounter:
    """Counts the writes into a tensor, and holds none of its memory.

    An engine saves its trajectory for the backward pass, and the trajectory is the layer's output. torch refuses a
    saved tensor that was written into. Here the saved one shares the memory and not the count of writes, and where the
    output was written into the backward pass makes the trajectory again.

    Args:
        x: the tensor.
    """

    def __init__(self, x: Tensor) -> None:
        self._shared = x.detach()  # it shares the count, and keeps it when its memory is replaced
        self._shared.data = x.new_empty(0)
        self._before = x._version

    def has_changed(self) -> bool:
        """Whether anybody has written into the tensor, or into a view of it, since."""
        return self._shared._version != self._before


def counted(x: Tensor) -> tuple[Tensor, WriteCounter | None]:
    """What to save of an output, and its counter; the output itself while torch traces or watches its operators."""
    if type(x) is not Tensor or _get_current_dispatch_mode() is not None:
        return x, None
    return x.data, WriteCounter(x)
