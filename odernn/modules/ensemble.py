"""Ensemble: many networks of one architecture, with their parameters stacked, run and trained together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from solvers import DivergenceError
from solvers.extend import Save

from ..control.time_grid import Step
from ..engines.stacked import run_at_once
from ..layer.layouts import Lengths
from ..layer.odernn import ODERNN
from ..layer.recurrent import RecurrentModule
from .architecture import check_one_architecture
from .sequence_network import ODERecurrence, SequenceNetwork

Network = RecurrentModule[Any] | SequenceNetwork
Numbers = Mapping[str, Tensor]
"""Parameters and buffers by name."""


class EnsembleDivergenceError(DivergenceError):
    """The state of one network of an ensemble stopped being finite.

    Attributes:
        model: the number of the network.
    """

    def __init__(self, message: str, step: int | None, time: float | None, norm: float | None, model: int) -> None:
        super().__init__(message, step, time, norm)
        self.args = (message, step, time, norm, model)
        self.model = model


class Ensemble(nn.Module):
    """Many networks of one architecture, each with its own numbers.

    The parameters of all networks are stacked along a first dimension, as `torch.func.stack_module_state` does, so that
    one optimiser trains them all. No network's numbers enter another's, so a sum of the networks' losses gives each the
    gradient that it has by itself.

    Args:
        networks: one or more `ODERNN`, `StackedODERNN` or `SequenceNetwork`, alike but for the numbers in their
            parameters and buffers, which are copied.

    Attributes:
        network: the architecture, with parameters and buffers of shape (models, ...). It is not called by itself.

    Raises:
        TypeError, ValueError: something that is not such a network, or networks that differ in more than numbers.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        if not isinstance(networks, list | tuple) or not networks:
            raise TypeError(f"`networks` is {networks!r}; give a list of networks, one or more")
        for k, each in enumerate(networks):
            if not isinstance(each, RecurrentModule | SequenceNetwork):
                kinds = "an ODERNN, a StackedODERNN or a SequenceNetwork"
                raise TypeError(f"`networks[{k}]` is {type(each).__name__}; give {kinds}")
        check_one_architecture("networks", networks)
        tables = [_numbers_of(each) for each in networks]
        self.network = _with_numbers(networks[0], lambda name: torch.stack([table[name] for table in tables]))
        self._models = len(networks)

    def __len__(self) -> int:
        """The number of networks."""
        return self._models

    def __getitem__(self, index: int) -> Network:
        """A network by itself, with a copy of the numbers of the one at `index`."""
        if not -self._models <= index < self._models:
            raise IndexError(f"`index` is {index}; the ensemble has {self._models} networks")
        table = _numbers_of(self.network)
        return _with_numbers(self.network, lambda name: table[name][index])

    def __iter__(self) -> Iterator[Network]:
        """The networks one by one, as `__getitem__` gives them."""
        return (self[k] for k in range(self._models))

    def unstack(self) -> list[Network]:
        """All networks by themselves, with copies of their numbers."""
        return list(self)

    def forward(
        self,
        x: Tensor,
        y0: Tensor | Sequence[Any] | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save | None = None,
    ) -> Any:
        """Run all networks.

        Args:
            x: what one network takes, for all of them; or with a dimension before it one each, (models, time, batch,
                input), or (models, batch, time, input) where they have the batch first. Sequences of several lengths
                come padded, with `lengths` or `mask`.
            y0: the states before the first sample, of recurrent layers: what one network takes, for all of them; or
                with a dimension before it, (models, ...), one each; or a list with the state of each, as the call
                before returned it.
            dt: for all networks, as they take it.
            timestamps: likewise.
            lengths: likewise.
            mask: likewise.
            resets: likewise.
            truncate: likewise.
            save: likewise.

        Returns:
            What one network returns, with a dimension (models, ...) before it. Recurrent layers return (output, y_n),
            and y_n is a list with the state of each where `y0` was one.

        Raises:
            TypeError, ValueError: an argument does not fit the networks or the others.
            EnsembleDivergenceError: a state stopped being finite, and `on_divergence` of its layer is "raise".
        """
        self._check_input(x)
        options = {"dt": dt, "timestamps": timestamps, "lengths": lengths, "mask": mask, "resets": resets}
        options |= {"truncate": truncate, "save": save}
        given = {name: value for name, value in options.items() if value is not None}
        if isinstance(self.network, SequenceNetwork):
            _refuse_options(["y0"] * (y0 is not None) + list(given))
        if given.keys() <= {"save"} and (y0 is None or isinstance(y0, Tensor)) and self.runs_at_once:
            try:
                return self._at_once(x, y0, given)
            except DivergenceError:  # one by one they say which of them diverged, and where
                return self._in_turn(x, y0, given)
        return self._in_turn(x, y0, given)

    def extra_repr(self) -> str:
        """The number of networks."""
        return f"models={self._models}"

    @property
    def runs_at_once(self) -> bool:
        """Whether a layer of all networks runs at once, on a CUDA device; else they run one after the other."""
        if isinstance(self.network, SequenceNetwork) and not isinstance(self.network.recurrent, ODERecurrence):
            return False
        layers = [module for module in self.network.modules() if isinstance(module, ODERNN)]
        like = next(self.network.parameters(), torch.empty(()))
        return all(
            run_at_once(rnn.field, rnn.solver, rnn.hold, rnn.dt, rnn.adjoint, rnn.engine, like) for rnn in layers
        )

    def _check_input(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or x.is_nested:
            raise TypeError(f"`x` is {type(x).__name__}; give a padded tensor, with `lengths` or `mask` if need be")
        if x.ndim > 3:
            self._check_models("x", x)

    def _at_once(self, x: Tensor, y0: Tensor | None, options: Mapping[str, Any]) -> Any:
        """Under vmap, which the operators know."""
        given, own = [x], [0 if x.ndim > 3 else None]
        if y0 is not None:
            given.append(y0)
            own.append(0 if y0.ndim > min(x.ndim, 3) else None)
            if own[1] == 0:
                self._check_models("y0", y0)

        def call(numbers: Numbers, *given: Tensor) -> Any:
            found = functional_call(self.network, dict(numbers), given, dict(options))
            return found[1] if isinstance(found, tuple) and found[0] is None else found

        mapped = vmap(call, (0, *own), randomness="different")
        found = mapped(_numbers_of(self.network), *given)
        return (None, found) if options.get("save") == "end" else found

    def _in_turn(self, x: Tensor, y0: Tensor | Sequence[Any] | None, options: Mapping[str, Any]) -> Any:
        """One network after the other."""
        inputs = x.unbind(0) if x.ndim > 3 else [x] * self._models
        if isinstance(self.network, SequenceNetwork):
            return torch.stack(list(self._outcomes([(each,) for each in inputs], {})))
        states = self._states(y0, inputs[0])
        outputs, ends = zip(*self._outcomes(list(zip(inputs, states, strict=True)), options), strict=True)
        output = None if outputs[0] is None else torch.stack(outputs)
        return output, torch.stack(ends) if isinstance(ends[0], Tensor) else list(ends)

    def _states(self, y0: Tensor | Sequence[Any] | None, x: Tensor) -> Sequence[Any]:
        """The initial state of each network, which takes the input `x`."""
        if y0 is None or (isinstance(y0, Tensor) and y0.ndim <= x.ndim):
            return [y0] * self._models
        if not isinstance(y0, Tensor | list | tuple):
            raise TypeError(f"`y0` is {type(y0).__name__}; give a tensor, or a list with the state of each network")
        self._check_models("y0", y0)
        return y0.unbind(0) if isinstance(y0, Tensor) else y0

    def _check_models(self, name: str, given: Tensor | Sequence[Any]) -> None:
        if len(given) != self._models:
            raise ValueError(f"`{name}` is for {len(given)} networks; the ensemble has {self._models}")

    def _outcomes(self, arguments: Sequence[tuple[Any, ...]], options: Mapping[str, Any]) -> Iterator[Any]:
        """What each network returns, one after the other."""
        table = {name: value.unbind(0) for name, value in _numbers_of(self.network).items()}
        for k, each in enumerate(arguments):
            own = {name: rows[k] for name, rows in table.items()}
            try:
                yield functional_call(self.network, own, each, dict(options))
            except DivergenceError as error:
                message = f"network {k} of the ensemble: {error}"
                raise EnsembleDivergenceError(message, error.step, error.time, error.norm, k) from error


def _numbers_of(network: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers, by name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _with_numbers(network: Network, numbers: Callable[[str], Tensor]) -> Network:
    """A copy of a network with other parameters and buffers, of any shapes, by name."""
    made = deepcopy(network)
    news = dict[Tensor, Tensor]()  # by the old one, which two modules may share
    for path, module in made.named_modules():
        stores: list[dict[str, Any]] = [module._parameters, module._buffers]
        for store in stores:
            for key, old in store.items():
                if old is not None and old not in news:
                    new = numbers(f"{path}.{key}" if path else key).detach().clone()
                    news[old] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
                if old is not None:
                    store[key] = news[old]
    return made


def _refuse_options(names: Sequence[str]) -> None:
    if names:
        raise TypeError(f"an ensemble of SequenceNetworks takes `x` only; leave out {', '.join(names)}")
