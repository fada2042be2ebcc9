"""`recur`: the sequential part of the exact adjoint of a block of rows, with the loop over time inside.

It is linear in lambda, dL by the state: of every evaluation it takes the derivatives times the step, which all times
together have made, and leaves dL by the preactivation in their place. Every weight's gradient is a product outside.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .blocks import scaled, times
from .plans import Recur
from .source import compiled
from .writer import Writer

_SIGNATURE = (
    "gradient, carried, weight, by_preactivation, by_state, later, weights, blocks, kappas, ends, mus, "
    "gradient_out, carried_out, intervals, batch"
)
_AHEAD = 16
"""Registers of a thread for derivatives that are loaded a step ahead; with more, registers spill."""


@cache
def recur_kernel(plan: Recur) -> Any:
    """The kernel."""
    return compiled("recur", recur_text(plan))


def recur_text(plan: Recur) -> str:
    """Its text."""
    return _Writer(plan).text("recur", _SIGNATURE, ("intervals", "batch"))


class _Writer(Writer):
    """Writes the body."""

    def __init__(self, plan: Recur) -> None:
        super().__init__(plan.layout, plan.substeps, plan.blocks_vary, plan.lengths)
        self.plan = plan
        halves = self.layout.method.family == "shears"
        self.width = self.layout.size if halves else self.layout.units
        self.tiles = [
            (stage, group, part)
            for stage in range(self.layout.stages)
            for group in range(self.layout.groups)
            for part in self.layout.moved(stage)
        ]

    def write(self) -> None:
        plan, source, layout = self.plan, self.source, self.layout
        self.write_places()
        layout.write_weight(source, transposed=False)
        source(
            f"width = batch.to(tl.int64) * {self.width}",
            f"at_row = rows.to(tl.int64){layout.by_row} * {self.width} + units{layout.by_unit}",
            f"at_row_p = rows.to(tl.int64){layout.by_row} * {self.width * layout.groups} + units{layout.by_unit}",
        )
        self.write_common_matrices("intervals")
        self.load_states("g", "gradient")
        if self.two_states:
            self.load_states("z", "carried")
        source("at = intervals.to(tl.int64) - 1", f"step = intervals.to(tl.int64) * {plan.substeps} - 1")
        if self._ahead:
            self._write_loads("step", "")
        if self._later_ahead:
            self._write_later("at", "")
        with self.each("t", "intervals"):
            self._write_interval()
        self.store_states(self.named("g"), "gradient_out")
        if self.two_states:
            self.store_states(self.named("z"), "carried_out")

    @property
    def _registers(self) -> int:
        """Registers of a thread that the derivatives of a step take."""
        tiles = len(self.tiles) * (2 if self.plan.by_state else 1)
        return tiles * self.layout.rows * self.layout.padded // (32 * self.layout.warps)

    @property
    def _ahead(self) -> bool:
        return self._registers <= _AHEAD

    @property
    def _later_ahead(self) -> bool:
        """Whether the gradients by the saved states are loaded an interval ahead too: a step waits for memory else."""
        tiles = len(self.parts) * self.layout.rows * self.layout.padded // (32 * self.layout.warps)
        return self.plan.later and self._registers + tiles <= _AHEAD

    @property
    def _one_by_one(self) -> bool:
        """Whether an evaluation's derivatives are loaded when it is their turn."""
        return self._registers > 2 * _AHEAD

    def _write_interval(self) -> None:
        plan, source = self.plan, self.source
        if self.lengths:
            source("on = at < until")
        if plan.later:
            if not self._later_ahead:
                self._write_later("at", "")
            source(*(f"g_{part} = g_{part} + later_{part}" for part in self.parts))
            if self._later_ahead:
                source("sooner = tl.maximum(at - 1, 0)")
                self._write_later("sooner", "_next")
        self.write_own_matrices()
        if plan.substeps == 1:
            self._write_step()
        else:
            with self.each("k", str(plan.substeps)):
                self._write_step()
        if self._later_ahead:
            source(*(f"later_{part} = later_{part}_next" for part in self.parts))
        source("at -= 1")

    def _write_later(self, at: str, suffix: str) -> None:
        """The gradients by the states that were saved of an interval; nothing where a row has ended."""
        mask = f"inside & ({at} < until)" if self.lengths else "inside"
        for part in self.parts:
            load = self.layout.load(self.layout.of_state(f"later + {at} * state", part), mask)
            self.source(f"later_{part}{suffix} = {load}")

    def _write_step(self) -> None:
        source = self.source
        if self._ahead:
            source("before = tl.maximum(step - 1, 0)")
            self._write_loads("before", "_next")
        elif not self._one_by_one:
            self._write_loads("step", "")
        self._write_own_step()
        if self._ahead:
            source(*(f"{name} = {name}_next" for name in self._loaded()))
        source("step -= 1")

    def _write_own_step(self) -> None:
        """A solver step of the rows that have not ended: of the others nothing comes back, and what is there waits."""
        carried = [f"{tiles}_{part}" for tiles in ("g", "z")[: 1 + self.two_states] for part in self.parts]
        if self.lengths:
            self.source(*(f"o_{name} = {name}" for name in carried))
            self.source(*(f"{name} = tl.where(on, {name}, 0.0)" for name in carried))
        self.write_solver_step()
        if self.lengths:
            self.source(*(f"{name} = tl.where(on, {name}, o_{name})" for name in carried))

    def _loaded(self) -> list[str]:
        names = [f"d_{stage}_{group}_{part}" for stage, group, part in self.tiles]
        if self.plan.by_state:
            names += [f"a_{stage}_{part}" for stage, group, part in self.tiles if group == 0]
        return names

    def _write_loads(self, step: str, suffix: str, only: int | None = None) -> None:
        """Of all evaluations, or of one."""
        for stage, group, part in self.tiles:
            if only not in (None, stage):
                continue
            load = self.layout.load(self._of_preactivation(step, stage, group, part))
            self.source(f"d_{stage}_{group}_{part}{suffix} = {load}")
            if self.plan.by_state and group == 0:
                load = self.layout.load(self._of_units("by_state", step, stage, part))
                self.source(f"a_{stage}_{part}{suffix} = {load}")

    def _of_preactivation(self, step: str, stage: int, group: int, part: int) -> str:
        """The address of the derivatives of an evaluation by a group's preactivation."""
        first = group * self.width + self._first(part)
        evaluation = f"({step} * {self.layout.stages} + {stage}) * width * {self.layout.groups}"
        return f"by_preactivation + {evaluation} + at_row_p + {first}"

    def _of_units(self, pointer: str, step: str, stage: int, part: int) -> str:
        """The address of one number a unit of an evaluation."""
        return f"{pointer} + ({step} * {self.layout.stages} + {stage}) * width + at_row + {self._first(part)}"

    def _first(self, part: int) -> int:
        return 0 if self.width == self.layout.size else part * self.layout.size

    def _write_back(self, stage: int, kappa: dict[int, str]) -> dict[int, str]:
        """What comes back to each part of the state from kappa of an evaluation, by part; stores dL/dpreactivation."""
        layout, source = self.layout, self.source
        found: dict[int, str] = {}
        if self._one_by_one:
            self._write_loads("step", "", stage)
        for part, value in kappa.items():
            if self.plan.kappas:
                source(f"tl.store({self._of_units('kappas', 'step', stage, part)}, {value}, mask=inside)")
            for group in range(layout.groups):
                name = f"q_{group}_{part}"
                source(f"{name} = d_{stage}_{group}_{part} * {value}")
                source(f"tl.store({self._of_preactivation('step', stage, group, part)}, {name}, mask=inside)")
                for other in layout.sources(part):
                    before, found[other] = found.get(other), f"r_{stage}_{other}"
                    layout.write_product(source, found[other], name, (group, part, other), before)
        if self.plan.by_state:
            for part, value in kappa.items():
                source(f"{found[part]} += a_{stage}_{part} * {value}")
        return found

    def write_tableau(self) -> None:
        """kappa_i = B_i^T lambda + sum_{j>i} A_ji^T mu_j; lambda <- U^T lambda + sum_i U_i^T mu_i."""
        layout, source, entries = self.layout, self.source, self.entries
        gradient = self.named("g")
        made = [i for i in range(layout.stages) if entries.is_made_by_a_matrix(i)]
        if layout.method.family == "exponential":
            self.store_states(gradient, "ends + step * state")
        mus: dict[int, dict[int, str]] = {}
        for i in reversed(range(layout.stages)):
            kappa: dict[int, str] = {}
            for part in layout.moved(i):
                terms = [scaled(entries.b[i], gradient, part, transposed=True)] if entries.b[i].coefficient else []
                for j, mu in mus.items():
                    entry = entries.a[j][i]
                    if entry.coefficient:
                        terms.append(scaled(entry, [mu[each] for each in self.parts], part, transposed=True))
                source(f"kappa_{part} = " + (" + ".join(terms) or "tl.zeros_like(g_0)"))
                kappa[part] = f"kappa_{part}"
            mus[i] = self._write_back(i, kappa)
            if i in made:
                index = f"(step * {len(made)} + {made.index(i)})"
                self.store_states([mus[i][part] for part in self.parts], f"mus + {index} * state")
        for part in self.parts:
            terms = [times(entries.flows[-1], gradient, part, transposed=True)]
            for i, mu in mus.items():
                terms.append(times(entries.flows[i], [mu[each] for each in self.parts], part, transposed=True))
            source(f"n_{part} = " + " + ".join(terms))
        source(*(f"g_{part} = n_{part}" for part in self.parts))

    def write_shears(self) -> None:
        """The moves from the last: kappa = share lambda_moved; lambda_other += (D_p kappa) K_moved,other."""
        method = self.layout.method
        for i in reversed(range(len(method.moved))):
            part = method.moved[i]
            self.source(f"kappa_{part} = {method.b[i]!r} * g_{part}")
            (other,) = self.layout.sources(part)
            found = self._write_back(i, {part: f"kappa_{part}"})
            self.source(f"g_{other} = g_{other} + {found[other]}")

    def write_two_states(self) -> None:
        """(lambda, carried) <- (carried + w lambda + what comes back from s lambda, e lambda)."""
        source = self.source
        for place, name in enumerate("ews"):
            address = f"weights + (step * 3 + {place}) * batch + rows"
            source(f"{name} = {self.layout.load(address, 'row_in')}{self.layout.by_row}")
        source("kappa_0 = s * g_0")
        found = self._write_back(0, {0: "kappa_0"})
        source(f"n_0 = z_0 + w * g_0 + {found[0]}", "z_0 = e * g_0", "g_0 = n_0")
