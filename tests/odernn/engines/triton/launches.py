"""What a call of the Triton engine launches, counted on tensors without values, so that no device is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from odernn.engines.operators import flat_pull_back, flat_solve
from odernn.engines.triton import availability, derivatives, launch
from odernn.engines.triton.lengths import pull_back_any_length, solve_any_length
from odernn.engines.triton.operators import pull_back, solve

_MEMORY = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "detach")
"""What launches nothing, besides views."""
_READS = ("item", "_local_scalar_dense", "nonzero", "equal")
"""What gives Python a value."""
_OPERATORS: dict[str, Callable[..., Any]] = {
    "solve": flat_solve(solve_any_length(solve)),
    "pull_back": flat_pull_back(pull_back_any_length(pull_back)),
}


class Launches(TorchDispatchMode):
    """Notes by name what a device would be told to do, inside the operators too; the kernels are not run.

    Args:
        patched: puts the kernels' places right, and takes tensors of the meta device for a device's.
        host: whether the tensors are the host's, which stand for a device's and may be read.
    """

    def __init__(self, patched: pytest.MonkeyPatch, *, host: bool = False) -> None:
        super().__init__()
        self.host = host
        self.names: list[str] = []
        patched.setattr(availability, "_why_not_there", lambda *_: None)
        for module, name in ((launch, "advance"), (launch, "recur"), (derivatives, "linearise")):
            patched.setattr(module, f"{name}_kernel", lambda plan, name=name: _Kernel(name, self.names))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        space, _, name = func._schema.name.partition("::")
        if space == "odernn_triton":
            with self:
                return _OPERATORS[name](*args)
        if name in _READS:
            assert self.host or args[0].device.type == "cpu", f"{name} waits for the device"
        elif name not in _MEMORY and not func.is_view:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


class _Kernel:
    """Stands where Triton's function does."""

    def __init__(self, name: str, names: list[str]) -> None:
        self.name, self.names = name, names

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        """What is called with the kernel's arguments."""
        return lambda *_, **__: self.names.append(self.name)
