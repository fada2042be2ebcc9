"""What a function closes over: the tensors that need gradients, found in one evaluation, and replaced in later ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class ClosureConverted:
    """The tensors with gradients that `function` reads besides its arguments, each with a leaf in its place.

    Args:
        function: any function of tensors.
        arguments: where to evaluate it, once, to see what it reads; they need no gradients.
        dtype: that of the leaves, or None for each its original's own. A leaf of another dtype than its original is a
            shift of it, zero, which loses no digits of the original.

    Attributes:
        originals: the tensors that it reads, in the order in which it first does.
        leaves: for each a leaf tensor without history: with the same values and memory, or a shift.

    Raises:
        ValueError: a gradient would flow past the tensors found, since an operation reads one out of sight (a
            torch.autograd.Function does).
    """

    def __init__(
        self, function: Callable[..., Tensor], arguments: tuple[Tensor, ...], dtype: torch.dtype | None = None
    ) -> None:
        self.function = function
        self._pairs: dict[int, tuple[Tensor, Tensor]] = {}
        with torch.enable_grad(), _Collect(self._pairs, dtype):
            result = function(*arguments)
        self.originals = tuple(original for original, _ in self._pairs.values())
        self.leaves = tuple(leaf for _, leaf in self._pairs.values())
        check_seen(result, self.leaves)

    def __call__(self, *arguments: Tensor) -> Tensor:
        """The function of the leaves instead of what it closes over.

        Raises:
            RuntimeError: the function reads a parameter that it did not read at first.
        """
        with _Replace(self._pairs, arguments):
            return self.function(*arguments)


class _Collect(TorchFunctionMode):
    """Replace every tensor with gradients that is older than this mode, and remember it."""

    def __init__(self, pairs: dict[int, tuple[Tensor, Tensor]], dtype: torch.dtype | None) -> None:
        super().__init__()
        self.pairs = pairs
        self.dtype = dtype
        self.now = _clock()

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*_mapped(args, self._leaf), **_mapped(kwargs or {}, self._leaf))

    def _leaf(self, tensor: Tensor) -> Tensor:
        if not tensor.requires_grad or (tensor.grad_fn is not None and tensor.grad_fn._sequence_nr() >= self.now):
            return tensor
        if id(tensor) not in self.pairs:
            shifted = self.dtype is not None and self.dtype != tensor.dtype
            leaf = torch.zeros_like(tensor, dtype=self.dtype) if shifted else tensor.detach()
            self.pairs[id(tensor)] = (tensor, leaf.requires_grad_())
        return _value(*self.pairs[id(tensor)])


class _Replace(TorchFunctionMode):
    """Replace the tensors that are known, and refuse a parameter that is not."""

    def __init__(self, pairs: dict[int, tuple[Tensor, Tensor]], arguments: Iterable[Tensor]) -> None:
        super().__init__()
        self.pairs = pairs
        self.allowed = {id(each) for each in arguments} | {id(leaf) for _, leaf in pairs.values()}

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*_mapped(args, self._leaf), **_mapped(kwargs or {}, self._leaf))

    def _leaf(self, tensor: Tensor) -> Tensor:
        pair = self.pairs.get(id(tensor))
        if pair is not None:
            return _value(*pair)
        if tensor.requires_grad and tensor.is_leaf and not tensor._is_view() and id(tensor) not in self.allowed:
            raise RuntimeError(
                f"`f` reads a parameter of shape {tuple(tensor.shape)} in the backward pass that it did not read in "
                "the forward pass, as one behind torch.nn.utils.parametrize does, whose cache has ended by then; make "
                "the weight once a call (AffinePointwiseField.weight), or use another adjoint"
            )
        return tensor


def _value(original: Tensor, leaf: Tensor) -> Tensor:
    """What stands for the original: the leaf, or the original shifted by it."""
    return leaf if leaf.dtype == original.dtype else original.detach() + leaf.to(original.dtype)


def _clock() -> int:
    """A number below the sequence numbers of all autograd nodes that this thread makes from now on."""
    node = torch.zeros((), requires_grad=True, device="cpu").clone().grad_fn
    assert node is not None
    return node._sequence_nr()


def _mapped(value: Any, replace: Callable[[Tensor], Tensor]) -> Any:
    """`value` with every tensor in it replaced."""
    if isinstance(value, Tensor):
        return replace(value)
    if type(value) in (tuple, list):
        return type(value)(_mapped(each, replace) for each in value)
    if type(value) is dict:
        return {key: _mapped(each, replace) for key, each in value.items()}
    return value


def check_seen(result: Tensor, leaves: tuple[Tensor, ...]) -> None:
    """Every way from `result` ends in one of the leaves."""
    known = {id(leaf) for leaf in leaves}
    pending, visited = [result.grad_fn], set()
    while pending:
        node = pending.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) not in known:
            raise ValueError(
                f"`f` closes over a tensor of shape {tuple(variable.shape)} that needs a gradient and hands it to an "
                "operation out of sight of torch's functions, such as a torch.autograd.Function; use another adjoint"
            )
        pending.extend(each for each, _ in node.next_functions)
