"""The autograd kernel of an operator: as `torch.library.register_autograd` makes it, in less time a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., tuple[Tensor | None, ...]]
"""(ctx, *dL by the outputs) -> dL by the arguments."""
SetUp = Callable[[Any, tuple[Any, ...], tuple[Tensor, ...]], None]
"""(ctx, arguments, outputs) saves what `backward` wants."""


def register_backward(namespace: str, name: str, backward: Backward, set_up: SetUp | None = None) -> None:
    """Give an operator its gradient.

    torch's own kernel asks for the schema's default values in every call, each time for all of them, which of our
    twelve tensors takes sixty microseconds. Our schemas have none. The rest is the same, by the same private names of
    torch: below autograd the operator is dispatched on.

    Args:
        namespace: in torch.ops.
        name: of the operator; its arguments have no default values.
        backward: its rule.
        set_up: is called in the forward pass, if it is given.
    """
    operator = getattr(getattr(torch.ops, namespace), name).default

    def below(keyset: Any, *given: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return operator.redispatch(keyset & torch._C._after_autograd_keyset, *given)

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            *arguments, keyset = given
            output = below(keyset, *arguments)
            if set_up is not None:
                set_up(ctx, tuple(arguments), output)
            return output

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return *backward(ctx, *gradients), None

    def kernel(keyset: Any, *given: Any) -> Any:
        if torch.is_grad_enabled() and any(isinstance(each, Tensor) and each.requires_grad for each in given):
            return Rule.apply(*given, keyset)
        return below(keyset, *given)

    library = torch.library.Library(namespace, "FRAGMENT")
    library.impl(name, kernel, "Autograd", with_keyset=True)
    _LIBRARIES.append(library)


_LIBRARIES: list[torch.library.Library] = []
"""What is registered lasts as long as its library."""
