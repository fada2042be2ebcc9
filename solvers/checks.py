"""The named checks of arguments: each one fact, each message with what came, what was wanted and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from difflib import get_close_matches
from functools import partial
from math import isfinite
from numbers import Complex, Real

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def check_number(name: str, value: object) -> None:
    """Check that `value` is a finite real number; a bool is not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give a real number")
    if isinstance(value, int) and not -sys.float_info.max <= value <= sys.float_info.max:
        raise ValueError(f"`{name}` is larger than any float; give a number up to {sys.float_info.max:.3g}")
    if not isfinite(value):
        raise ValueError(f"`{name}` is {value}; give a finite number")


def check_positive(name: str, value: object) -> None:
    """Check that `value` is a finite real number above zero."""
    check_number(name, value)
    if not value > 0:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"`{name}` is {value}; give a number above zero")


def check_not_negative(name: str, value: object) -> None:
    """Check that `value` is a finite real number, zero or above."""
    check_number(name, value)
    if value < 0:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"`{name}` is {value}; give zero or a number above it")


def check_count(name: str, value: object, *, least: int = 1, most: int = sys.maxsize) -> None:
    """A whole number from `least`, 1 where nothing is said, to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give a whole number from {least}")
    if value < least:
        raise ValueError(f"`{name}` is {value}; give a whole number from {least}")
    if value > most:
        raise ValueError(f"`{name}` is too large; give a whole number up to {most}")


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Check that a value is one of the names in `choices`; the message lists all, and says which is the nearest."""
    names = ", ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give one of {names}")
    if value not in choices:
        near = get_close_matches(value.lower().replace("_", "-"), choices, n=1, cutoff=0.5)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"`{name}` is {value!r}; choose one of {names}{meant}")


proxy_mode: Callable[[], object] = partial(torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey.PROXY)
"""What traces for torch.fx.experimental.proxy_tensor.make_fx, which lets no value be read, or None."""


def is_readable(x: Tensor) -> bool:
    """Whether the values of `x` can be looked at: not on the meta device, while tracing, or under vmap."""
    return not is_traced(x) and not torch._C._are_functorch_transforms_active()


def is_traced(x: Tensor) -> bool:
    """Whether the operations on `x` are recorded, or only their shapes worked out, and there are no values yet."""
    return torch.compiler.is_compiling() or proxy_mode() is not None or x.is_meta or isinstance(x, FakeTensor)


def check_entries(ok: Tensor, rule: str, explain: Callable[[tuple[int, ...]], str]) -> None:
    """All entries of a bool tensor hold. Reads one value back from its device.

    While torch.compile traces, the compiled program asserts the rule. Under the transforms of torch.func the whole
    batch is looked at. On the meta device, and while make_fx traces, nothing is known.

    Args:
        ok: what must hold.
        rule: what that is, in words.
        explain: the message, from the index of the first entry that does not hold.

    Raises:
        ValueError: one does not hold.
    """
    if torch.compiler.is_compiling():
        torch._assert_async(ok.all(), rule)  # pyright: ignore[reportPrivateImportUsage]
        return
    plain = unwrapped(ok)
    if proxy_mode() is not None or plain.is_meta or isinstance(plain, FakeTensor) or bool(plain.all()):
        return
    if plain is not ok:
        raise ValueError(rule)
    raise ValueError(explain(tuple(int(i) for i in (~plain).nonzero()[0])))


def unwrapped(x: Tensor) -> Tensor:
    """The tensor behind the wrappers of torch.func: that of the whole batch, under vmap. Itself in a traced program."""
    if torch.compiler.is_compiling():
        return x
    while torch._C._functorch.is_functorch_wrapped_tensor(x):  # pyright: ignore[reportAttributeAccessIssue]
        x = torch._C._functorch.get_unwrapped(x)  # pyright: ignore[reportAttributeAccessIssue]
    return x


def entry(x: Tensor, at: tuple[int, ...]) -> float:
    """The entry of `x` at an index, for a message."""
    return float(x.detach()[at])


HALF = (torch.float16, torch.bfloat16, torch.complex32)


def is_half(dtype: torch.dtype) -> bool:
    """Whether it has half precision or less: three digits, or two."""
    return dtype in HALF


def check_arithmetic(name: str, dtype: torch.dtype) -> None:
    """A dtype that torch adds and multiplies in: the eight-bit ones only store numbers."""
    if dtype.itemsize < 2:
        raise TypeError(f"`{name}` has dtype {dtype}, in which torch does not add; give float32, as `{name}.float()`")


def check_flag(name: str, value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); give True or False")


def check_callable(name: str, value: object, form: str) -> None:
    """A callable; `form` is how it is called."""
    if not callable(value):
        raise TypeError(f"`{name}` is {type(value).__name__}; give a callable {form}")


def check_type(name: str, value: object, kind: type, form: str) -> None:
    """An instance of a class; `form` is an example."""
    if not isinstance(value, kind):
        raise TypeError(f"`{name}` is {type(value).__name__}; give {form}")


def complex_numbers(name: str, value: object) -> Tensor:
    """A number or a tensor as a tensor of complex128, with entries that need not be finite.

    Raises:
        TypeError, ValueError: something else.
    """
    if isinstance(value, Tensor):
        return value.to(torch.complex128)
    if isinstance(value, bool) or not isinstance(value, Complex):
        raise TypeError(f"`{name}` is {value!r:.40} ({type(value).__name__}); give a complex number or a tensor")
    try:
        return torch.tensor(complex(value), dtype=torch.complex128, device="cpu")
    except OverflowError as error:
        raise ValueError(f"`{name}` is larger than any float; give one up to {sys.float_info.max:.3g}") from error


def check_tensor(name: str, value: object) -> None:
    """Check that `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` is {type(value).__name__}; give a torch.Tensor")


def check_state(name: str, value: object) -> None:
    """Check that `value` is a tensor with at least one element, of a floating or complex dtype."""
    check_tensor(name, value)
    assert isinstance(value, Tensor)
    if not (value.is_floating_point() or value.is_complex()):
        raise TypeError(f"`{name}` has dtype {value.dtype}; give a floating dtype, as `{name}.float()`")
    check_arithmetic(name, value.dtype)
    if value.numel() == 0:
        raise ValueError(f"`{name}` has shape {tuple(value.shape)} and so no elements; give at least one")
