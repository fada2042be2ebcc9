"""What right-hand sides read besides their arguments: the backward pass sees what the forward pass saw."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..loop import Problem
from .checksum import checksum, differs
from .reach import Place, Reach, content, reach_of, version

_MISSING = object()


class Mark(NamedTuple):
    """What modules held at one moment.

    Attributes:
        reach: what could be reached then.
        places: the attributes of the modules, the buffers copied.
    """

    reach: Reach
    places: list[Place]


class Snapshot:
    """The tensors, modules and attributes that a problem is made of, as they are when this is made.

    An adjoint that evaluates right-hand sides again, in the backward pass, takes one before the forward pass, calls
    `settle` after it, and evaluates again inside `restored`. There the attributes, parameters and buffers of modules
    are those of the forward pass, even where the module has others by now (`functional_call`, `eval()`, a schedule). A
    tensor or a container that was written into since is an error, since its old values are gone: torch counts the
    writes, and on the CPU a checksum of inputs, states and parameters, taken again once, at the first evaluation of the
    backward pass, sees those that it does not count, through `.data` or NumPy.

    Args:
        problem: the problem.
        adjoint: the adjoint's name, for the messages.
    """

    def __init__(self, problem: Problem, adjoint: str) -> None:
        self._adjoint = adjoint
        self._roots = problem.roots
        self._device = problem.y0.device
        given = (problem.y0, *problem.inputs, *(problem.carry or ()))
        self._tensors = [(x, version(x), "an input or a state") for x in given if isinstance(x, Tensor)]
        self._reach = reach_of(self._roots)
        learnt = (each for each in self._reach.tensors if each[0].requires_grad or isinstance(each[0], nn.Parameter))
        self._sums = [(x, checksum(x), name) for x, _, name in (*self._tensors, *learnt)]
        self._drawn = _generator_states(self._device, self._reach)
        self.settled = False

    def settle(self, *, replays: bool = False) -> None:
        """End of the forward pass: what that pass itself changed is not compared later.

        Args:
            replays: whether the adjoint draws the same random numbers again, and has a `mark` of what is written.

        Raises:
            NotImplementedError: the right-hand sides drew random numbers, or wrote into a tensor that they read.
        """
        self.settled = True
        now = reach_of(self._roots)
        drawn = _generator_states(self._device, self._reach)
        if not replays and not _same(self._drawn[:1], drawn[:1]):
            raise NotImplementedError(self._refusal("draws random numbers, as dropout and torch.randn_like do"))
        if not _same(self._drawn[1:], drawn[1:]):
            raise NotImplementedError(self._refusal("draws random numbers from a torch.Generator of its own"))
        written = [name for x, number, name in self._reach.tensors if number != version(x)]
        if written and not replays:
            what = f"writes into its `{written[0]}`, as batch and spectral normalisation do in training mode"
            raise NotImplementedError(self._refusal(what))
        self._reach = self._reach.unchanged(now)

    @contextmanager
    def restored(self, mark: Mark | None = None) -> Iterator[None]:
        """Where modules have the attributes, parameters and buffers of the forward pass.

        Args:
            mark: those of one moment of the forward pass instead.

        Raises:
            RuntimeError: a tensor or a container was written into since the forward pass.
        """
        self._check()
        swapped: list[tuple[MutableMapping[str, object], str, object]] = []
        for store, key, value, _ in self._reach.places if mark is None else mark.places:
            now = store.get(key, _MISSING)
            if now is not value:
                swapped.append((store, key, now))
                store[key] = value
        try:
            yield
        finally:
            for store, key, value in reversed(swapped):
                if value is _MISSING:
                    del store[key]
                else:
                    store[key] = value

    def marked(self, before: Mark | None) -> Mark:
        """What the modules hold at this moment of the forward pass, with copies of their buffers.

        Args:
            before: the mark of the part before, or None; where nothing has changed since, that is the answer.
        """
        if before is not None and before.reach.is_current():
            return before
        now = reach_of(self._roots)
        return Mark(now, [place._replace(value=_copied(place)) for place in now.places])

    def _check(self) -> None:
        written = [(x, name) for x, number, name in (*self._tensors, *self._reach.tensors) if number != version(x)]
        unseen = [(x, f"{name} (through `.data` or the like)") for x, found, name in self._sums if differs(x, found)]
        for x, name in written + unseen:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"{name}, of shape {tuple(x.shape)}, is read again by the {self._adjoint} adjoint in the backward "
                "pass; write into it after backward(), or into a copy"
            )
        self._sums = []
        for value, found, name in self._reach.contents:
            if content(value) != found:
                raise RuntimeError(
                    f"{name} is not what it was in the forward pass, and the {self._adjoint} adjoint reads it again in "
                    "the backward pass: change it after backward(), or use adjoint='autograd'"
                )

    def _refusal(self, what: str) -> str:
        return (
            f"the right-hand side {what}, and the {self._adjoint} adjoint evaluates it again in the backward pass, "
            "which would differ: use adjoint='autograd' or 'checkpointed', eval(), or do it in the field's `control`"
        )


def snapshot_of(problem: Problem, adjoint: str) -> Snapshot | None:
    """A snapshot, or None where torch.compile or a transform of torch.func traces the call."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return None
    return Snapshot(problem, adjoint)


def _copied(place: Place) -> object:
    return place.value.detach().clone() if place.is_buffer and isinstance(place.value, Tensor) else place.value


def _generator_states(device: torch.device, reach: Reach) -> list[Tensor]:
    """The states of torch's own generators and of those that can be reached."""
    own = [torch.get_rng_state()]
    if device.type in ("cuda", "xpu"):
        own.append(torch.get_device_module(device).get_rng_state(device))
    return [torch.cat([each.flatten() for each in own]), *(each.get_state() for each in reach.generators)]


def _same(states: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(state, other) for state, other in zip(states, others, strict=True))
